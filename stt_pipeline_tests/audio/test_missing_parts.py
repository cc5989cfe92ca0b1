"""Truncated and damaged files: what is missing is said, and nothing is said about whole files."""

import struct
from contextlib import nullcontext
from pathlib import Path

import pytest

from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sound import SoundFile, all_samples
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcriber import FixedTranscriber
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.audio.sound_files import (
    CODECS,
    damage,
    tone,
    write_pauses,
    write_sound,
    write_tracks,
    write_wav_header,
)


def notes(path: Path) -> tuple[str, ...]:
    sound = SoundFile(path)
    all_samples(sound)
    return sound.notes


def truncated(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    return path


def index_first(path: Path) -> Path:
    """Move the index of an MP4 to its beginning, as for the web."""
    import av

    moved = path.with_name(f"moved{path.suffix}")
    with (
        av.open(str(path)) as container,
        av.open(str(moved), "w", options={"movflags": "faststart"}) as copy,
    ):
        stream = copy.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(container.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return moved


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "m4a", "mkv", "webm"])
def test_a_truncated_file_says_where_it_ends(suffix: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / f"a.{suffix}", tone(20, 48_000), 48_000)
    path = truncated(index_first(path) if suffix == "m4a" else path)
    sound = SoundFile(path)
    end = len(all_samples(sound)) / 16_000
    (note,) = sound.notes
    found = note.removeprefix("The file ends after ").removesuffix(" s of 20.0 s.")
    assert float(found) == pytest.approx(end, abs=0.1)
    assert 8 < end < 12


@pytest.mark.parametrize("suffix", ["flac", "mp3", "m4a", "mkv", "webm", "ogg"])
def test_damage_inside_is_said(suffix: str, tmp_path: Path) -> None:
    path = damage(write_sound(tmp_path / f"a.{suffix}", tone(20, 48_000), 48_000), 0.5, 0.6)
    (note,) = notes(path)
    seconds, _, place = note.removesuffix(" s.").partition(" s could not be decoded at ")
    assert 1 < float(seconds) < 6
    assert float(place.split(" s")[0]) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("suffix", CODECS)
def test_a_whole_file_has_no_note(suffix: str, tmp_path: Path) -> None:
    assert notes(write_sound(tmp_path / f"a.{suffix}", tone(20, 48_000), 48_000)) == ()


def test_a_pause_of_the_recorder_is_no_damage(tmp_path: Path) -> None:
    assert notes(write_sound(tmp_path / "a.webm", tone(4, 48_000), 48_000, silent_from=2)) == ()
    assert notes(write_pauses(tmp_path / "a.mkv", packets=50, pause=5.0)) == ()


def test_a_late_track_or_a_long_picture_is_no_damage(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv"):
        assert notes(write_tracks(tmp_path / f"a.{suffix}", [tone(4)], starts=[3.0], film=15)) == ()


@pytest.mark.parametrize("seconds", [1e11, 2e6])
def test_a_header_with_an_impossible_length_is_wrong(seconds: float, tmp_path: Path) -> None:
    """It promises weeks: the file is decoded, without a note."""
    path = write_tracks(tmp_path / "a.mka", [tone(3)])
    content = bytearray(path.read_bytes())
    for code, form in ((b"\x44\x89\x88", ">d"), (b"\x44\x89\x84", ">f")):
        if (at := content.find(code)) >= 0:
            struct.pack_into(form, content, at + 3, seconds * 1000)
            break
    else:
        pytest.fail("the file has no duration")
    path.write_bytes(content.replace(b"DURATION", b"DURATIO_"))
    assert notes(path) == ()


def test_a_few_lost_packets_need_no_note(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.m4a", tone(20, 48_000), 48_000)
    assert notes(damage(path, 0.5, 0.51)) == ()
    path = write_sound(tmp_path / "a.flac", tone(20))
    assert notes(truncated(path, 0.97)) == ()


def test_a_wav_whose_header_was_not_updated_is_read_to_its_end(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(11))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (2 * 2 * 16_000).to_bytes(4, "little")
    path.write_bytes(content)
    sound = SoundFile(path)
    assert len(all_samples(sound)) / 16_000 == pytest.approx(11, abs=0.01)
    assert probe(path).duration == pytest.approx(11, abs=0.01)
    assert sound.notes == ()


def test_chunks_behind_the_samples_of_a_wav_are_no_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(2))
    with path.open("ab") as file:
        file.write(b"LIST" + (200_000).to_bytes(4, "little") + bytes(200_000))
    assert len(all_samples(SoundFile(path))) == 2 * 16_000


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0x7FFFFFFF, 0])
def test_a_streamed_wav_has_a_placeholder_as_its_size(claimed: int, tmp_path: Path) -> None:
    path = write_wav_header(tmp_path / "a.wav", rate=16_000, claimed=claimed)
    with path.open("ab") as file:
        file.write(bytes(range(256)) * 500)
    if claimed:
        assert notes(path) == ()


def test_an_mp3_without_a_count_of_frames(tmp_path: Path) -> None:
    """Its length is an estimate from the bit rate."""
    path = write_sound(tmp_path / "a.mp3", tone(20))
    content = path.read_bytes()
    assert b"Info" in content or b"Xing" in content
    path.write_bytes(content.replace(b"Info", b"none").replace(b"Xing", b"none"))
    assert notes(path) == ()


def test_damage_in_an_mp3_that_is_also_truncated(tmp_path: Path) -> None:
    path = damage(write_sound(tmp_path / "a.mp3", tone(60)), 0.2, 0.21)
    (note,) = notes(truncated(path))
    assert note.startswith("The file ends after 29") or note.startswith("The file ends after 30")


def test_the_note_reaches_the_exports(tmp_path: Path) -> None:
    path = truncated(write_sound(tmp_path / "a.flac", tone(20)))
    recording = Recording("it", lambda: nullcontext(SoundFile(path)))
    (outcome,) = WithPostprocessing(FixedTranscriber("안녕하세요.")).transcribe([recording])
    assert isinstance(outcome.result, Transcript)
    for format in ("txt", "md", "html", "srt", "vtt"):
        text = export_format(format).write(ExportContent("a.flac", outcome.result, None, ())).decode()
        assert "파일이 20.0초 중 " in text.replace("\n", " "), format
