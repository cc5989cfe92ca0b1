"""Only one stack runs on an ``STT_HOME``: the lock, and what it tells others. Starts and stops nothing."""

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
    """What a stack says of itself in ``STT_HOME/stack.json``."""

    pid: int
    ui_url: str
    code_server: str


class StackLock:
    """The lock on ``stack.json``, a context manager. The system drops it when the process ends, however that is.

    Attributes:
        before: the stack that had the claim and was killed, None after a good end.
    """

    before: RunningStack | None

    def __init__(self, home: Path) -> None:
        """Nothing is written before entry."""
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
        self.before = _read(self._home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others in."""
        self._file.close()

    def record(self, stack: RunningStack | None) -> None:
        """Write who has the claim; None is a good end, after which nothing is left to clean up."""
        self._file.truncate(0)
        if stack:
            self._file.write(json.dumps(asdict(stack)))
        self._file.flush()


def running_stack(settings: Settings) -> RunningStack | None:
    """Return the stack that runs on this ``STT_HOME``, or None."""
    home = settings.home.absolute()
    # a home that is missing or cannot be read has no stack of ours; whoever needs it says what is wrong with it
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
