"""The interface of all transcribers, and a fake that returns fixed text (`FixedTranscriber`).

A transcriber returns raw transcripts: corrections and quality figures are added by `postprocess`, whatever the backend.
New ones are entries of `stt_pipeline.backends.TRANSCRIBERS`; `test_transcriber_contract.py` then tests them.
"""

import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from typing import Protocol

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Sound
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.recordings import Outcome, Progress, Recording, TranscriptionOptions
from stt_pipeline.speech.transcript import Segment, Transcript, Word


class Transcriber(Protocol):
    """Transcribes recordings. It must accept silence, noise and recordings of any length."""

    @property
    def model(self) -> str:
        """Name of the model, as stored with every transcript."""
        ...

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Generator[Outcome, None, None]:
        """Yield one outcome for each recording, in the order in which they finish; short ones may overtake long ones.

        ``recordings`` may be endless: its next item is requested in the caller's thread, only when the transcriber needs
        more work. Closing the generator ends the work. Several threads may call this at once.

        Raises:
            ConfigurationError: no recording can succeed (such as a language that the model does not know), so no
                recording gets the error.
        """
        ...


def transcribe_one(
    transcriber: Transcriber, sound: Sound, options: TranscriptionOptions | None = None, *, halvings: int = 0
) -> Transcript:
    """Return the transcript of a single ``sound``.

    Raises:
        FileError: the transcription failed.
        ConfigurationError: as in :meth:`Transcriber.transcribe`.
    """
    recording = Recording(None, lambda: nullcontext(sound), options or TranscriptionOptions(), halvings)
    with closing(transcriber.transcribe([recording])) as outcomes:
        (outcome,) = outcomes
    if isinstance(outcome.result, Exception):
        raise outcome.result
    return outcome.result


def check_languages(options: TranscriptionOptions, supported: Sequence[str], model: str) -> None:
    """Check that a model supports the languages of ``options``.

    Raises:
        ConfigurationError: it does not.
    """
    for code in (options.language, *options.languages):
        if code and code not in supported:
            raise ConfigurationError(
                f"The speech model {model} does not know the language {code!r}. It knows "
                f"{', '.join(supported)}; leave the language empty to have it detected."
            )


class FixedTranscriber:
    """A :class:`Transcriber` without a model: every recording has the same text. For tests and benchmarks.

    It reads each recording to its end, one after the other, in the caller's thread.
    """

    def __init__(
        self,
        text: str | Sequence[Segment] = "",
        *,
        model: str = "fixed",
        languages: Sequence[str] = ("ko", "en"),
    ) -> None:
        """Return ``text`` for every recording.

        Args:
            text: one segment that fills the recording, its words of equal length; or segments, which are returned as
                they are.
            model: its name.
            languages: that it accepts; the first one is "detected".
        """
        self.model = model
        self._text = text
        self._languages = tuple(languages)

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Generator[Outcome, None, None]:
        """See :meth:`Transcriber.transcribe`."""
        for recording in recordings:
            check_languages(recording.options, self._languages, self.model)
            started = time.monotonic()
            result: Transcript | Exception
            try:
                with recording.open() as sound:
                    result = self.transcript(recording, sound)
            except ConfigurationError:
                raise
            except Exception as error:  # it fails alone
                result = error
            else:
                if progress:
                    progress(recording, result.duration)
            yield Outcome(recording, result, time.monotonic() - started)

    def transcript(self, recording: Recording, sound: Sound) -> Transcript:
        """Return the transcript of one recording; subclasses may override it, and may raise."""
        duration = sum(map(len, sound.blocks())) / SAMPLE_RATE
        language = recording.options.language or (recording.options.languages or self._languages)[0]
        segments = _evenly(self._text, duration, language) if isinstance(self._text, str) else self._text
        is_detected = bool(segments) and not recording.options.language
        return Transcript(
            language if segments or recording.options.language else "",
            1.0 if segments or recording.options.language else 0.0,
            duration,
            self.model,
            tuple(segments),
            speech_seconds=sum(segment.end - segment.start for segment in segments),
            detected_language=language if is_detected else None,
            detected_language_probability=1.0 if is_detected else None,
        )


def _evenly(text: str, duration: float, language: str) -> tuple[Segment, ...]:
    words = text.split()
    if not words or not duration:
        return ()
    times = [duration * index / len(words) for index in range(len(words))] + [duration]
    return (
        Segment(
            0.0,
            duration,
            " ".join(words),
            tuple(Word(times[i], times[i + 1], f" {word}", 0.9) for i, word in enumerate(words)),
            avg_logprob=-0.1,
            compression_ratio=1.0,
            language=language,
        ),
    )
