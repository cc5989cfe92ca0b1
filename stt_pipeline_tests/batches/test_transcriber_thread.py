"""A transcriber in a thread of its own: recordings and outcomes stay in the caller's thread, and it stops on request."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext

import pytest

from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.batches.execution.transcriber_thread import outcomes_of
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcript import Transcript

TRANSCRIPT = Transcript("ko", 1.0, 1.0, "fake")


def recordings(count: int) -> Iterator[Recording]:
    for key in range(count):
        yield Recording(key, lambda: nullcontext(SoundFile("/none.wav")))  # type: ignore[arg-type]


class Fake:
    """Returns the same transcript for each recording; with ``error``, raises it at the second."""

    model = "fake"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.threads: set[threading.Thread] = set()

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        for recording in recordings:
            self.threads.add(threading.current_thread())
            if self.error and recording.key == 1:
                raise self.error
            yield Outcome(recording, TRANSCRIPT)


class Endless(Fake):
    """Works on its first recording until its progress callback raises."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = threading.Event()

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        coming = iter(recordings)
        yield Outcome(next(coming), TRANSCRIPT)
        long = next(coming)
        assert progress
        try:
            while True:
                progress(long, 1.0)
        finally:
            self.stopped.set()


def test_recordings_are_drawn_in_the_callers_thread() -> None:
    drawn_in: set[threading.Thread] = set()
    fake = Fake()

    def drawn() -> Iterator[Recording]:
        for recording in recordings(3):
            drawn_in.add(threading.current_thread())
            yield recording

    outcomes = list(outcomes_of(fake, drawn(), while_waiting=lambda: None, every_seconds=60))
    assert [outcome.recording.key for outcome in outcomes] == [0, 1, 2]
    assert drawn_in == {threading.current_thread()}
    assert fake.threads.isdisjoint(drawn_in)


def test_an_error_of_the_transcriber_is_raised_after_its_outcomes() -> None:
    outcomes = outcomes_of(
        Fake(ConfigurationError("no such language")),
        recordings(3),
        while_waiting=lambda: None,
        every_seconds=60,
    )
    assert next(outcomes).recording.key == 0
    with pytest.raises(ConfigurationError, match="no such language"):
        next(outcomes)


def test_an_error_of_the_recordings_is_raised_and_ends_the_transcriber() -> None:
    fake = Fake()

    def broken() -> Iterator[Recording]:
        yield from recordings(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(outcomes_of(fake, broken(), while_waiting=lambda: None, every_seconds=60))
    assert not any(thread.is_alive() for thread in fake.threads)


class _EnoughError(Exception):
    """Raised by the caller, as an interrupt is, while it waits."""


def test_an_interrupt_of_the_waiting_caller_stops_the_transcriber() -> None:
    fake = Endless()

    def interrupt() -> None:
        raise _EnoughError

    outcomes = outcomes_of(fake, recordings(2), while_waiting=interrupt, every_seconds=0.01)
    with closing(outcomes), pytest.raises(_EnoughError):
        list(outcomes)
    assert fake.stopped.wait(60)
