"""The lock that lets one stack run on an ``STT_HOME``, and the record of that stack. It starts and stops nothing."""

import fcntl
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings


@dataclass(frozen=True)
class RunningStack:
    """The record of a stack in ``STT_HOME/stack.json``."""

    pid: int
    ui_url: str
    code_server: str


class StackLock:
    """The lock on ``stack.json``, a context manager. The system releases it when the process ends, also after SIGKILL.

    Attributes:
        crashed: the last stack that had the lock, if it was killed; None after a normal end.
    """

    crashed: RunningStack | None

    def __init__(self, home: Path) -> None:
        """Create the lock; nothing is written before entry."""
        self._home = home

    def __enter__(self) -> "StackLock":
        """Take the lock.

        Raises:
            ConfigurationError: another stack has it, or ``STT_HOME`` cannot be used.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._file = _path(self._home).open("a+")
        except OSError as error:
            raise ConfigurationError(
                f"STT_HOME is {self._home}, which this user cannot use: {error.strerror}. Set it to a folder of yours."
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = _read(self._home)
            where = f"process {other.pid}, UI {other.ui_url}" if other else "it is just starting"
            raise ConfigurationError(f"`stt up` already runs on {self._home}: {where}.") from None
        self.crashed = _read(self._home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        self._file.close()

    def record(self, stack: RunningStack | None) -> None:
        """Write the stack that has the lock; None after a normal end, when there is nothing to clean up."""
        self._file.truncate(0)
        if stack:
            self._file.write(json.dumps(asdict(stack)))
        self._file.flush()


def running_stack(settings: Settings) -> RunningStack | None:
    """Return the stack that runs on this ``STT_HOME``, or None."""
    home = settings.home.absolute()
    # a home that is missing or unreadable has no stack; the code that needs the home reports the error
    with suppress(OSError), _path(home).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(home)
    return None


def _path(home: Path) -> Path:
    return home / "stack.json"


def _read(home: Path) -> RunningStack | None:
    try:
        return RunningStack(**json.loads(_path(home).read_text()))
    except (ValueError, TypeError):  # empty, or written by another version
        return None
