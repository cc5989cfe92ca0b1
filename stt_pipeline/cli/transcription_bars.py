"""What is seen on a terminal while files are transcribed: a bar over all audio, and one for each of a few files in work."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.probe import rough_duration
from stt_pipeline.cli.terminal import err
from stt_pipeline.durations import format_duration
from stt_pipeline.errors import FileError
from stt_pipeline.speech.recordings import Recording

_MOST_FILES = 4  # shown at once
_LOOK_SECONDS = 0.1  # into each file, for its length
_LOOK_SECONDS_IN_ALL = (
    3.0  # before the work begins; files that are left are taken to be as long as the others
)


class TranscriptionBars:
    """A context manager that shows how far files are; where nobody watches, it does nothing."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Prepare; the files' lengths are looked up when the block is entered."""
        self._files = files
        self._lock = threading.Lock()
        self._lengths: dict[Path, float] = {}
        self._heard: dict[Path, float] = {}
        self._bars: dict[Path, TaskID] = {}
        self._ended = 0
        self._started = 0.0
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[figures]}", markup=False),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._all = self._progress.add_task("", total=None, figures="")

    def __enter__(self) -> "TranscriptionBars":
        """Show the bar over all files."""
        if not self._progress.disable:
            self._lengths = _lengths(self._files)
        self._started = time.monotonic()
        self._progress.start()
        self._show_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._progress.stop()

    def heard(self, recording: Recording, seconds: float) -> None:
        """Show that so much of a recording is transcribed; called from any thread."""
        if self._progress.disable:
            return
        file = cast(Path, recording.key)
        with self._lock:
            # chunks are done in any order
            self._heard[file] = max(seconds, self._heard.get(file, 0.0))
            if file not in self._bars and len(self._bars) < _MOST_FILES:
                self._bars[file] = self._progress.add_task(
                    display_name(file), total=self._lengths.get(file) or None, figures=""
                )
            if file in self._bars:
                self._progress.update(self._bars[file], completed=self._heard[file])
            self._show_all()

    def ended(self, file: Path, seconds: float | None = None) -> None:
        """Show that a file of so many ``seconds`` is written, or that it has failed."""
        if self._progress.disable:
            return
        with self._lock:
            if seconds is not None or file not in self._lengths:
                self._lengths[file] = seconds or 0.0
            self._heard[file] = self._lengths[file]
            self._ended += 1
            bar = self._bars.pop(file, None)
            if bar is not None:
                self._progress.remove_task(bar)
            self._show_all()

    def _show_all(self) -> None:
        total = sum(self._lengths.values()) * len(self._files) / max(len(self._lengths), 1)
        heard = min(total, sum(self._heard.values()))
        seconds = time.monotonic() - self._started
        about = "about " if len(self._lengths) < len(self._files) else ""
        figures = f"{format_duration(heard)} of {about}{format_duration(total)}"
        if heard and seconds:
            left = format_duration(seconds * (total - heard) / heard)
            figures += f", {heard / seconds:.1f}x real time, {left} left"
        self._progress.update(
            self._all,
            total=total or None,
            completed=heard,
            description=f"{self._ended} of {len(self._files)} files",
            figures=figures,
        )


def _lengths(files: Sequence[Path]) -> dict[Path, float]:
    """Return the lengths of as many files as there is time for."""
    until = time.monotonic() + _LOOK_SECONDS_IN_ALL
    lengths: dict[Path, float] = {}
    for file in files:
        if time.monotonic() > until:
            break
        lengths[file] = _length(file)
    return lengths


def _length(file: Path) -> float:
    """Return how long a file is, in seconds; 0 for one that cannot be read, which will be said when its turn comes."""
    try:
        return rough_duration(file, seconds=_LOOK_SECONDS)
    except FileError:
        return 0.0
