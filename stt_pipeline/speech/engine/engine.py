"""The door of the engine: one model, and streams of recordings through it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.engine.batch_size import side_by_side
from stt_pipeline.speech.engine.decoding import BEAM_SIZE, DecodeOptions, Decoder
from stt_pipeline.speech.engine.recording_state import RecordingState
from stt_pipeline.speech.engine.scheduler import Plan, Scheduler
from stt_pipeline.speech.hotwords import MOST_TOKENS, SEPARATOR, Fitted, fit
from stt_pipeline.speech.models import DEMO, LoadedModel, usable_cores
from stt_pipeline.speech.recordings import Outcome, Progress, Recording, TranscriptionOptions

DEMO_NOTE = (
    "Transcribed by the demo model, which knows nothing but its vocabulary of synthetic meetings: "
    "what it writes about other recordings means nothing."
)

_MOST_READERS = 8


class Engine:
    """A :class:`~stt_pipeline.speech.recordings.Transcriber`: Whisper, with chunks of many recordings in a model batch.

    At temperature 0 on a CPU a recording's text does not depend on what it is decoded with. Memory is bounded by the
    size of the model batch and the longest transcript, not by the length or the number of the recordings.
    """

    def __init__(self, loaded: LoadedModel, *, batch_size: int = 0) -> None:
        """Use ``loaded``; ``batch_size`` chunks are decoded together, 0 takes what the device's memory holds.

        Many engines and threads may share a model.
        """
        self._loaded = loaded
        self._decoder = Decoder(loaded)
        workers, size = side_by_side(loaded)
        readers = max(2, min(_MOST_READERS, usable_cores() // 2))
        self._plan = Plan(readers, workers, batch_size or size, fill_up=loaded.device == "cuda")
        self._notes = (DEMO_NOTE,) if loaded.name == DEMO else ()
        self._fitted = lru_cache(maxsize=64)(self._fit)  # the same for all recordings of a batch

    @property
    def model(self) -> str:
        """See :attr:`Transcriber.model`."""
        return self._loaded.name

    @property
    def batch_size(self) -> int:
        """How many chunks are decoded together at most."""
        return self._plan.batch_size

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Iterator[Outcome]:
        """See :meth:`Transcriber.transcribe`."""
        session = Scheduler(self._decoder, self.model, self._plan, self._notes, progress)
        try:
            yield from session.run(map(self._hearing, recordings))
        finally:  # what did not fit into the device's memory does not fit the next time
            self._plan = replace(self._plan, batch_size=min(self._plan.batch_size, session.batch_size))

    def _hearing(self, recording: Recording) -> RecordingState:
        options = recording.options
        self._check_languages(options)
        # it fails for want of memory only when it is alone already, so that fewer hypotheses are all that can help
        size = max(1, self._plan.batch_size >> recording.halvings)
        beam_size = max(1, BEAM_SIZE >> recording.halvings)
        fitted = self._fitted(options.hotwords)
        notes: tuple[str, ...] = ()
        if fitted.left_out:
            notes = (
                f"{len(fitted.left_out)} of {len(options.hotwords)} hotwords were not shown to the model, which has room "
                f"for {MOST_TOKENS} tokens: {SEPARATOR.join(fitted.left_out)}.",
            )
        return RecordingState(recording, DecodeOptions(SEPARATOR.join(fitted.kept), beam_size), size, notes)

    def _fit(self, hotwords: tuple[str, ...]) -> Fitted:
        return fit(hotwords, self._decoder.count_tokens)

    def _check_languages(self, options: TranscriptionOptions) -> None:
        known = self._loaded.languages
        asked = (options.language, *options.languages)
        unknown = [code for code in asked if code and code not in known]
        if unknown:
            raise ConfigurationError(
                f"The speech model {self.model} does not know the language {unknown[0]!r}. It knows "
                f"{', '.join(known)}; leave the language empty to have it detected."
            )
