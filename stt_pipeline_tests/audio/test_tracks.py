"""Files with several audio tracks: which one is read, and what is said about it."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode_blocks
from stt_pipeline.audio.findings import Findings
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.mix import TrackMix
from stt_pipeline.audio.sound import Sound, SoundFile, all_samples
from stt_pipeline.errors import NoAudioError, UnreadableError
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcriber import FixedTranscriber
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.audio.sound_files import tone, write_tracks

SILENCE = np.zeros(16_000 * 6, np.float32)
LOW, HIGH = tone(6, hertz=300), tone(6, hertz=700)
containers = pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])


def tones(sound: Sound) -> set[int]:
    """Return the frequencies of the middle second."""
    samples = all_samples(sound)[2 * 16_000 : 3 * 16_000]
    spectrum = np.abs(np.fft.rfft(samples))
    return {int(hertz) for hertz in np.flatnonzero(spectrum > 1_000)}


@containers
@pytest.mark.parametrize(
    ("tracks", "default", "heard", "note"),
    [
        ([LOW, HIGH], 0, {300}, "track 1 was transcribed"),
        ([LOW, HIGH], 1, {700}, "track 2 was transcribed"),
        ([SILENCE, HIGH], 0, {700}, "track 1 is silent, so track 2 was transcribed"),
        ([LOW, SILENCE], 1, {300}, "track 2 is silent, so track 1 was transcribed"),
        ([SILENCE, SILENCE], 0, set(), "track 1 was transcribed"),
    ],
)
def test_the_default_track_or_the_one_with_sound(
    suffix: str,
    tracks: Sequence[np.ndarray],
    default: int,
    heard: set[int],
    note: str,
    tmp_path: Path,
) -> None:
    path = write_tracks(tmp_path / f"a.{suffix}", tracks, default=default)
    sound = SoundFile(path)
    assert tones(sound) == heard
    assert sound.notes == (f"The recording has 2 audio tracks; {note}.",)
    assert probe(path).duration == pytest.approx(6, abs=0.1)


def test_a_track_that_is_quiet_for_long_is_not_silent(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros(16_000 * 60, np.float32), tone(20)])
    sound = SoundFile(write_tracks(tmp_path / "a.mkv", [late, np.tile(HIGH, 10)]))
    all_samples(sound)
    assert "track 1 was" in sound.notes[0]


@containers
def test_a_number_chooses_a_track(suffix: str, tmp_path: Path) -> None:
    path = write_tracks(tmp_path / f"a.{suffix}", [LOW, HIGH])
    assert [tones(SoundFile(path, audio_track=number)) for number in ("1", "2")] == [{300}, {700}]
    for read in (lambda: list(decode_blocks(path, audio_track="3")), lambda: probe(path, audio_track="3")):
        with pytest.raises(NoAudioError, match=rf"a\.{suffix} has 2 audio tracks, so there is no track 3"):
            read()


@containers
def test_all_tracks_are_mixed(suffix: str, tmp_path: Path) -> None:
    path = write_tracks(tmp_path / f"a.{suffix}", [LOW, HIGH[: 16_000 * 4]])
    sound = SoundFile(path, audio_track="all")
    assert tones(sound) == {300, 700}
    assert len(all_samples(sound)) / 16_000 == pytest.approx(6, abs=0.1)
    assert probe(path, audio_track="all").duration == pytest.approx(6, abs=0.1)
    assert sound.notes == ("The recording has 2 audio tracks; all of them were mixed and transcribed.",)
    stereo = np.concatenate(list(sound.stereo_blocks()))
    assert stereo.shape[1] == 2


def test_one_track_needs_no_note(tmp_path: Path) -> None:
    for audio_track in ("auto", "all", "1"):
        sound = SoundFile(write_tracks(tmp_path / "a.mkv", [LOW]), audio_track=audio_track)
        assert tones(sound) == {300} and sound.notes == ()


@pytest.mark.parametrize("lengths", [(1, 7_000), (300, 16), (5_000, 5_000)])
def test_a_mix_is_the_sum_whatever_the_lengths_of_blocks(lengths: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    tracks = [random.normal(size=(length, 1)).astype(np.float32) for length in (20_000, 15_000)]
    mix, found, at = TrackMix(2), list[np.ndarray](), [0, 0]
    while any(begin < len(track) for begin, track in zip(at, tracks, strict=True)):
        for number, track in enumerate(tracks):
            block = track[at[number] : at[number] + lengths[number]]
            at[number] += len(block)
            if len(block):
                found += mix.add(number, block)
    found += mix.rest()
    expected = tracks[0].copy()
    expected[:15_000] += tracks[1]
    assert np.allclose(np.concatenate(found), expected)


def test_samples_of_64_bits_are_a_track_with_sound(tmp_path: Path) -> None:
    """PyAV cannot read them, so their level is not known."""
    path = tmp_path / "two.mkv"
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")
    sine = ["-f", "lavfi", "-i", "sine=d=3"]
    command = [program, "-v", "error", *sine, "-map", "0:a", "-map", "0:a", "-c:a", "pcm_s64le", str(path)]
    subprocess.run(command, check=True)
    assert len(all_samples(SoundFile(path))) == pytest.approx(3 * 16_000, abs=1_600)


def test_a_mix_waits_only_so_long_for_a_track() -> None:
    mix = TrackMix(2)
    one = np.ones(1 << 19, np.float32)
    given = [block for _ in range(40) for block in mix.add(0, one)]
    assert 16 < len(given) <= 40, "the other track has nothing"
    given += [*mix.add(1, one), *mix.rest()]
    total = np.concatenate(given)
    assert len(total) == 40 << 19 and total.max() == 1, "what comes too late is dropped"


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"track": -1},
        {"tracks": "2"},
        {"silent_track": None},
        {"track": 1 << 40},
        {"track": 1.5},
        {"end": float("nan")},
        {"length": -1},
        {"damaged_seconds": "1"},
        {"damaged_at": [1, 2, 3, 4]},
        {"damaged_at": ["x"]},
        {"damaged_at": {}},
    ],
)
def test_facts_of_a_child_are_checked(facts: dict[str, Any]) -> None:
    good = {
        "track": 1,
        "tracks": 1,
        "silent_track": 0,
        "end": 0,
        "length": 0.0,
        "damaged_seconds": 0,
        "damaged_at": [],
    }
    assert Findings.of(good, "a.mkv") == Findings()
    with pytest.raises(UnreadableError, match=r"a\.mkv cannot be decoded"):
        Findings.of(good | facts if facts else {}, "a.mkv")


def test_the_note_reaches_the_transcript_and_its_exports(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [SILENCE, HIGH])
    recording = Recording("it", lambda: nullcontext(SoundFile(path)))
    (outcome,) = WithPostprocessing(FixedTranscriber("안녕하세요.")).transcribe([recording])
    assert outcome.recording is recording and isinstance(outcome.result, Transcript)
    content = ExportContent("a.mkv", outcome.result, None, ())
    text = export_format("txt").write(content).decode()
    assert "1번 트랙에 소리가 없어 2번 트랙을 변환했습니다" in text


@pytest.mark.parametrize(
    ("code", "codec"),
    [("ac-4", "AC-4"), ("mhm1", "MPEG-H 3D Audio"), ("mha1", "MPEG-H 3D Audio"), ("zzzz", "")],
)
def test_a_codec_without_a_decoder_is_named(code: str, codec: str, tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mp4", [LOW])
    path.write_bytes(path.read_bytes().replace(b"mp4a", code.encode(), 1).replace(b"esds", b"free", 1))
    said = (
        f"a.mp4 cannot be decoded: its audio is {codec}, which FFmpeg cannot read here. Export the recording"
        if codec
        else "a.mp4 cannot be decoded as audio"
    )
    for audio_track in ("auto", "all", "1"):
        for read in (
            lambda track: list(decode_blocks(path, audio_track=track)),
            lambda track: probe(path, audio_track=track),
        ):
            with pytest.raises(UnreadableError) as raised:
                read(audio_track)
            assert str(raised.value).startswith(said)


def test_a_track_without_a_decoder_is_passed_over(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mp4", [LOW, HIGH])
    # the type of the first track's samples, and the box from which FFmpeg would tell that it is AAC
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzzz", 1).replace(b"esds", b"free", 1))
    assert tones(SoundFile(path)) == {700}
