"""Open a local recording for the decoder, and refuse what needs no decoder to be refused."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.sandbox.client import SHARED
from stt_pipeline.audio.sandbox.messages import Request, TaskName
from stt_pipeline.audio.sandbox.task import DecoderTask
from stt_pipeline.errors import TooLongError, UnreadableError

_MAX_SUFFIX = 16  # characters; longer ones belong to no format


def start_task(task: TaskName, path: Path, arguments: dict[str, Any]) -> DecoderTask:
    """Start a task on the file at ``path``.

    Raises:
        UnreadableError: not a file, empty, or not readable.
        ConfigurationError: the decoder process does not start.
        DecoderLostError: the decoder process was killed; another attempt may succeed.
    """
    name = display_name(path)
    suffix = path.suffix if path.suffix.isascii() and len(path.suffix) <= _MAX_SUFFIX else ""
    with _opened(path, name) as (file, size):
        if size == 0:
            raise UnreadableError(f"{name} is empty (0 bytes): copy or upload it again from the recorder.")
        return SHARED.server().start(Request(task, name, suffix, size, arguments), file)


def check_length(path: Path, seconds: float, max_hours: float) -> None:
    """Raise a TooLongError if a recording has more audio than is allowed."""
    if seconds > max_hours * 3600:
        raise TooLongError(
            f"{display_name(path)} has more than {max_hours:g} hours of audio: cut it into parts, or raise "
            "STT_MAX_AUDIO_HOURS and try it again."
        )


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[int, int]]:
    """Yield a descriptor and the size of a regular file."""
    file = None
    try:
        # without O_NONBLOCK, opening a pipe waits for a writer
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(file)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
    except OSError as error:
        if file is not None:
            os.close(file)
        raise UnreadableError(
            f"{name} cannot be read ({error.strerror}): check the path and its permissions."
        ) from error
    try:
        yield file, found.st_size
    finally:
        os.close(file)
