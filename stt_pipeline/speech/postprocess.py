"""The last step of every transcription, whatever the backend: correct the text, suggest names, rate the confidence.

Wrap a transcriber once, where its transcripts are stored or shown. No model of its own.
"""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import replace

from stt_pipeline.speech import confidence, hotwords, korean
from stt_pipeline.speech.recordings import Outcome, Progress, Recording, TranscriptionOptions
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.speech.transcript import Transcript


def postprocess(transcript: Transcript, options: TranscriptionOptions) -> Transcript:
    """Return ``transcript`` with corrected text, suggestions for names, marked words and its quality.

    A quality that the transcriber has set is kept.
    """
    segments = korean.correct(transcript.segments, options)
    segments = confidence.mark(hotwords.suggest(segments, options.hotwords))
    done = transcript.with_segments(segments)
    return done if done.quality is not None else replace(done, quality=confidence.quality(done))


class WithPostprocessing:
    """A :class:`Transcriber` whose transcripts are those of another one after :func:`postprocess`."""

    def __init__(self, transcriber: Transcriber) -> None:
        """Wrap ``transcriber``."""
        self._transcriber = transcriber

    @property
    def model(self) -> str:
        """See :attr:`Transcriber.model`."""
        return self._transcriber.model

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Generator[Outcome, None, None]:
        """See :meth:`Transcriber.transcribe`."""
        with closing(self._transcriber.transcribe(recordings, progress=progress)) as outcomes:
            for outcome in outcomes:
                yield replace(outcome, result=_processed(outcome))


def _processed(outcome: Outcome) -> Transcript | Exception:
    if isinstance(outcome.result, Exception):
        return outcome.result
    try:
        return postprocess(outcome.result, outcome.recording.options)
    except Exception as error:  # a bug; the recording fails alone
        return error
