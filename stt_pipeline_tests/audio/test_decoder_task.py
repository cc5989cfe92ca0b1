"""What a child answers is checked: a recording may have taken it over."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stt_pipeline.audio.probe import AudioInfo, probe
from stt_pipeline.audio.sandbox import messages
from stt_pipeline.audio.sandbox.client import DecoderServer
from stt_pipeline.audio.sandbox.messages import Request
from stt_pipeline.audio.sandbox.task import DecoderTask
from stt_pipeline.errors import NoAudioError, UnreadableError
from stt_pipeline_tests.audio.sound_files import tone, write_sound


@contextmanager
def answered(*frames: bytes) -> Iterator[DecoderTask]:
    """A task whose child has sent these bytes and ended."""
    ours, theirs = socket.socketpair()
    status, their_status = socket.socketpair()
    with theirs, their_status:
        theirs.sendall(b"".join(frames))
        their_status.sendall(messages.EXIT.pack(0))
    with DecoderTask(Request("probe", "a.wav"), ours, status) as task:
        yield task


def frame(kind: bytes, content: bytes) -> bytes:
    return messages.HEADER.pack(kind, len(content)) + content


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        frame(b"?", b"{}"),
        messages.HEADER.pack(messages.SAMPLES, 1 << 31),
        messages.HEADER.pack(messages.RESULT, 1 << 20),
        frame(messages.PROGRESS, b"x"),
        frame(messages.RESULT, b"[1]"),
        frame(messages.RESULT, b"[" * 60_000),
        frame(messages.RESULT, b"\xff\xfe{}"),
        frame(messages.ERROR, b"null"),
        frame(messages.SAMPLES, bytes(4)),
    ],
)
def test_an_invalid_answer_is_an_error_of_its_file(sent: bytes) -> None:
    with answered(sent) as task, pytest.raises(UnreadableError, match=r"a\.wav cannot be decoded"):
        task.result()


@pytest.mark.parametrize(
    "sent",
    [
        *(frame(messages.CHANNELS, b"\2") + frame(messages.SAMPLES, bytes(length)) for length in (0, 3, 12)),
        frame(messages.SAMPLES, bytes(8)),
        frame(messages.CHANNELS, b"\0") + frame(messages.SAMPLES, bytes(8)),
        frame(messages.CHANNELS, b""),
        frame(messages.CHANNELS, b"\2") * 2 + frame(messages.SAMPLES, bytes(8)),
    ],
)
def test_samples_are_whole(sent: bytes) -> None:
    with (
        answered(sent) as task,
        pytest.raises((UnreadableError, ValueError)),
    ):
        list(task.blocks())


def test_the_text_of_an_error_is_bounded_and_printable() -> None:
    error = json.dumps({"kind": "no_audio", "message": "\x1b[31m" + "a" * 50_000}).encode()
    with answered(frame(messages.ERROR, error)) as task, pytest.raises(NoAudioError) as raised:
        task.result()
    assert str(raised.value).isprintable() and len(str(raised.value)) <= 1_000


@pytest.mark.parametrize(
    "change",
    [
        {"duration": float("nan")},
        {"duration": -1},
        {"duration": "1"},
        {"sample_rate": 1 << 40},
        {"channels": None},
        {"codec": "a\nb"},
        {"container": "x" * 200},
    ],
)
def test_properties_are_checked(
    change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1))
    good = {"duration": 1.0, "sample_rate": 16_000, "channels": 1, "codec": "pcm", "container": "wav"}
    for properties_, is_valid in ((good, True), (good | change, False)):
        with answered(frame(messages.RESULT, json.dumps(properties_).encode())) as task:
            monkeypatch.setattr(DecoderServer, "start", lambda server, request, file, task=task: task)
            if is_valid:
                assert probe(path) == AudioInfo(**good)  # type: ignore[arg-type]
            else:
                with pytest.raises(UnreadableError, match="has no valid"):
                    probe(path)
