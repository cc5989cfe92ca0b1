"""Progress bars of `stt transcribe` and `stt evaluate`: one over all audio, and one for each of a few active files."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.probe import rough_duration
from stt_pipeline.cli.terminal import err
from stt_pipeline.durations import format_duration
from stt_pipeline.errors import FileError
from stt_pipeline.speech.recordings import Recording

_MAX_BARS = 4  # files shown at once
_PROBE_SECONDS = 0.1  # per file, to measure its length
PROBE_SECONDS_IN_ALL = 3.0  # before the work begins; the other files get the mean length


def _length(file: Path) -> float:
    """Return the length of a file in seconds; 0 if it is unreadable, which its transcription reports later."""
    try:
        return rough_duration(file, seconds=_PROBE_SECONDS)
    except FileError:
        return 0.0


class TranscriptionBars:
    """A context manager that shows the progress of files; it does nothing if stderr is not a terminal."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        console: Console = err,
        measure: Callable[[Path], float] = _length,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the bars; the lengths of the files are measured when the block is entered.

        Args:
            files: all files of the command.
            console: where the bars are drawn.
            measure: returns the length of a file in seconds, 0 if it is unknown.
            clock: returns seconds.
        """
        self._files = files
        self._measure = measure
        self._clock = clock
        self._lock = threading.Lock()
        self._lengths: dict[Path, float] = {}
        self._done: dict[Path, float] = {}
        self._bars: dict[Path, TaskID] = {}
        self._finished = 0
        self._started = 0.0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("", total=None, figures="")

    def __enter__(self) -> "TranscriptionBars":
        """Show the bar over all files."""
        if not self._progress.disable:
            self._lengths = self._measured()
        self._started = self._clock()
        self._show_all()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bars."""
        self._progress.stop()

    def update(self, recording: Recording, seconds: float) -> None:
        """Show that the first ``seconds`` of a recording are transcribed; can be called from any thread."""
        if self._progress.disable:
            return
        file = cast(Path, recording.key)
        with self._lock:
            # chunks are finished in any order
            self._done[file] = max(seconds, self._done.get(file, 0.0))
            if file not in self._bars and len(self._bars) < _MAX_BARS:
                self._bars[file] = self._progress.add_task(
                    display_name(file), total=self._lengths.get(file) or None, figures=""
                )
            if file in self._bars:
                self._progress.update(self._bars[file], completed=self._done[file])
            self._show_all()

    def finish(self, file: Path, seconds: float | None = None) -> None:
        """Show that a file is written (its length in ``seconds``) or failed (None)."""
        if self._progress.disable:
            return
        with self._lock:
            if seconds is not None or file not in self._lengths:
                self._lengths[file] = seconds or 0.0
            self._done[file] = self._lengths[file]
            self._finished += 1
            bar = self._bars.pop(file, None)
            if bar is not None:
                self._progress.remove_task(bar)
            self._show_all()

    def _show_all(self) -> None:
        total = sum(self._lengths.values()) * len(self._files) / max(len(self._lengths), 1)
        done = min(total, sum(self._done.values()))
        seconds = self._clock() - self._started
        about = "about " if len(self._lengths) < len(self._files) else ""
        figures = f"{format_duration(done)} of {about}{format_duration(total)}"
        if done and seconds:
            left = format_duration(seconds * (total - done) / done)
            figures += f", {done / seconds:.1f}x real time, {left} left"
        self._progress.update(
            self._all,
            total=total or None,
            completed=done,
            description=f"{self._finished} of {len(self._files)} files",
            figures=figures,
        )

    def _measured(self) -> dict[Path, float]:
        """Return the lengths of the files that can be measured within the time limit."""
        until = self._clock() + PROBE_SECONDS_IN_ALL
        lengths: dict[Path, float] = {}
        for file in self._files:
            if self._clock() > until:
                break
            lengths[file] = self._measure(file)
        return lengths
