"""Finds a call that hangs in a living process: its work reports no progress for much longer than its recordings explain.

The heartbeat asks it before it extends the leases of a run. The work reports each model batch and each file.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.durations import format_duration
from stt_pipeline.store.manifest.files import AudioFile

QUIET_SECONDS = 3600.0
"""Work on short recordings may take this time without a report: the first call of a model may download it, and 3 GB take
40 minutes at 10 Mbit/s."""

QUIET_PER_AUDIO_SECOND = 2.0
"""And this time more for each second of the longest recording in progress, because diarization reports nothing before its
end. It is a hundred times what the diarizer ``embedded`` takes on a busy core (docs/benchmarks.md), because
``pyannote`` without a GPU is much slower."""

QUIET_PER_BYTE = 8e-6
"""And this time for each byte of it, which may be downloaded first: 1 Mbit/s."""

_NAMED = 3  # recordings


class Watchdog:
    """The progress of one step of a run. Any thread may call any method."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """The work begins now."""
        self._now = now
        self._lock = threading.Lock()
        self._active: dict[
            int, tuple[str, float]
        ] = {}  # name, and seconds without a report, by the file's id
        self._progress_at = now()

    @contextmanager
    def watching(self, shard: ClaimedShard, file: AudioFile) -> Iterator[None]:
        """Watch the work on one file, which reports progress at its end."""
        self.begin(shard, file)
        try:
            yield
        finally:
            self.end(file)

    def begin(self, shard: ClaimedShard, file: AudioFile) -> None:
        """Note that the work on a file begins."""
        name = f"{shard.key} ({display_name(file.uri)})"
        quiet = QUIET_PER_AUDIO_SECOND * (file.duration or 0.0) + QUIET_PER_BYTE * file.size
        with self._lock:
            self._active[file.id] = name, quiet

    def end(self, file: AudioFile) -> None:
        """Note that the work on a file has ended, which is progress."""
        with self._lock:
            self._active.pop(file.id, None)
        self.progress()

    def progress(self) -> None:
        """Note progress."""
        with self._lock:
            self._progress_at = self._now()

    def hang(self) -> str | None:
        """Return what hangs, as a sentence; None while there is progress, or there may be."""
        with self._lock:
            quiet = self._now() - self._progress_at
            most_quiet = QUIET_SECONDS + max((seconds for _, seconds in self._active.values()), default=0.0)
            names = [name for name, _ in self._active.values()]
        if quiet <= most_quiet:
            return None
        shown = ", ".join(names[:_NAMED]) or "no recording"
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"There was no progress for {format_duration(quiet)} in the work on {shown}{more}"


def stacks() -> str:
    """Return the stack of each thread but this one, to show where a call hangs."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )
