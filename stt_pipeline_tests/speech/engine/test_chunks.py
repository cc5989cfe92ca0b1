"""Cutting recordings: all speech is in a chunk, none is too long, and the size of the blocks makes no difference."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.voice_activity import FRAME, VoiceActivity
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.speech.engine.sounds import RATE, InBlocks, silence

NOISE = np.random.default_rng(0).normal(0, 0.3, 10 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def meeting() -> np.ndarray:
    return decode(SAMPLES / "weekly-budget.wav")


@pytest.fixture(scope="module")
def monologue(meeting: np.ndarray) -> np.ndarray:
    """A minute of speech without a pause: the sample without its pauses."""
    activity = VoiceActivity()
    speech = np.repeat(np.concatenate([activity.feed(meeting), activity.flush()]) > 0.5, FRAME)
    spoken = meeting[speech[: len(meeting)]]
    return np.concatenate([spoken, spoken])[: 60 * RATE]


def cut(samples: np.ndarray, block: int = 10**9, max_seconds: float = 10.0) -> tuple[list[Chunk], float]:
    cutter = Cutter(max_seconds)
    return list(cutter.cut(InBlocks(samples, block).blocks())), cutter.seconds


@pytest.mark.parametrize(
    "samples", [silence(0), silence(0.1), silence(30), NOISE], ids=["nothing", "0.1 s", "silence", "noise"]
)
def test_without_speech_there_are_none(samples: np.ndarray) -> None:
    assert cut(samples) == ([], len(samples) / RATE)


def test_they_hold_all_speech_and_nothing_else(meeting: np.ndarray) -> None:
    chunks, seconds = cut(meeting)
    assert seconds == len(meeting) / RATE
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    activity = VoiceActivity()
    probabilities = np.concatenate([activity.feed(meeting), activity.flush()])
    taken = np.zeros(len(probabilities), bool)
    end = 0
    for chunk in chunks:
        for piece in chunk.pieces:
            assert piece.start % FRAME == 0
            assert piece.start >= end
            end = piece.end
            taken[piece.start // FRAME : -(-end // FRAME)] = True
        assert np.array_equal(
            chunk.samples, np.concatenate([meeting[one.start : one.end] for one in chunk.pieces])
        )
        frames = [probabilities[one.start // FRAME : -(-one.end // FRAME)] for one in chunk.pieces]
        assert np.array_equal(chunk.probabilities, np.concatenate(frames))
        assert chunk.seconds <= 10
        assert chunk.end == end / RATE
    assert not np.any(probabilities[~taken] >= 0.5)
    assert sum(chunk.seconds for chunk in chunks) < 0.99 * seconds


def test_long_pauses_are_cut_out_and_short_ones_kept(meeting: np.ndarray) -> None:
    sentence = meeting[: 3 * RATE]
    near = cut(np.concatenate([sentence, silence(0.3), sentence]), max_seconds=30)[0]
    far = cut(np.concatenate([sentence, silence(50), sentence]), max_seconds=30)[0]
    assert len(near) == len(far) == 1
    assert far[0].seconds <= near[0].seconds + 1.2
    gaps = [(after.start - before.end) / RATE for before, after in pairwise(far[0].pieces)]
    assert max(gaps) > 48
    assert sum(gap > 1.5 for gap in gaps) == 1


def test_a_chunk_ends_in_a_pause_of_a_minute(meeting: np.ndarray) -> None:
    """So nothing waits for speech that may come hours later."""
    sentence = meeting[: 3 * RATE]
    chunks, _ = cut(np.concatenate([sentence, silence(65), sentence]), max_seconds=30)
    assert len(chunks) == 2
    read: list[float] = []

    class Counted(InBlocks):
        def blocks(self):  # type: ignore[no-untyped-def]
            for block in super().blocks():
                read.append(len(block) / RATE)
                yield block

    next(iter(Cutter(30.0).cut(Counted(np.concatenate([sentence, silence(600)]), RATE).blocks())))
    assert sum(read) < 70


def test_chunks_are_full(meeting: np.ndarray) -> None:
    """Pauses of ten seconds between sentences need no more chunks than the same sentences in a row."""
    sentences = [part for _ in range(12) for part in (meeting[: 4 * RATE], silence(10))]
    chunks, _ = cut(np.concatenate(sentences), max_seconds=30)
    assert len(chunks) == 2
    assert chunks[0].seconds > 20


def test_a_chunk_in_a_short_pause_leaves_half_of_it_to_the_next(meeting: np.ndarray) -> None:
    chunks, _ = cut(meeting)
    for before, after in pairwise(chunks):
        if before.pieces[-1].end == after.pieces[0].start:
            assert before.probabilities[-3:].max() < 0.5
            assert after.probabilities[:3].max() < 0.5


def test_languages_are_separated_in_pauses_only_where_asked(meeting: np.ndarray) -> None:
    sentences = np.concatenate([meeting[: 8 * RATE], silence(1), meeting[8 * RATE : 16 * RATE]])
    together = list(Cutter(30.0).cut([sentences]))
    apart = list(Cutter(30.0, separate_languages=True).cut([sentences]))
    assert len(together) == 1
    assert len(apart) >= 2
    assert all(one.seconds >= 4 for one in apart[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("longest", [2.0, 10.0, 30.0])
@pytest.mark.parametrize("block", [777, FRAME, 50_000])
def test_the_size_of_the_blocks_makes_no_difference(
    block: int, longest: float, meeting: np.ndarray, monologue: np.ndarray
) -> None:
    """Blocks end in speech, in silence and in a minute of speech without a pause."""
    for samples in (meeting, np.concatenate([silence(3), monologue, silence(3), meeting[: 20 * RATE]])):
        whole, _ = cut(samples, max_seconds=longest)
        parts, seconds = cut(samples, block, longest)
        assert seconds == len(samples) / RATE
        assert [one.pieces for one in parts] == [one.pieces for one in whole]
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(parts, whole, strict=True))
        assert all(
            np.array_equal(a.probabilities, b.probabilities) for a, b in zip(parts, whole, strict=True)
        )


def test_speech_without_a_pause_is_cut_where_speech_is_least_likely(monologue: np.ndarray) -> None:
    chunks, _ = cut(monologue)
    assert len(chunks) >= 6
    assert all(5 <= chunk.seconds <= 10 for chunk in chunks[:-1])
    assert sum(chunk.seconds for chunk in chunks) > 59, "nothing is lost between them"
    for before, after in pairwise(chunks):
        if before.pieces[-1].end == after.pieces[0].start and before.seconds > 9:
            half = before.probabilities[len(before.probabilities) // 2 :]
            assert after.probabilities[0] <= half.min() + 1e-6


@pytest.mark.slow
def test_memory_holds_a_chunk_and_a_block(meeting: np.ndarray) -> None:
    cutter = Cutter(10.0)
    held = []

    class Watched(InBlocks):
        def blocks(self):  # type: ignore[no-untyped-def]
            for block in super().blocks():
                held.append(cutter.buffered_seconds)
                yield block

    list(cutter.cut(Watched(np.concatenate([meeting] * 5 + [silence(120)]), RATE).blocks()))
    assert max(held) <= 22
    assert held[-1] <= 1, "silence is discarded"


def test_a_part_of_a_chunk_is_a_chunk(meeting: np.ndarray) -> None:
    chunk = cut(meeting)[0][1]
    part = chunk.part(2.0, 5.0)
    assert abs(part.seconds - 3.0) < 0.07
    assert np.array_equal(part.samples, np.concatenate([meeting[one.start : one.end] for one in part.pieces]))
    at = round(2.0 * RATE) // FRAME * FRAME
    assert np.array_equal(part.samples, chunk.samples[at : at + len(part.samples)])
    assert len(part.probabilities) == len(part.samples) / FRAME
    assert np.array_equal(chunk.part(0.0, chunk.seconds).samples, chunk.samples)
    assert chunk.part(chunk.seconds, chunk.seconds).seconds == 0


def test_a_file_is_cut_like_its_samples() -> None:
    from stt_pipeline.audio.sound import SoundFile

    path: Path = SAMPLES / "year-end.mp3"
    cutter = Cutter(10.0)
    assert [one.pieces for one in cutter.cut(SoundFile(path).blocks())] == [
        one.pieces for one in cut(decode(path))[0]
    ]
