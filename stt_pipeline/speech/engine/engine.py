"""The interface of the Whisper engine: one model, and streams of recordings through it."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import lru_cache

from stt_pipeline.speech.engine.batch_size import workers_and_batch_size
from stt_pipeline.speech.engine.decoding import BEAM_SIZE, DecodeOptions, Decoder
from stt_pipeline.speech.engine.recording_state import RecordingState
from stt_pipeline.speech.engine.scheduler import Plan, Scheduler
from stt_pipeline.speech.hotwords import MAX_TOKENS, SEPARATOR, FittedHotwords, fit
from stt_pipeline.speech.models import DEMO, Device, LoadedModel, load_model, usable_cores
from stt_pipeline.speech.recordings import Outcome, Progress, Recording
from stt_pipeline.speech.transcriber import check_languages

DEMO_NOTE = (
    "Transcribed by the demo model, which knows only the vocabulary of synthetic meetings: "
    "its text of other recordings is meaningless."
)
HOTWORDS_NOTE = (
    "{dropped} of {given} hotwords were not given to the model, whose limit is {limit} tokens: {words}."
)

_MAX_READERS = 8


def local_transcriber(
    model: str, device: Device, compute_type: str, cpu_threads: int, model_batch_size: int
) -> "Engine":
    """Return the engine for settings of these names: the factory of the transcriber ``local``.

    Raises:
        ConfigurationError: the model cannot be loaded.
    """
    return Engine(load_model(model, device, compute_type, cpu_threads), batch_size=model_batch_size)


class Engine:
    """A :class:`~stt_pipeline.speech.transcriber.Transcriber`: Whisper, with chunks of many recordings in a model batch.

    At temperature 0 on a CPU a recording's text does not depend on the other recordings. Memory depends on the size of
    the model batch and the longest transcript, not on the length or the number of the recordings.
    """

    def __init__(self, loaded: LoadedModel, *, batch_size: int = 0, decoder: Decoder | None = None) -> None:
        """Use ``loaded``. Many engines and threads may share a model.

        Args:
            loaded: the model.
            batch_size: chunks in a model batch; 0 is what fits into the memory of the device.
            decoder: decodes the model batches; None makes one of ``loaded``.
        """
        self._loaded = loaded
        self._decoder = decoder or Decoder(loaded)
        workers, size = workers_and_batch_size(loaded)
        readers = max(2, min(_MAX_READERS, usable_cores() // 2))
        self._plan = Plan(readers, workers, batch_size or size, wait_for_full_batch=loaded.device == "cuda")
        self._notes = (DEMO_NOTE,) if loaded.name == DEMO else ()
        self._fit = lru_cache(maxsize=64)(self._fit_hotwords)  # the same for all recordings of a batch

    @property
    def model(self) -> str:
        """See :attr:`Transcriber.model`."""
        return self._loaded.name

    @property
    def batch_size(self) -> int:
        """The maximum number of chunks in a model batch."""
        return self._plan.batch_size

    def transcribe(
        self, recordings: Iterable[Recording], *, progress: Progress | None = None
    ) -> Generator[Outcome, None, None]:
        """See :meth:`Transcriber.transcribe`."""
        scheduler = Scheduler(self._decoder, self.model, self._plan, self._notes, progress)
        try:
            yield from scheduler.run(map(self._state, recordings))
        finally:  # a batch that did not fit into memory will not fit the next time
            self._plan = replace(self._plan, batch_size=min(self._plan.batch_size, scheduler.batch_size))

    def _state(self, recording: Recording) -> RecordingState:
        options = recording.options
        check_languages(options, self._loaded.languages, self.model)
        # a recording only runs out of memory when it is decoded alone, so fewer hypotheses must help as well
        batch_size = max(1, self._plan.batch_size >> recording.halvings)
        beam_size = max(1, BEAM_SIZE >> recording.halvings)
        fitted = self._fit(options.hotwords)
        notes: tuple[str, ...] = ()
        if fitted.dropped:
            note = HOTWORDS_NOTE.format(
                dropped=len(fitted.dropped),
                given=len(options.hotwords),
                limit=MAX_TOKENS,
                words=SEPARATOR.join(fitted.dropped),
            )
            notes = (note,)
        decode_options = DecodeOptions(SEPARATOR.join(fitted.kept), beam_size)
        return RecordingState(recording, decode_options, batch_size, notes)

    def _fit_hotwords(self, hotwords: tuple[str, ...]) -> FittedHotwords:
        return fit(hotwords, self._decoder.count_tokens)
