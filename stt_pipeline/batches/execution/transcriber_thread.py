"""Runs a transcriber in a thread of its own, so that the caller's thread can write results while it works.

Recordings are drawn, and outcomes are yielded, in the caller's thread only.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.transcriber import Transcriber

_STOP_SECONDS = 10.0  # a transcriber that does not stop by then ends with the process


def outcomes_of(
    transcriber: Transcriber,
    recordings: Iterator[Recording],
    *,
    while_waiting: Callable[[], None],
    every_seconds: float,
    on_progress: Callable[[], None] = lambda: None,
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of a transcriber; closing the generator stops it.

    Args:
        recordings: drawn when the transcriber requests the next one.
        while_waiting: called every ``every_seconds`` while the transcriber neither requests nor returns anything.
        on_progress: called in a thread of the transcriber, whenever it has transcribed a part of a recording.

    Raises:
        Exception: what the transcriber, or ``recordings``, raised.
    """
    worker = _Worker(transcriber, on_progress)
    worker.thread.start()
    try:
        while True:
            try:
                message = worker.messages.get(timeout=every_seconds)
            except Empty:
                while_waiting()
                continue
            if isinstance(message, _NextRequested):
                worker.supplied.put(next(recordings, None))
            elif isinstance(message, Outcome):
                yield message
            elif message.error is None:
                return
            else:
                raise message.error
    finally:
        worker.stop()


class _NextRequested:
    """The transcriber requests a recording."""


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


class _StoppedError(Exception):
    """Ends a transcriber whose outcomes are no longer read."""


class _Worker:
    def __init__(self, transcriber: Transcriber, on_progress: Callable[[], None]) -> None:
        self.messages: SimpleQueue[Outcome | _NextRequested | _Ended] = SimpleQueue()
        self.supplied: SimpleQueue[Recording | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="transcriber", daemon=True)
        self._transcriber = transcriber
        self._on_progress = on_progress
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.supplied.put(None)
        self.thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            transcribed = self._transcriber.transcribe(self._recordings(), progress=self._progress)
            with closing(transcribed) as outcomes:
                for outcome in outcomes:
                    self.messages.put(outcome)
                    if self._stopped.is_set():
                        break
        except BaseException as error:  # it is raised again in the caller's thread
            self.messages.put(_Ended(error))
        else:
            self.messages.put(_Ended(None))

    def _recordings(self) -> Iterator[Recording]:
        while not self._stopped.is_set():
            self.messages.put(_NextRequested())
            recording = self.supplied.get()
            if recording is None:
                return
            yield recording

    def _progress(self, recording: Recording, seconds: float) -> None:
        """Report progress, and stop a transcriber in the middle of a long recording."""
        self._on_progress()
        if self._stopped.is_set():
            raise _StoppedError
