"""The last step of every transcription, whatever the backend: correct the text, suggest names, rate the confidence.

It also adds the notes about the sound. Wrap a transcriber once, where its transcripts are stored or shown. No model of its own.
"""

from collections.abc import Generator, Hashable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from stt_pipeline.audio.sound import Sound
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
        opened: dict[Hashable, _Opened] = {}

        def followed() -> Iterator[Recording]:
            for recording in recordings:
                one = opened[recording.key] = _Opened(recording)
                yield replace(recording, open=one.open)

        with closing(self._transcriber.transcribe(followed(), progress=progress)) as outcomes:
            for outcome in outcomes:
                one = opened.pop(outcome.recording.key)
                original = replace(outcome, recording=one.recording)
                yield replace(original, result=_processed(original, one.notes))


class _Opened:
    """A recording, and the notes about its sound."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.notes: tuple[str, ...] = ()

    @contextmanager
    def open(self) -> Iterator[Sound]:
        with self.recording.open() as sound:
            yield sound
            self.notes = sound.notes or self.notes  # a second reading may end early


def _processed(outcome: Outcome, notes: tuple[str, ...]) -> Transcript | Exception:
    if isinstance(outcome.result, Exception):
        return outcome.result
    try:
        done = postprocess(outcome.result, outcome.recording.options)
        return replace(done, notes=(*notes, *done.notes))
    except Exception as error:  # a bug; the recording fails alone
        return error
