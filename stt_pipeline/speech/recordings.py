"""Input and output of a transcriber: recordings with their options, and one outcome for each.

Plain data. The interface is `transcriber`; Whisper is `engine`. Where a file is stored is not known here.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """How to transcribe a recording; the defaults are right for most.

    Attributes:
        language: ISO 639-1 code; empty detects it.
        languages: those that detection may choose from; empty allows all that the model supports.
        multilingual: detect the language of each chunk, not one for the recording.
        hotwords: names and terms that are likely to occur, the most important first; the model gets them as a prompt.
        terms: required spellings, each with what the model writes instead ("API": ["에이피아이"]).
        remove_fillers: remove "음", "어" and similar words.
        correct: correct spacing, sentence ends and numbers of Korean text (`korean`); `Segment.raw_text` keeps the original.
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
        key: the caller's name for it.
        open: downloads the recording and yields its audio. It is called in another thread, possibly several times, one
            call after the other, and may raise a FileError.
        options: how to transcribe it.
        halvings: how many times to halve the batch size and the beam size, because it ran out of memory before.
    """

    key: Hashable
    open: Callable[[], AbstractContextManager[Sound]]
    options: TranscriptionOptions = field(default_factory=TranscriptionOptions)
    halvings: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a recording: its transcript without speakers, or the error with which this recording failed.

    Attributes:
        seconds: work that was spent on it; of work on several recordings together, its share.
    """

    recording: Recording
    result: Transcript | Exception
    seconds: float = 0.0


Progress = Callable[[Recording, float], None]
"""Called with a recording and the number of seconds, from its start, that are transcribed; in any thread."""
