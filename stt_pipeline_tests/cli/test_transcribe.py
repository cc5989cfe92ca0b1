"""`stt transcribe`: files in, files out, and an error message of one line for each wrong argument."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import pytest

from stt_pipeline.audio.sound import Sound
from stt_pipeline.backends import FORMATS
from stt_pipeline.speech.models import find_files
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.cli.conftest import Stt
from stt_pipeline_tests.cli.terminals import Terminal
from stt_pipeline_tests.conftest import SAMPLES


@pytest.fixture(autouse=True)
def _demo_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_MODEL", "demo")
    monkeypatch.setenv("STT_DEVICE", "cpu")
    monkeypatch.setenv("STT_CPU_THREADS", "1")


def _excerpt(path: Path, seconds: int = 12) -> Path:
    """Write the first ``seconds`` of a sample to ``path``."""
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(SAMPLES / "weekly-budget.wav")) as sample, wave.open(str(path), "wb") as cut:
        cut.setparams(sample.getparams())
        cut.writeframes(sample.readframes(seconds * sample.getframerate()))
    return path


def _silence(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000))
    return path


def test_every_format_of_several_files_of_which_one_is_unreadable(stt: Stt, tmp_path: Path) -> None:
    meeting = "[초안] 주간 회의 :smile:"
    files = [
        _excerpt(tmp_path / "in" / f"{meeting}.wav"),
        tmp_path / "in" / "[red]bad.mp3",
        _silence(tmp_path / "in" / "b].wav"),
    ]
    files[1].write_text("this is text")
    folder = tmp_path / "out" / "["  # with markup, "[/b]" would close "[b]"
    ended = stt(
        "transcribe", *files, "--output-dir", folder, "--format", "txt,SRT, vtt,json,md,docx,html,rttm"
    )
    assert (ended.code, ended.out) == (1, "")
    *lines, note, summary = ended.err.splitlines()
    # the files finish in any order
    bad, good, silent = sorted(lines)
    assert good.startswith(f"{meeting}.wav: 12 s, ko, ")
    assert bad.startswith("[red]bad.mp3 cannot be decoded as audio")
    assert silent.startswith(f"b].wav: 1 s, no speech -> {folder}/b].txt, ")
    assert note.startswith("Transcribed by the demo model")
    assert summary.startswith("2 of 3 files transcribed: 13 s of audio in ")
    assert "times real time (real-time factor " in summary
    written = {path.name: path.read_bytes().decode(errors="replace") for path in folder.iterdir()}
    kinds = ("txt", "srt", "vtt", "json", "md", "docx", "html", "rttm")
    assert set(written) == {f"{stem}.{kind}" for stem in (meeting, "b]") for kind in kinds}
    assert written[f"{meeting}.rttm"].startswith("SPEAKER [초안]_주간_회의_:smile: 1 ")
    assert written["b].rttm"] == ""
    page = json.loads(written[f"{meeting}.json"])
    text = " ".join(segment["text"] for segment in page["segments"])
    assert "회의" in text
    assert page["minutes"]["summary"]
    assert all(segment["speaker"] for segment in page["segments"])
    for kind, mark in (
        ("srt", "-->"),
        ("vtt", "WEBVTT"),
        ("txt", "화자 1: "),
        ("md", "## "),
        ("html", "<audio "),
    ):
        assert mark in written[f"{meeting}.{kind}"]
        one_line = " ".join(written[f"{meeting}.{kind}"].split())  # lines of subtitles are short
        assert page["segments"][0]["text"] in one_line


def test_json_alone_has_minutes_too(stt: Stt, tmp_path: Path) -> None:
    file = _excerpt(tmp_path / "a.wav", 5)
    assert stt("transcribe", file, "--format", "json").code == 0
    assert json.loads((tmp_path / "a.json").read_text())["minutes"]["model"] == "extractive"


def test_a_folder_with_a_model_is_a_value_of_stt_model(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fine-tune in CTranslate2's format; here a copy of the demo model, which is not called demo."""
    folder = shutil.copytree(find_files("demo"), tmp_path / "한국어 모델")
    file = _excerpt(tmp_path / "a.wav", 5)
    pages = {}
    for model in ("demo", str(folder)):
        monkeypatch.setenv("STT_MODEL", model)
        assert stt("transcribe", file, "--diarizer", "none", "--format", "json").code == 0
        pages[model] = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    demo, fine_tuned = pages["demo"], pages[str(folder)]
    assert fine_tuned["model"] == str(folder)
    assert fine_tuned["segments"] == demo["segments"] != []
    assert not any("demo model" in note for note in fine_tuned["notes"])


