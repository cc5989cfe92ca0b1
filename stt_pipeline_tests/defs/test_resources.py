"""What resources hand out is loaded once a process, whoever asks at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stt_pipeline.defs import resources
from stt_pipeline_tests.batches.recordings import OneSpeaker


def test_a_diarizer_is_loaded_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str, **how: str) -> OneSpeaker:
        loaded.append(name)
        time.sleep(0.1)
        return OneSpeaker()

    monkeypatch.setattr(resources, "load_diarizer", load)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: resources._diarizer("channel", "none such", "cpu"), range(4)))
    assert (loaded, len(found)) == (["channel"], 1)
