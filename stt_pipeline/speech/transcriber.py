"""Sound in, transcript out: the one interface of everything that transcribes, and Whisper behind it.

Who spoke is for `diarization`; nothing here opens a file or knows where it came from.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import all_samples
from stt_pipeline.errors import ConfigurationError, ModelError, OutOfMemoryError
from stt_pipeline.speech.models import DEMO, LoadedModel
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline.speech.windows import Window, speech_windows

DEMO_NOTE = (
    "Transcribed by the demo model, which knows nothing but its vocabulary of synthetic meetings: "
    "what it writes about other recordings means nothing."
)


# Windows joined to tell the language: Whisper looks at what fills one window, and the first may be a cough.
_WINDOWS_FOR_LANGUAGE = 4

_BEAM = 5
"""Hypotheses of a window that are decoded side by side, as a batch; faster-whisper's own default."""

# how CUDA, cuBLAS and C++ say it
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "bad_alloc", "bad allocation")


class Transcriber(Protocol):
    """Turns sound into text. Must accept silence, noise and sound of any length, and then return few words or none."""

    @property
    def model(self) -> str:
        """Name of the model, as stored with every transcript."""
        ...

    def transcribe(
        self,
        samples: npt.NDArray[np.float32],
        *,
        language: str | None = None,
        hotwords: str | None = None,
        halvings: int = 0,
    ) -> Transcript:
        """Return what is said in ``samples``, float32 ``(samples,)``, 16 kHz, mono; without speakers.

        Args:
            samples: as `audio.decode` returns them.
            language: ISO 639-1 code; None (or empty) detects it, from the first half minute of speech.
            hotwords: names and terms that are likely to be said.
            halvings: how often to halve what is decoded side by side, because this recording ran out of memory before.

        Raises:
            ConfigurationError: the model does not know ``language``; no recording is to blame.
            ModelError: the model failed on this sound.
            OutOfMemoryError: the device ran out of memory.
        """
        ...


class WhisperTranscriber:
    """Whisper, window by window, with a time for every word."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Use ``loaded``; many transcribers and threads may share it."""
        self._loaded = loaded

    @property
    def model(self) -> str:
        """See :attr:`Transcriber.model`."""
        return self._loaded.name

    def transcribe(
        self,
        samples: npt.NDArray[np.float32],
        *,
        language: str | None = None,
        hotwords: str | None = None,
        halvings: int = 0,
    ) -> Transcript:
        """See :meth:`Transcriber.transcribe`; where nobody talks there is no language to detect, and it stays empty."""
        self._check_language(language)
        beam = max(1, _BEAM >> halvings)
        try:
            windows = speech_windows(samples, self._loaded.whisper.feature_extractor.chunk_length)
            probability = 1.0
            if not language:
                language, probability = self._detect_language(samples, windows)
            segments = [
                segment
                for window in windows
                for segment in self._hear(samples, window, language, hotwords, beam)
            ]
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _explained(error, self.model) from error
        return Transcript(
            language=language,
            language_probability=probability,
            duration=len(samples) / SAMPLE_RATE,
            model=self.model,
            segments=tuple(segments),
            notes=(DEMO_NOTE,) if self.model == DEMO else (),
        )

    def _detect_language(
        self, samples: npt.NDArray[np.float32], windows: Sequence[Window]
    ) -> tuple[str, float]:
        """Return the language of the first speech, as much as fits into one look, and how likely it is."""
        if not windows:
            return "", 0.0
        whisper = self._loaded.whisper
        beginning = np.concatenate([window.of(samples) for window in windows[:_WINDOWS_FOR_LANGUAGE]])
        language, probability, _ = whisper.detect_language(beginning)
        return language, probability

    def _hear(
        self, samples: npt.NDArray[np.float32], window: Window, language: str, hotwords: str | None, beam: int
    ) -> Iterator[Segment]:
        """Yield the segments of one window of ``samples``."""

        def at(offset: float) -> float:
            # Whisper's times are multiples of 20 ms, and the last may pass over the window's end and into the next
            return round(float(min(window.start + offset, window.end)), 3)

        found, _ = self._loaded.whisper.transcribe(
            window.of(samples),
            language=language,
            hotwords=hotwords,
            beam_size=beam,
            word_timestamps=True,
            # one wrong sentence must not lead what follows astray
            condition_on_previous_text=False,
            # Hotter retries are drawn at random, in CTranslate2 without a seed of one's own: a file transcribed
            # twice would have two texts. Repetitions can still be told by Segment.compression_ratio.
            temperature=0.0,
        )
        for segment in found:
            yield Segment(
                start=at(segment.start),
                end=at(segment.end),
                text=segment.text.strip(),
                words=tuple(
                    Word(at(word.start), at(word.end), word.word, float(word.probability))
                    for word in segment.words or ()
                ),
                avg_logprob=float(segment.avg_logprob),
                no_speech_prob=float(segment.no_speech_prob),
                compression_ratio=segment.compression_ratio,
            )

    def _check_language(self, language: str | None) -> None:
        known = self._loaded.languages
        if language and language not in known:
            raise ConfigurationError(
                f"The speech model {self.model} does not know the language {language!r}. It knows {', '.join(known)}; "
                "leave the language empty to have it detected."
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


class RecordingTranscriber:
    """Recordings one after the other through a transcriber of samples, until the engine takes them together."""

    def __init__(self, inner: Transcriber) -> None:
        """Use ``inner`` for each recording."""
        self._inner = inner

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._inner.model

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """See :meth:`stt_pipeline.speech.recordings.Transcriber.transcribe`."""
        for recording in recordings:
            started = time.monotonic()
            result: Transcript | Exception
            try:
                with recording.open() as sound:
                    samples = all_samples(sound)
                result = self._inner.transcribe(
                    samples,
                    language=recording.options.language,
                    hotwords=", ".join(recording.options.hotwords),
                    halvings=recording.halvings,
                )
            except ConfigurationError:
                raise
            except Exception as error:
                result = error
            else:
                if progress:
                    progress(recording, result.duration)
            yield Outcome(recording, result, time.monotonic() - started)