@pytest.mark.slow
def test_options_without_a_flag(stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms are spelled as given, words are aligned, and the number of speakers is limited."""
    aligned = []

    def align(transcript: Transcript, sound: Sound, device: str) -> Transcript:
        aligned.append(device)
        return transcript

    monkeypatch.setattr("stt_pipeline.cli.transcribe.is_installed", lambda: True)
    monkeypatch.setattr("stt_pipeline.cli.transcribe.align", align)
    file = _excerpt(tmp_path / "a.wav", 25)
    assert stt("transcribe", file, "--language", "KO", "--format", "json").code == 0
    plain = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["segments"]
    assert len({segment["speaker"] for segment in plain}) == 2
    assert aligned == []
    options = ["max_speakers=1", 'terms={"MEETING": ["회의"]}', "align=true", "attendees=김 과장,이 대리"]
    ended = stt(
        "transcribe", file, "--format", "json", *(part for option in options for part in ("--option", option))
    )
    assert ended.code == 0, ended.err
    segments = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["segments"]
    assert len({segment["speaker"] for segment in segments}) == 1
    assert aligned == ["cpu"]
    assert "MEETING" in " ".join(segment["text"] for segment in segments)


def test_after_failed_diarization_the_text_is_written(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _excerpt(tmp_path / "a.wav")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))  # the diarizer keeps its audio there
    ended = stt("transcribe", file, "--output-dir", tmp_path / "out", "--format", "json,rttm")
    assert ended.code == 1
    assert "set TMPDIR to a folder with more" in ended.err
    assert "; its text is written without speakers." in ended.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.json"]
    page = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert page["segments"] and page["speakers"] == []


def test_names_that_differ_only_in_their_extension(stt: Stt, tmp_path: Path) -> None:
    files = [_silence(tmp_path / "a.wav"), tmp_path / "a.wave"]
    files[1].write_bytes(files[0].read_bytes())
    assert stt("transcribe", *files, *files, "--output-dir", tmp_path / "out").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.wav.txt", "a.wave.txt"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["a.wav", "--format", "pdf,txt"],
            f"--format knows {', '.join(FORMATS)}, separated by commas, not pdf.",
        ),
        (["a.wav", "--format", ","], "not nothing."),
        (["a.wav", "b.wav", "c.wav"], "Not a file: b.wav, c.wav. Nothing was transcribed."),
        (["."], "Not a file: "),
        (["a.wav", "n" * 300], "Not a file: nnn"),
        (["a.wav", "other/a.wav"], "Two files have the name a.wav: "),
        (["a.wav", "--output-dir", "a.wav/out"], "The folder a.wav/out cannot be written: Not a directory."),
        (["a.wav", "--output-dir", "a.wav"], "The folder a.wav cannot be written: File exists."),
        (["a.wav", "--model", "lrage"], "STT_MODEL=lrage is neither a folder nor a known model."),
        (["a.wav", "--model", "/no/such"], "/no/such does not exist"),
        (["a.wav", "--language", "ja"], "does not know the language 'ja'. It knows en, ko"),
        (["a.wav", "--language", "kr"], "Invalid --option: language: 'kr' is not a language code"),
        (["a.wav", "--language", "ko", "--multilingual"], "leave out one."),
        (
            ["a.wav", "--model", "small", "--option", "model=demo"],
            "--option model and --model set the same option",
        ),
        (["a.wav", "--option", "diarizer=best"], "Invalid --option: diarizer: "),
        (["a.wav", "--option", "model"], "--option needs NAME=VALUE, not 'model'."),
        (["a.wav", "--option", "modle=demo"], "Invalid --option: modle: there is no such option"),
        (["a.wav", "--option", "terms=API"], "--option terms needs JSON"),
        (["a.wav", "--option", "max_speakers=0"], "Invalid --option: max_speakers: "),
        (["a.wav", "--option", "model=lrage"], "STT_MODEL=lrage is neither a folder nor a known model."),
        (
            ["a.wav", "--option", "language=ko", "--language", "ko"],
            "--option language and --language set the same option: leave out one.",
        ),
        (["a.wav", "--option", "mail=each"], "--option mail is for batches: this command sends no mail."),
        (["a.wav", "--option", "mail_again=true"], "this command sends no mail."),
        (["a.wav", "--max-line-width", "3"], "max_line_width is 3: give 8 to 200 characters."),
        (["a.wav", "--max-cue-seconds", "nan"], "max_cue_seconds is nan: give 1 to 60 seconds."),
        (["a.wav", "--option", "align=true"], "needs the whisperx extra, which is not installed"),
    ],
)
def test_invalid_arguments_are_reported_in_one_line(
    stt: Stt, tmp_path: Path, arguments: list[str], said: str
) -> None:
    _silence(tmp_path / "a.wav")
    (tmp_path / "other").mkdir()
    _silence(tmp_path / "other" / "a.wav")
    ended = stt("transcribe", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    assert not list(tmp_path.rglob("*.txt"))


def test_a_name_that_leaves_no_room_for_the_extension_is_cut(stt: Stt, tmp_path: Path) -> None:
    names = ["a" * 251, "가" * 83 + "a"]  # 255 and 254 bytes with .wav
    files = [_silence(tmp_path / f"{name}.wav") for name in (*names, "b")]
    ended = stt("transcribe", *files, "--output-dir", tmp_path / "out", "--format", "json")
    assert ended.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{'a' * 250}.json",
        f"{'가' * 83}a.json",
        "b.json",
    }


def test_no_database_and_no_home_is_needed(stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _silence(tmp_path / "a.wav")
    monkeypatch.setenv("STT_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    monkeypatch.setenv("STT_HOME", str(file / "home"))
    assert stt("transcribe", file).code == 0


@pytest.mark.slow
def test_an_unreachable_hub_prints_no_stack_trace(tmp_path: Path) -> None:
    """In its own process, since the client of the hub reads its environment once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        hub = f"http://127.0.0.1:{closed.getsockname()[1]}"
    own = {"STT_MODEL": "small", "STT_DEVICE": "cpu", "HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": hub}
    command = [sys.executable, "-c", "from stt_pipeline.cli.main import run; run()", "transcribe"]
    ended = subprocess.run(
        [*command, str(_silence(tmp_path / "a.wav"))],
        env={**{name: value for name, value in os.environ.items() if not name.startswith("HF_")}, **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith(
        "The speech model small (Systran/faster-whisper-small) is not on this machine"
    )
    assert not list(tmp_path.glob("*.txt"))


@pytest.mark.slow
def test_a_terminal_shows_progress_bars(tmp_path: Path) -> None:
    files = [_excerpt(tmp_path / "a.wav", 4), _silence(tmp_path / "b.wav")]
    options = ("--hotwords", "예산, 김 과장", "--diarizer", "none")
    with Terminal("transcribe", *files, "--output-dir", tmp_path, *options) as terminal:
        assert terminal.end() == 0
        assert "0 of 2 files" in terminal.shown
        assert "0 s of 5 s" in terminal.shown
        assert "x real time" in terminal.shown
        assert "All 2 files transcribed: 5 s of audio in" in terminal.shown
    assert (tmp_path / "a.txt").stat().st_size


def test_a_recording_of_more_hours_than_the_setting(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_MAX_AUDIO_HOURS", "0.001")
    ended = stt("transcribe", _excerpt(tmp_path / "in" / "a.wav"), "--output-dir", tmp_path / "out")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(
        "a.wav has more than 0.001 hours of audio: cut it into parts, or raise STT_MAX_AUDIO_HOURS"
    )
