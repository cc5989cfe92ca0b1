"""What a look at a source says about it, and that it ends in time."""

import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from sqlalchemy import text

from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.audio.probe import probe, rough_duration
from stt_pipeline.batches.requests import estimate as module
from stt_pipeline.batches.requests.estimate import DEFAULT_REAL_TIME_FACTOR, Estimate, estimate
from stt_pipeline.errors import ConflictError, InvalidRequestError, UnreadableError
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import MAX_BYTES, scanned, write_tone


def write_mp3(path: Path, seconds: float) -> Path:
    """Write a tone as MP3, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.sin(2 * np.pi * 220 * np.arange(int(16_000 * seconds)) / 16_000)
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=16_000, layout="mono")
        stream.bit_rate = 32_000
        frame = av.AudioFrame.from_ndarray((samples[None] * 9000).astype("<i2"), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def look(database: Database, folder: Path, **wishes: object) -> Estimate:
    asked = {"file_pattern": "", "allowed": ALLOW_ALL, "model": "", "max_file_bytes": MAX_BYTES, **wishes}
    return estimate(database, source_path=str(folder), **asked)  # type: ignore[arg-type]


def test_hours_come_from_bytes_ending_by_ending(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(30):
        write_tone(folder / "2026" / f"{number}.wav", 2.0)
    for number in range(10):
        write_mp3(folder / "calls" / "mobile" / f"{number}.MP3", 20.0)
    (folder / "notes.txt").write_text("no recording")
    found = look(database, folder)
    sizes = [path.stat().st_size for path in folder.rglob("*.[wM]*")]
    assert (found.files, found.bytes) == (40, sum(sizes))
    assert found.is_complete
    assert found.listed == 44  # with three folders and the notes
    assert (found.sampled, found.unreadable) == (20, 0)
    assert found.audio_hours == pytest.approx((30 * 2 + 10 * 20) / 3600, rel=0.02)
    assert found.gpu_hours == pytest.approx(found.audio_hours * DEFAULT_REAL_TIME_FACTOR, abs=1e-4)
    assert "no speed was measured here yet" in found.basis
    assert look(database, folder) == found


def test_files_without_sound_count_as_such(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav", 10.0)
    (tmp_path / "b.wav").write_bytes(b"x" * (tmp_path / "a.wav").stat().st_size)
    (tmp_path / "c.wav").touch()
    write_tone(tmp_path / "large.wav", 60.0)
    found = look(database, tmp_path, max_file_bytes=400_000)
    assert (found.files, found.sampled, found.unreadable) == (4, 3, 2)
    assert found.audio_hours == pytest.approx(10 / 3600, rel=0.05)


def test_an_empty_source_and_one_without_any_sound(database: Database, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    found = look(database, tmp_path / "in")
    assert (found.files, found.audio_hours, found.is_complete, found.sampled) == (0, 0.0, True, 0)
    (tmp_path / "in" / "a.mp3").write_text("text")
    found = look(database, tmp_path / "in")
    assert (found.files, found.audio_hours, found.sampled, found.unreadable) == (1, 0.0, 1, 1)


def test_a_large_source_is_cut_off(database: Database, tmp_path: Path) -> None:
    for number in range(50):
        write_tone(tmp_path / f"{number}.wav", 0.1)
        (tmp_path / f"{number}.txt").touch()
    found = look(database, tmp_path, most_names=30)
    assert not found.is_complete
    assert found.listed == 30
    assert 0 < found.files <= 30
    found = look(database, tmp_path, listing_seconds=0.0)
    assert (found.listed, found.is_complete) == (0, False)
    # also where nothing matches
    assert look(database, tmp_path, file_pattern="*.flac", most_names=30).listed == 30


def test_the_time_is_what_it_took_here_with_the_same_model(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.wav", 36.0)
    for model, busy in (("", 180), ("demo", 90)):
        batch, _, _ = scanned(database, tmp_path / "in", options={"model": model})
        with database.begin() as connection:
            connection.execute(
                text(
                    "UPDATE stt_shards SET stage = 'done', audio_seconds = 1800, busy_seconds = :busy "
                    "WHERE batch_id = :batch"
                ),
                {"busy": busy, "batch": batch.id},
            )
    by_model = {model: look(database, tmp_path / "in", model=model) for model in ("", "demo", "large-v3")}
    assert by_model[""].gpu_hours == pytest.approx(0.001)
    assert "0.1000 seconds of work a second of audio, as measured here on 0.5 hours" in by_model[""].basis
    assert by_model["demo"].gpu_hours == pytest.approx(0.0005)
    assert "no speed was measured" in by_model["large-v3"].basis


def test_only_some_at_a_time(database: Database, tmp_path: Path) -> None:
    assert module._AT_A_TIME.acquire()
    assert module._AT_A_TIME.acquire()
    try:
        with pytest.raises(ConflictError, match="try again"):
            look(database, tmp_path)
    finally:
        module._AT_A_TIME.release(2)
    assert look(database, tmp_path).files == 0


def test_the_source_must_be_allowed(database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="STT_ALLOWED_SOURCES"):
        look(database, tmp_path, allowed=AllowedSources.for_api(""))
    with pytest.raises(InvalidRequestError, match="does not exist"):
        look(database, tmp_path / "nowhere")


class TestRoughDuration:
    @pytest.mark.parametrize("write", [write_tone, write_mp3])
    def test_it_is_near_after_a_part_and_exact_after_all(self, tmp_path: Path, write: object) -> None:
        path = write(tmp_path / "a.mp3", 40.0)  # type: ignore[operator]
        exact = probe(path).duration
        assert rough_duration(path, seconds=60.0) == exact
        assert rough_duration(path, seconds=0.0) == pytest.approx(exact, rel=0.1)

    def test_it_ends_in_time(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 8_000 * 3600))
        started = time.monotonic()
        assert rough_duration(path, seconds=0.01) == pytest.approx(3600.0, rel=0.01)
        in_part = time.monotonic() - started
        probe(path)
        assert in_part < (time.monotonic() - started) / 2

    def test_what_is_no_audio_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "a.wav").write_bytes(b"x" * 5000)
        with pytest.raises(UnreadableError):
            rough_duration(tmp_path / "a.wav", seconds=1.0)
