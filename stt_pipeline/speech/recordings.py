"""What goes into the transcriber and what comes out: recordings with their options, and an outcome for each.

The one interface of everything that transcribes; Whisper behind it is `engine`. Nothing here knows where a file lies.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """How a recording is to be heard; the defaults are right for most.

    Attributes:
        language: ISO 639-1 code; empty detects it.
        languages: those that detection may choose from; empty allows all that the model knows.
        multilingual: detect the language of each stretch of speech, and not one for the recording.
        hotwords: names and terms that are likely to be said, the most important first; they are shown to the model.
        terms: spellings that must come out, each with what is heard instead ("API": ["에이피아이"]).
        remove_fillers: leave out "음", "어" and the like.
        correct: mend spacing, sentence ends and numbers of Korean text (`korean`); the model's text is kept beside it.
    """

    language: str = ""
    languages: tuple[str, ...] = ()
    multilingual: bool = False
    hotwords: tuple[str, ...] = ()
    terms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    remove_fillers: bool = False
    correct: bool = True


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to be transcribed.

    Attributes:
        key: the caller's own name for it.
        open: fetches the recording and lends its sound; called in another thread, perhaps more than once, one call
            after the other. It may raise a FileError.
        options: how it is to be heard.
        halvings: how often to halve what is decoded side by side, other chunks as well as hypotheses of its own, because
            it ran out of memory before.
    """

    key: Hashable
    open: Callable[[], AbstractContextManager[Sound]]
    options: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    halvings: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a recording: its transcript without speakers, or the error under which it failed alone."""

    recording: Recording
    result: Transcript | Exception
    seconds: float = 0.0
    """Of work that were spent on it, its share of what was done together."""


Progress = Callable[[Recording, float], None]
"""Is told how many seconds of a recording, from its start, are done; in any thread."""


class Transcriber(Protocol):
    """Turns sound into text. Must accept silence, noise and sound of any length, and then return few words or none."""

    @property
    def model(self) -> str:
        """Name of the model, as stored with every transcript."""
        ...

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """Yield an outcome for each recording, as it gets done: short ones overtake long ones.

        ``recordings`` is asked for more in the caller's thread, only as far ahead as is needed to keep the model busy,
        so it may be endless. Closing the iterator ends the work.

        Raises:
            ConfigurationError: no recording can succeed as asked (such as a language that the model does not know), so
                none is blamed.
        """
        ...


def transcribe_one(
    transcriber: Transcriber, sound: Sound, options: TranscriptionOptions | None = None, *, halvings: int = 0
) -> Transcript:
    """Return the transcript of a single ``sound``.

    Raises:
        FileError: it failed.
        ConfigurationError: as for :meth:`Transcriber.transcribe`.
    """
    recording = Recording(None, lambda: nullcontext(sound), options or TranscriptionOptions(), halvings)
    (outcome,) = transcriber.transcribe([recording])
    if isinstance(outcome.result, Exception):
        raise outcome.result
    return outcome.result
