"""Failures of the model, as CTranslate2 words them, of memory, and of recordings that others wait for."""

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.errors import FileError, ModelError, OutOfMemoryError, UnreadableError
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.decoding import ChooseLanguages, Decoded, Decoder, Row
from stt_pipeline.speech.models import LoadedModel, load_model
from stt_pipeline.speech.recordings import Outcome, Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.speech.engine.sounds import KO, RATE, opened, recording, transcribe

OUT_OF_MEMORY = "CUDA failed with error out of memory"


class FailingDecoder(Decoder):
    """Raises an error for every model batch."""

    def __init__(self, loaded: LoadedModel, error: Exception) -> None:
        super().__init__(loaded)
        self.error = error

    def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
        raise self.error


class SmallMemory(Decoder):
    """Has memory for model batches of a maximum size, and records the sizes that it was given."""

    def __init__(self, loaded: LoadedModel, max_rows: int) -> None:
        super().__init__(loaded)
        self.max_rows = max_rows
        self.sizes: list[int] = []

    def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
        self.sizes.append(len(rows))
        if len(rows) > self.max_rows:
            raise RuntimeError(OUT_OF_MEMORY)
        return super().decode(rows, choose_languages)


@pytest.fixture
def loaded() -> LoadedModel:
    """The demo model with one worker, so that model batches are full."""
    return replace(load_model("demo", "cpu"), workers=1)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError(OUT_OF_MEMORY), OutOfMemoryError),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), OutOfMemoryError),
        (MemoryError("std::bad_alloc"), OutOfMemoryError),
        (RuntimeError("CUDA failed with error an illegal memory access was encountered"), ModelError),
        (ValueError("Invalid input features shape"), ModelError),
    ],
)
def test_a_recording_that_fails_alone(
    raised: Exception, expected: type[FileError], beginning: np.ndarray, loaded: LoadedModel
) -> None:
    engine = Engine(loaded, decoder=FailingDecoder(loaded, raised))
    with pytest.raises(expected, match=re.escape(str(raised))) as caught:
        transcribe(engine, beginning)
    assert type(caught.value) is expected
    assert caught.value.transient


@pytest.mark.slow
def test_one_chunk_that_the_model_cannot_take_fails_its_recording_only(beginning: np.ndarray) -> None:
    poison = beginning[: 5 * RATE] * np.float32(0.5)

    class Poisoned(Decoder):
        def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
            if any(
                np.array_equal(
                    row.chunk.samples, poison[row.chunk.pieces[0].start :][: len(row.chunk.samples)]
                )
                for row in rows
            ):
                raise RuntimeError("a bad row")
            return super().decode(rows, choose_languages)

    recordings = [
        *(recording(n, beginning[: 5 * RATE], KO) for n in range(6)),
        recording("poison", poison, KO),
    ]
    model = load_model("demo", "cpu")
    engine = Engine(model, batch_size=8, decoder=Poisoned(model))
    found = {outcome.recording.key: outcome.result for outcome in engine.transcribe(recordings)}
    assert isinstance(found.pop("poison"), ModelError)
    assert len({repr(transcript) for transcript in found.values()}) == 1
    assert all(isinstance(transcript, Transcript) for transcript in found.values())


@pytest.mark.slow
def test_without_memory_for_all_it_goes_on_with_less(beginning: np.ndarray, loaded: LoadedModel) -> None:
    decoder = SmallMemory(loaded, 2)
    recordings = [recording(n, beginning[: 3 * RATE], KO) for n in range(12)]
    outcomes = list(Engine(loaded, batch_size=8, decoder=decoder).transcribe(recordings))
    assert all(isinstance(outcome.result, Transcript) for outcome in outcomes)
    assert max(decoder.sizes) > 2, "it was full once"
    too_large = [size for size in decoder.sizes if size > 2]
    assert len(too_large) <= 3, "and does not try again and again"


