"""Sound in, transcript out: the one interface of everything that transcribes, and Whisper behind it.

Who spoke is for `diarization`; nothing here opens a file or knows where it came from.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.errors import InvalidRequestError, ModelError, OutOfMemoryError
from stt_pipeline.speech.models import DEMO, LoadedModel
from stt_pipeline.speech.transcript import Segment, Transcript, Word

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment as WhisperSegment
    from faster_whisper.vad import VadOptions

DEMO_NOTE = (
    "Transcribed by the demo model, which knows nothing but its vocabulary of synthetic meetings: "
    "what it writes about other recordings means nothing."
)


# how CUDA, cuBLAS and C++ say it
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "bad_alloc", "bad allocation")


class Transcriber(Protocol):
    """Turns sound into text. Must accept silence, noise and sound of any length, and then return few words or none."""

    @property
    def model(self) -> str:
        """Name of the model, as stored with every transcript."""
        ...

    def transcribe(
        self, samples: npt.NDArray[np.float32], *, language: str | None = None, hotwords: str | None = None
    ) -> Transcript:
        """Return what is said in ``samples``, float32 ``(samples,)``, 16 kHz, mono; without speakers.

        Args:
            samples: as `audio.decode` returns them.
            language: ISO 639-1 code; None (or empty) detects it, from the first half minute of speech.
            hotwords: names and terms that are likely to be said.

        Raises:
            InvalidRequestError: the model does not know ``language``.
            ModelError: the model failed on this sound.
            OutOfMemoryError: the device ran out of memory.
        """
        ...


class WhisperTranscriber:
    """Whisper, window by window over the speech that Silero VAD finds, with a time for every word."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Use ``loaded``; many transcribers and threads may share it."""
        self._loaded = loaded

    @property
    def model(self) -> str:
        """See :attr:`Transcriber.model`."""
        return self._loaded.name

    def transcribe(
        self, samples: npt.NDArray[np.float32], *, language: str | None = None, hotwords: str | None = None
    ) -> Transcript:
        """See :meth:`Transcriber.transcribe`; where nobody talks there is no language to detect, and it stays empty."""
        language = language or None
        self._check_language(language)
        try:
            found, info = self._loaded.whisper.transcribe(
                samples,
                language=language,
                hotwords=hotwords,
                vad_filter=True,
                vad_parameters=_vad_options(),
                word_timestamps=True,
                # Hotter retries are drawn at random, in CTranslate2 without a seed of one's own: a file transcribed
                # twice would have two texts. Repetitions can still be told by Segment.compression_ratio.
                temperature=0.0,
                # one wrong sentence must not lead the following windows astray
                condition_on_previous_text=False,
            )
            segments = tuple(_segments(found))
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _explained(error, self.model) from error
        heard = language is not None or info.duration_after_vad > 0
        return Transcript(
            language=info.language if heard else "",
            language_probability=info.language_probability if heard else 0.0,
            duration=len(samples) / SAMPLE_RATE,
            model=self.model,
            segments=segments,
            notes=(DEMO_NOTE,) if self.model == DEMO else (),
        )

    def _check_language(self, language: str | None) -> None:
        known = self._loaded.languages
        if language is not None and language not in known:
            raise InvalidRequestError(
                f"The speech model {self.model} does not know the language {language!r}. It knows {', '.join(known)}; "
                "leave the language empty to have it detected."
            )


def _vad_options() -> "VadOptions":
    """Return how speech is found.

    Half a second of silence is cut out (faster-whisper's default is two): fewer windows to decode, and sentences of
    two speakers are seldom run together.
    """
    from faster_whisper.vad import VadOptions

    return VadOptions(min_silence_duration_ms=500, speech_pad_ms=200)


def _segments(found: "Iterable[WhisperSegment]") -> Iterator[Segment]:
    """Take Whisper's segments as they are decoded, and make them ours."""
    for segment in found:
        yield Segment(
            start=segment.start,
            end=segment.end,
            text=segment.text.strip(),
            words=tuple(
                Word(word.start, word.end, word.word, word.probability) for word in segment.words or ()
            ),
            avg_logprob=segment.avg_logprob,
            no_speech_prob=segment.no_speech_prob,
            compression_ratio=segment.compression_ratio,
        )


def _explained(error: Exception, model: str) -> ModelError | OutOfMemoryError:
    """Return ``error`` of CTranslate2 or of the VAD as one of ours."""
    reason = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or any(sign in reason.lower() for sign in _OUT_OF_MEMORY):
        return OutOfMemoryError(
            f"The speech model {model} ran out of memory: {reason}. Take a smaller model or compute type (STT_MODEL, "
            "STT_COMPUTE_TYPE), or run fewer processes on this device."
        )
    return ModelError(f"The speech model {model} failed on this recording: {reason}. It will be tried again.")
