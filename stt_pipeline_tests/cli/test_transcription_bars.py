"""The bars of `stt transcribe`: the length of all files is estimated without delaying the work."""

import io
from pathlib import Path

from rich.console import Console

from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.cli.transcription_bars import PROBE_SECONDS_IN_ALL, TranscriptionBars
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline_tests.speech.engine.sounds import opened


def test_not_all_of_many_files_are_measured_first() -> None:
    screen = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    measured, now = list[Path](), 0.0

    def slow(file: Path) -> float:
        nonlocal now
        measured.append(file)
        now += PROBE_SECONDS_IN_ALL * 0.4
        return 10.0

    files = [Path(f"{number}.wav") for number in range(100)]
    with TranscriptionBars(files, console=screen, measure=slow, clock=lambda: now) as bars:
        assert len(measured) == 3
        bars.update(Recording(files[-1], lambda: opened(SoundFile(files[-1])), TranscriptionOptions()), 30.0)
        for file in files:
            bars.finish(file, 60.0)
    shown = screen.export_text()
    assert "0 s of about 16 min 40 s" in shown, "files that are not measured get the mean length"
    assert "100 of 100 files" in shown
    assert "1 h 40 min of 1 h 40 min" in shown, "at the end the lengths are exact"
    assert len(measured) == 3