@pytest.mark.slow
def test_a_size_that_did_not_fit_is_not_tried_again_by_the_next_stream(
    beginning: np.ndarray, loaded: LoadedModel
) -> None:
    decoder = SmallMemory(loaded, 1)
    engine = Engine(loaded, batch_size=2, decoder=decoder)
    for _ in range(2):
        list(engine.transcribe([recording(n, beginning[: 3 * RATE], KO) for n in range(6)]))
    assert decoder.sizes.count(2) == 1


@pytest.mark.slow
def test_a_fallback_that_does_not_fit_into_memory_leaves_the_first_text(
    beginning: np.ndarray, loaded: LoadedModel
) -> None:
    class Unsure(Decoder):
        """Is unsure of its first text, and has no memory to decode anything but what follows it."""

        def __init__(self, loaded: LoadedModel) -> None:
            super().__init__(loaded)
            self.seen: set[int] = set()
            self.following: set[int] = set()
            self.refused = 0

        def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
            (row,) = rows
            if row.chunk.index in self.seen and row.chunk.pieces[0].start not in self.following:
                self.refused += 1
                raise RuntimeError(OUT_OF_MEMORY)
            self.seen.add(row.chunk.index)
            (found,) = super().decode(rows, choose_languages)
            if found.seek is not None:
                self.following.add(row.chunk.part(found.seek, row.chunk.seconds).pieces[0].start)
            unsure = tuple(replace(segment, avg_logprob=-2.0) for segment in found.segments)
            return [replace(found, segments=unsure)]

    decoder = Unsure(loaded)
    transcript = transcribe(Engine(loaded, batch_size=1, decoder=decoder), beginning, KO)
    assert decoder.refused
    assert transcript.segments
    assert all("log_probability" in segment.hallucination_reasons for segment in transcript.segments)


@pytest.mark.slow
def test_a_recording_that_breaks_while_others_wait_for_room_does_not_block_them(
    beginning: np.ndarray, loaded: LoadedModel
) -> None:
    """Its chunks leave the queue when it fails, and readers that wait for room must be notified."""
    is_full = threading.Event()

    class Breaks(SoundInMemory):
        def blocks(self) -> Iterator[np.ndarray]:
            yield np.concatenate([beginning] * 3)
            is_full.wait(20)
            raise UnreadableError("broken in the middle")

    class Slow(Decoder):
        """Decodes nothing until one chunk is with the worker, two are in the queue, and one waits for room."""

        rows_made = 0

        def row(self, *args: Any, **options: Any) -> Row:
            self.rows_made += 1
            if self.rows_made >= 4:
                is_full.set()
            return super().row(*args, **options)

        def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
            is_full.wait(20)
            return super().decode(rows, choose_languages)

    engine = Engine(loaded, batch_size=1, decoder=Slow(loaded))
    broken = Recording("broken", lambda: opened(Breaks(beginning)), KO)
    others = [recording(n, beginning[: 3 * RATE], KO) for n in range(3)]
    found = {outcome.recording.key: outcome.result for outcome in engine.transcribe([broken, *others])}
    assert is_full.is_set()
    assert isinstance(found.pop("broken"), UnreadableError)
    assert all(isinstance(transcript, Transcript) for transcript in found.values())


def test_an_error_while_reading_is_not_the_models(demo: Engine) -> None:
    def busy() -> Any:
        raise RuntimeError("can't start new thread")

    (outcome,) = demo.transcribe([Recording("a", busy)])
    assert type(outcome.result) is RuntimeError


def test_a_bug_is_not_an_error_of_the_model(beginning: np.ndarray, loaded: LoadedModel) -> None:
    engine = Engine(loaded, decoder=FailingDecoder(loaded, KeyError("a bug")))
    (outcome,) = engine.transcribe([recording("a", beginning, KO)])
    assert isinstance(outcome, Outcome)
    assert isinstance(outcome.result, KeyError)
