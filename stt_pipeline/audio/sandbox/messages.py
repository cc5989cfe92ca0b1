"""What the decoder's processes send each other: the request of a task, and frames of samples or JSON.

Nothing is pickled, and each frame has a limit: the sender of frames is a process that untrusted media may control.
"""

import json
import struct
from dataclasses import asdict, dataclass, field
from socket import socket
from typing import Any, Literal

HEADER = struct.Struct("<cI")
"""Head of a frame: its kind, and the number of bytes that follow."""

CHANNELS, SAMPLES, PROGRESS, RESULT, ERROR = b"C", b"S", b"P", b"R", b"E"
"""Kinds of frames: the number of channels, one byte, before the first samples; float32 samples, interleaved; a sign of
life; the last frame of a task, as JSON; its error, as JSON."""

LIMITS = {CHANNELS: 1, SAMPLES: 32 << 20, PROGRESS: 0, RESULT: 64 << 10, ERROR: 64 << 10}
"""The most bytes of a frame, by its kind. Blocks of samples have at most half a million samples a channel."""

EXIT = struct.Struct("<i")
"""The wait status of a child, which the fork server sends when it has ended."""

READY, STARTED, NOT_STARTED = b"R", b"S", b"N"
"""Answers of the fork server: it serves; a child was forked; the system could not fork."""

MAX_TEXT = 8_000
"""Characters of an error's message; an unexpected error has a stack trace."""

MAX_REQUEST = 16 << 10
"""Bytes of a request, less than what a Unix socket takes at once."""

NO_RIGHTS_GIVEN_UP = 70
"""Exit status of a child that read nothing, because it could not be confined (EX_SOFTWARE of sysexits.h)."""

Layout = Literal["mono", "stereo", "apart"]
"""How channels are given: mixed to one, mixed to two, or each channel of the recording by itself."""

TaskName = Literal["decode", "probe", "rough_duration", "confinement"]
ErrorKind = Literal["unreadable", "no_audio", "internal"]


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """Limits of a child.

    Attributes:
        memory_bytes: address space, of which the interpreter and FFmpeg take about 0.3 GB.
        cpu_seconds: CPU time.
        stall_seconds: wall time without a frame, while the reader waits for one.
    """

    memory_bytes: int = 1 << 30
    cpu_seconds: int = 3600  # an hour of any codec takes 2 to 20 s; a day of the slowest is below ten minutes
    stall_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Request:
    """A task for one recording.

    Attributes:
        task: what to do.
        name: display name of the recording, for messages.
        suffix: its extension with the dot; FFmpeg recognizes some formats by it.
        size: bytes of the file.
        arguments: keyword arguments of the task.
        limits: limits of the child.
    """

    task: TaskName
    name: str = ""
    suffix: str = ""
    size: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)
    limits: TaskLimits = field(default_factory=TaskLimits)

    def to_bytes(self) -> bytes:
        """Return the request as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Request":
        """Read :meth:`to_bytes`; only the fork server reads requests."""
        fields = json.loads(content)
        return cls(**fields | {"limits": TaskLimits(**fields["limits"])})


def send(to: socket, kind: bytes, content: bytes | memoryview = b"") -> None:
    """Send a frame."""
    to.sendall(HEADER.pack(kind, len(content)))
    to.sendall(content)


def send_json(to: socket, kind: bytes, value: dict[str, Any]) -> None:
    """Send a frame of JSON."""
    send(to, kind, json.dumps(value).encode())
