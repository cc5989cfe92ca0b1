"""Diarization with the whisperx extra, offline: its bundled model, and its pipeline with tiny models."""

import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import Samples, SoundInMemory
from stt_pipeline.backends import DIARIZERS
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings
from stt_pipeline.speech.diarization import PyannoteDiarizer, SpeakerCount, pyannote
from stt_pipeline.speech.diarization.segmentation_model import activities
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline.speech.whisperx_extra import one_torch_thread
from stt_pipeline_tests.conftest import REAL, SAMPLES, needs_real_speech
from stt_pipeline_tests.speech.whisperx_extra import build_pipeline, needs_whisperx, of_threads

pytestmark = needs_whisperx


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_pipeline(tmp_path_factory.mktemp("models") / "pipeline")


@pytest.fixture(scope="module")
def meeting() -> Samples:
    return decode(SAMPLES / "weekly-budget.wav")[: 20 * SAMPLE_RATE]


@needs_real_speech
def test_the_model_of_the_package_is_that_of_whisperx() -> None:
    import whisperx
    from pyannote.audio import Model

    weights = Path(whisperx.__file__).parent / "assets" / "pytorch_model.bin"
    samples = decode(REAL / "meetings" / "trn00.wav")[: 10 * SAMPLE_RATE]
    with one_torch_thread():
        theirs = Model.from_pretrained(str(weights)).eval()(torch_tensor(samples))[0].detach().numpy()
    ours = activities(samples[None])[0]
    assert ours.shape == theirs.shape
    assert (
        np.abs(ours - theirs).mean() <= 0.01
    )  # of probabilities; the weights of the package have half precision
    assert ((ours >= 0.5) == (theirs >= 0.5)).mean() >= 0.99


def torch_tensor(samples: Samples) -> Any:
    """Return ``samples`` as a batch of one mono window."""
    import torch

    return torch.from_numpy(samples.copy())[None, None]


def test_torch_gets_its_threads_back_after_the_last_caller() -> None:
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    first, second = one_torch_thread(), one_torch_thread()
    both = threading.Barrier(2)

    def read_after_the_first() -> int:
        with second:
            both.wait()  # both have entered
            both.wait()  # the first has left
            return torch.get_num_threads()

    try:
        with ThreadPoolExecutor(1) as pool:
            with first:
                asked = pool.submit(read_after_the_first)
                both.wait()
            both.wait()
            assert asked.result() == 1
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)


class TestPyannote:
    def test_threads_share_one_pipeline_which_processes_one_recording_at_a_time(
        self, pipeline: Path, meeting: Samples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pyannote.load_pipeline.cache_clear()
        assert len(of_threads(lambda: id(pyannote.load_pipeline(str(pipeline), "cpu")))) == 1

        real, active, counts = pyannote.load_pipeline(str(pipeline), "cpu"), [], []

        def watched(samples: Samples, **limits: int | None) -> Any:
            active.append(samples)
            counts.append(len(active))
            time.sleep(0.05)
            found = real(samples, **limits)
            active.pop()
            return found

        monkeypatch.setattr(pyannote, "load_pipeline", lambda *_: watched)
        diarizer = PyannoteDiarizer(str(pipeline), "cpu")
        sound = SoundInMemory(meeting[: 6 * SAMPLE_RATE])
        filters = list(warnings.filters)
        assert of_threads(lambda: diarizer.diarize(sound)) == {diarizer.diarize(sound)}
        assert counts == [1, 1, 1, 1]
        assert warnings.filters == filters

    def test_a_local_pipeline_finds_turns(self, pipeline: Path, meeting: Samples) -> None:
        turns = DIARIZERS.create("pyannote", Settings(pyannote_pipeline=str(pipeline), device="cpu")).diarize(
            SoundInMemory(meeting), SpeakerCount(max_speakers=2)
        )
        assert turns
        assert {turn.speaker for turn in turns} <= {"SPEAKER_00", "SPEAKER_01"}
        assert all(0 <= turn.start < turn.end <= 20.1 for turn in turns)

    def test_silence_has_no_turns(self, pipeline: Path) -> None:
        silence = SoundInMemory(np.zeros(3 * SAMPLE_RATE, np.float32))
        assert PyannoteDiarizer(str(pipeline), "cpu").diarize(silence) == ()

    def test_telemetry_is_off(self, pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYANNOTE_METRICS_ENABLED", raising=False)
        PyannoteDiarizer(str(pipeline), "cpu")
        assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"

    def test_missing_models_are_reported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        with pytest.raises(ConfigurationError, match=r"set HF_TOKEN, or set STT_PYANNOTE_PIPELINE"):
            DIARIZERS.create("pyannote", Settings())
        with pytest.raises(ConfigurationError, match="There is no folder /nowhere"):
            DIARIZERS.create("pyannote", Settings(pyannote_pipeline="/nowhere"))
        with pytest.raises(ConfigurationError, match="cannot be loaded"):
            DIARIZERS.create("pyannote", Settings(pyannote_pipeline=str(tmp_path), device="cpu"))

    def test_its_overlaps_reach_the_words(self, pipeline: Path, meeting: Samples) -> None:
        import pandas as pd
        import whisperx

        turns = PyannoteDiarizer(str(pipeline), "cpu").diarize(SoundInMemory(meeting))
        word = Word(5.0, 5.4, " 네,", 0.9)
        transcript = Transcript("ko", 1.0, 20.0, "demo", (Segment(5.0, 5.4, "네,", (word,)),))
        ours = assign_speakers(transcript, turns).segments[0].words[0].speaker
        table = pd.DataFrame(
            [(turn.start, turn.end, turn.speaker) for turn in turns], columns=["start", "end", "speaker"]
        )
        segments = {
            "segments": [
                {
                    "start": 5.0,
                    "end": 5.4,
                    "text": "네,",
                    "words": [{"word": "네,", "start": 5.0, "end": 5.4}],
                }
            ]
        }
        theirs = whisperx.assign_word_speakers(table, segments, fill_nearest=True)["segments"][0]["words"][0][
            "speaker"
        ]
        talking = {turn.speaker for turn in turns if turn.start <= 5.0 and turn.end >= 5.4}
        assert ours == theirs or {ours, theirs} <= talking  # each speaker who is active all the time is right
