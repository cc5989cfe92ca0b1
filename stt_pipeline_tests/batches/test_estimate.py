"""Estimates of sources: their figures, their limits, and the rough length of a file."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import av
import numpy as np
import pytest

from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.probe import probe, rough_duration
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.requests.batch_request import SourceRequest
from stt_pipeline.batches.requests.estimate import (
    MAX_CONCURRENT,
    Estimate,
    estimate,
)
from stt_pipeline.batches.requests.measured_speed import (
    BATCH_SECONDS,
    DEFAULT_REAL_TIME_FACTOR,
    RUN_SECONDS,
    fit,
)
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import ConflictError, InvalidRequestError, UnreadableError
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import MAX_BYTES, scanned, write_tone
from stt_pipeline_tests.rows import Rows


def write_mp3(path: Path, seconds: float, *, bit_rate: int = 32_000) -> Path:
    """Write a tone as MP3, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.sin(2 * np.pi * 220 * np.arange(int(16_000 * seconds)) / 16_000)
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=16_000, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray((samples[None] * 9000).astype("<i2"), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def estimated(
    database: Database, folder: Path, *, file_pattern: str = "", model: str = "", **limits: Any
) -> Estimate:
    request = SourceRequest(
        source_path=str(folder), file_pattern=file_pattern, options=BatchOptions(model=model)
    )
    return estimate(database, request, **{"allowed": ALLOW_ALL, "max_file_bytes": MAX_BYTES, **limits})


@pytest.mark.slow
def test_hours_come_from_bytes_of_each_extension(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(30):
        write_tone(folder / "2026" / f"{number}.wav", 2.0)
    for number in range(10):
        write_mp3(folder / "calls" / "mobile" / f"{number}.MP3", 20.0)
    (folder / "notes.txt").write_text("no recording")
    found = estimated(database, folder)
    sizes = [path.stat().st_size for path in folder.rglob("*.[wM]*")]
    assert (found.files, found.bytes) == (40, sum(sizes))
    assert found.is_complete
    assert found.listed == 44  # with three folders and the notes
    assert (found.sampled, found.unreadable) == (20, 0)
    assert found.audio_hours == pytest.approx((30 * 2 + 10 * 20) / 3600, rel=0.02)
    work = found.audio_hours * DEFAULT_REAL_TIME_FACTOR
    assert found.gpu_hours == pytest.approx(work + RUN_SECONDS / 3600, abs=1e-4)
    assert found.wall_hours == pytest.approx(work + BATCH_SECONDS / 3600, abs=1e-4)
    assert "no speed is measured here yet" in found.basis
    assert estimated(database, folder) == found


def test_files_without_audio_are_counted_as_unreadable(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav", 10.0)
    (tmp_path / "b.wav").write_bytes(b"x" * (tmp_path / "a.wav").stat().st_size)
    (tmp_path / "c.wav").touch()
    write_tone(tmp_path / "large.wav", 60.0)
    found = estimated(database, tmp_path, max_file_bytes=400_000)
    assert (found.files, found.sampled, found.unreadable) == (4, 3, 2)
    assert found.audio_hours == pytest.approx(10 / 3600, rel=0.05)


def test_an_empty_source_and_one_without_audio(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    found = estimated(database, tmp_path / "in")
    assert (found.files, found.audio_hours, found.is_complete, found.sampled) == (0, 0.0, True, 0)
    (tmp_path / "in" / "a.mp3").write_text("text")
    found = estimated(database, tmp_path / "in")
    assert (found.files, found.audio_hours, found.sampled, found.unreadable) == (1, 0.0, 1, 1)


def test_the_listing_of_a_large_source_is_bounded(database: Database, tmp_path: Path) -> None:
    for number in range(50):
        write_tone(tmp_path / f"{number}.wav", 0.1)
        (tmp_path / f"{number}.txt").touch()
    found = estimated(database, tmp_path, max_listed=30)
    assert not found.is_complete
    assert found.listed == 30
    assert 0 < found.files <= 30
    found = estimated(database, tmp_path, listing_seconds=0.0)
    assert (found.listed, found.is_complete) == (0, False)
    # also if no file matches
    assert estimated(database, tmp_path, file_pattern="*.flac", max_listed=30).listed == 30


def add_measured(
    database: Database, folder: Path, *, audio: float, work: float, wall: float, model: str = ""
) -> None:
    """Add a completed batch of one shard. All figures are seconds."""
    batch, _, _ = scanned(database, folder, options={"model": model})
    rows = Rows(database)
    figures = {"audio_seconds": audio, "transcribe_seconds": work, "busy_seconds": 3 * work}
    rows.change(tables.shards, tables.shards.c.batch_id == batch.id, stage="done", **figures)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ended = {"status": "completed", "scanned_at": begin, "completed_at": begin + timedelta(seconds=wall)}
    rows.change(tables.batches, tables.batches.c.id == batch.id, **ended)


def test_the_speed_is_measured_with_the_same_model(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav", 36.0)
    for model, factor in (("", 0.1), ("demo", 0.05)):
        work = RUN_SECONDS + 1800 * factor
        add_measured(database, tmp_path / "in", audio=1800, work=work, wall=300, model=model)
    by_model = {
        model: estimated(database, tmp_path / "in", model=model) for model in ("", "demo", "large-v3")
    }
    assert by_model[""].gpu_hours == pytest.approx((RUN_SECONDS + 3.6) / 3600, abs=1e-4)
    assert (
        "0.1000 seconds of work a second of audio and 4 seconds a batch, measured here on 0.5 hours"
        in by_model[""].basis
    )
    assert by_model["demo"].gpu_hours == pytest.approx((RUN_SECONDS + 1.8) / 3600, abs=1e-4)
    assert "no speed is measured" in by_model["large-v3"].basis


def test_wall_hours_are_as_the_last_batches_took(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav", 36.0)
    # two runs at a time: 180 s of work took 90 s; one of the batches waited an hour for others
    for wall in (90 + BATCH_SECONDS, 90 + BATCH_SECONDS, 3_600):
        add_measured(database, tmp_path / "in", audio=1800, work=180, wall=wall)
    found = estimated(database, tmp_path / "in")
    assert found.wall_hours == pytest.approx((BATCH_SECONDS + 36 * 0.05) / 3600, rel=0.05)
    assert "the wall clock as the last 3 batches took" in found.basis


def test_a_batch_that_still_runs_counts_for_the_work_only(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav", 36.0)
    add_measured(database, tmp_path / "in", audio=3600, work=360, wall=400)
    Rows(database).change(tables.batches, status="processing", completed_at=None)
    found = estimated(database, tmp_path / "in")
    assert "measured here on 1.0 hours of audio; the wall clock for one run at a time" in found.basis


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_fixed_time_comes_from_batches_of_different_lengths(noise: float) -> None:
    chance = random.Random(0)
    lengths = (60, 300, 900, 1800, 3600)
    batches = [(audio, (30 + 0.2 * audio) * (1 + noise * chance.uniform(-1, 1))) for audio in lengths]
    found = fit(batches, usual_fixed=8.0)
    assert found.fixed == pytest.approx(30, rel=0.1 + 2 * noise)
    assert found.factor == pytest.approx(0.2, rel=0.03 + noise)


def test_batches_of_one_length_have_the_usual_fixed_time() -> None:
    assert fit([(1000, 108.0)] * 5, usual_fixed=8.0).seconds(100) == pytest.approx(18.0)
    # shorter than the usual fixed time: no part is negative, and the batch itself has a third more at most
    found = fit([(10, 3.0)], usual_fixed=8.0)
    assert found.factor == 0.0
    assert found.fixed == pytest.approx(3.0, rel=0.34)


class _Held(LocalFolder):
    """A folder whose listing waits for an event."""

    def __init__(self, path: Path, pattern: str, entered: Semaphore, released: Event) -> None:
        super().__init__(path, FilePattern(pattern))
        self._entered, self._released = entered, released

    def iter_unordered(self) -> Iterator[SourceObject | None]:
        self._entered.release()
        assert self._released.wait(60)
        yield from super().iter_unordered()


def test_concurrent_estimates_are_limited(database: Database, tmp_path: Path) -> None:
    entered, released = Semaphore(0), Event()

    class Allowed:
        def open(self, source_path: str, file_pattern: str = "") -> Source:
            return _Held(Path(source_path), "**/*.wav", entered, released)

    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        held = [pool.submit(estimated, database, tmp_path, allowed=Allowed()) for _ in range(MAX_CONCURRENT)]
        try:
            assert all(entered.acquire(timeout=60) for _ in held)
            with pytest.raises(ConflictError, match="try again"):
                estimated(database, tmp_path)
        finally:
            released.set()
        assert [one.result().files for one in held] == [0] * MAX_CONCURRENT
    assert estimated(database, tmp_path).files == 0


def test_the_source_must_be_allowed(database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="STT_ALLOWED_SOURCES"):
        estimated(database, tmp_path, allowed=AllowedSources.for_api(""))
    with pytest.raises(InvalidRequestError, match="does not exist"):
        estimated(database, tmp_path / "nowhere")


class TestRoughDuration:
    @pytest.mark.parametrize("write", [write_tone, write_mp3])
    def test_it_is_close_after_a_part_and_exact_after_the_whole_file(
        self, tmp_path: Path, write: object
    ) -> None:
        path = write(tmp_path / "a.mp3", 40.0)  # type: ignore[operator]
        exact = probe(path).duration
        assert rough_duration(path, seconds=60.0) == exact
        assert rough_duration(path, seconds=0.0) == pytest.approx(exact, rel=0.1)

    @pytest.mark.slow
    def test_it_does_not_read_the_whole_file_when_the_time_is_over(self, tmp_path: Path) -> None:
        path = write_mp3(tmp_path / "a.mp3", 60.0, bit_rate=64_000)
        path.write_bytes(
            path.read_bytes() + write_mp3(tmp_path / "b.mp3", 60.0, bit_rate=16_000).read_bytes()
        )
        exact = rough_duration(path, seconds=60.0)
        assert exact == pytest.approx(120.0, rel=0.01)
        # the first part has 4 times the bytes a second, so its extrapolation is too short
        assert rough_duration(path, seconds=0.0) == pytest.approx(75.0, rel=0.1)

    def test_a_file_without_audio_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").write_bytes(b"x" * 5000)
        with pytest.raises(UnreadableError):
            rough_duration(tmp_path / "a.wav", seconds=1.0)
