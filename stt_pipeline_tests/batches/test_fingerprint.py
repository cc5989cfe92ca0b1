"""Fingerprints change with what changes a result, and with nothing else."""

from typing import Any

import pytest

from stt_pipeline.batches.requests.fingerprint import Fingerprints, fingerprints
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.settings import Settings

KINDS = set(Fingerprints.__dataclass_fields__)


def changed(settings: dict[str, Any], options: dict[str, Any]) -> set[str]:
    """Return the kinds of results that are stale after a change from the defaults."""
    before = fingerprints(Settings(), BatchOptions())
    after = fingerprints(Settings(**settings), BatchOptions(**options))
    return {kind for kind in KINDS if getattr(before, kind) != getattr(after, kind)}


@pytest.mark.parametrize(
    ("options", "stale"),
    [
        ({"model": "tiny"}, {"transcript"}),
        ({"language": "ko"}, {"transcript"}),
        ({"languages": ["ko", "en"]}, {"transcript"}),
        ({"multilingual": True}, {"transcript"}),
        ({"hotwords": "Dagster"}, {"transcript"}),
        ({"attendees": ["김민수"]}, {"transcript"}),
        ({"terms": {"API": ["에이피아이"]}}, {"transcript"}),
        ({"remove_fillers": True}, {"transcript"}),
        ({"audio_track": "all"}, {"transcript", "speakers"}),
        ({"audio_track": "auto"}, set()),
        ({"diarizer": "none"}, {"speakers"}),
        ({"max_speakers": 3}, {"speakers"}),
        ({"align": True}, {"speakers"}),
        ({"mail": "report"}, set()),
        # what the settings have anyway
        ({"model": "auto", "diarizer": "auto", "summarizer": "extractive", "transcriber": "local"}, set()),
        ({"min_speakers": 1}, set()),
    ],
)
def test_options_of_a_batch(options: dict[str, Any], stale: set[str]) -> None:
    assert changed({}, options) == stale


@pytest.mark.parametrize(
    ("settings", "stale"),
    [
        ({"model": "tiny"}, {"transcript"}),
        ({"compute_type": "float32"}, {"transcript"}),
        ({"language": "en"}, {"transcript"}),
        ({"diarizer": "embedded"}, {"speakers"}),
        ({"device": "cpu", "cpu_threads": 1, "model_batch_size": 2}, set()),
        ({"max_attempts": 9, "home": "/srv/stt"}, set()),
    ],
)
def test_settings(settings: dict[str, Any], stale: set[str]) -> None:
    assert changed(settings, {}) == stale


def test_an_option_hides_the_setting_that_it_overrides() -> None:
    assert changed({"model": "tiny", "language": "en"}, {"model": "auto", "languages": ["ko"]}) == {
        "transcript"
    }
    options = BatchOptions(model="small", language="ko")
    both = [
        fingerprints(settings, options) for settings in (Settings(), Settings(model="tiny", language="en"))
    ]
    assert both[0] == both[1]


def test_a_pyannote_pipeline_counts_for_pyannote_only() -> None:
    assert changed({"pyannote_pipeline": "other"}, {}) == set()
    pyannote = BatchOptions(diarizer="pyannote")
    one, other = (fingerprints(Settings(pyannote_pipeline=name), pyannote) for name in ("one", "other"))
    assert one.speakers != other.speakers
