"""The bars of `stt transcribe`: how long all of it is, found out without holding up the work."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.cli import transcription_bars
from stt_pipeline.cli.transcription_bars import TranscriptionBars
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline_tests.speech.engine.sounds import opened


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal that keeps what is shown."""
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    monkeypatch.setattr(transcription_bars, "err", console)
    return console


def test_many_files_are_not_all_looked_into_first(screen: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def slow(file: Path, *, seconds: float) -> float:
        looked.append(file)
        time.sleep(0.02)
        return 10.0

    monkeypatch.setattr(transcription_bars, "rough_duration", slow)
    monkeypatch.setattr(transcription_bars, "_LOOK_SECONDS_IN_ALL", 0.05)
    files = [Path(f"{number}.wav") for number in range(100)]
    with TranscriptionBars(files) as bars:
        assert 2 <= len(looked) <= 3
        bars._progress.refresh()
        bars.update(Recording(files[-1], lambda: opened(SoundFile(files[-1])), TranscriptionOptions()), 30.0)
        for file in files:
            bars.finish(file, 60.0)
        bars._progress.refresh()
    shown = screen.export_text()
    assert "0 s of about 16 min 40 s" in shown, "files that were not looked into are as long as the others"
    assert "100 of 100 files" in shown
    assert "1 h 40 min of 1 h 40 min" in shown, "in the end it is what they were"
    assert len(looked) <= 3
