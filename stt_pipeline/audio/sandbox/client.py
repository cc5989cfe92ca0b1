"""The fork server as this process sees it: start it, start tasks in it, end it.

`task` reads what a task sends.
"""

import atexit
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from stt_pipeline.audio.sandbox import messages
from stt_pipeline.audio.sandbox.messages import Request
from stt_pipeline.audio.sandbox.task import ANSWER_SECONDS, DecoderTask
from stt_pipeline.errors import ConfigurationError, DecoderLostError

_START_SECONDS = 60.0  # it loads FFmpeg in 0.3 s, on a machine with nothing else to do
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from stt_pipeline.audio.sandbox.server import main; main(int(sys.argv[2]))"
)


class DecoderServer:
    """A fork server of this process. Any thread may start tasks."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Start the process and wait until it serves.

        Args:
            answer_seconds: the most that it may take for an answer, before it is killed.

        Raises:
            ConfigurationError: it did not start.
        """
        self._lock = threading.Lock()
        self._answer_seconds = answer_seconds
        self._control, theirs = socket.socketpair()
        paths = json.dumps([os.path.abspath(path) for path in sys.path])  # noqa: PTH100 ("" is the working folder)
        command = [sys.executable, "-I", "-X", "utf8", "-c", _BOOT, paths, str(theirs.fileno())]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C and signals to this process's group are not for it
                )
            except OSError as error:
                self._control.close()
                raise ConfigurationError(
                    f"The decoder process does not start: {error}. Run `stt doctor`."
                ) from error
        self._await_start()

    @property
    def pid(self) -> int:
        """Process id of the fork server."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def start(self, request: Request, file: int) -> DecoderTask:
        """Start a task on the open file with the descriptor ``file``, which the caller may close then.

        Raises:
            DecoderLostError: the server has ended, or the system has no process left.
        """
        output, child_output = socket.socketpair()
        status, child_status = socket.socketpair()
        task = DecoderTask(request, output, status)
        with child_output, child_status:
            descriptors = [file, child_output.fileno(), child_status.fileno()]
            answer = self._ask(request.to_bytes(), descriptors)
        if answer != messages.STARTED:
            task.__exit__()
            raise DecoderLostError(
                f"{request.name} was not decoded: no decoder could be started. It is tried again."
            )
        return task

    def close(self) -> None:
        """End the process and its children."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ANSWER_SECONDS)
        if self.is_alive:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """Close this process's end after a fork: the server belongs to the parent."""
        self._control.close()
        self._process.returncode = 0  # not a child of this process, so it cannot be waited for

    def _ask(self, content: bytes, descriptors: list[int]) -> bytes:
        # one request at a time is in the socket, so that no two are read as one
        with self._lock:
            with suppress(OSError):
                self._control.settimeout(self._answer_seconds)
                socket.send_fds(self._control, [content], descriptors)
                if answer := self._control.recv(1):
                    return answer
            self._process.kill()  # a late answer would be taken for that of the next request
            self._process.wait()
        return b""

    def _await_start(self) -> None:
        self._control.settimeout(_START_SECONDS)
        answer = b""
        with suppress(OSError):
            answer = self._control.recv(1)
        assert self._process.stderr is not None
        with self._process.stderr as errors:
            if answer == messages.READY:
                return
            self._process.kill()
            lines = errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        reason = lines[-1] if lines else f"no answer within {_START_SECONDS:.0f} s"
        raise ConfigurationError(f"The decoder process does not start: {reason}. Run `stt doctor`.")


def missing_measures_of(server: DecoderServer) -> list[str]:
    """Return the measures that confine a child on other kernels, and are missing on this one.

    Raises:
        FileError: a child could not be started or confined.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        with server.start(Request("confinement", "A test"), nothing) as task:
            return [name for name, is_on in task.result().items() if not is_on]
    finally:
        os.close(nothing)


class SharedDecoderServer:
    """A fork server that is started at the first use, and again after it was killed. Any thread may use it."""

    def __init__(self, measures: Callable[[DecoderServer], list[str]] = missing_measures_of) -> None:
        """Start nothing yet. ``measures`` returns the missing measures, of which each start warns."""
        self._measures = measures
        self._lock = threading.Lock()
        self._server: DecoderServer | None = None

    def server(self) -> DecoderServer:
        """Return the running server.

        Raises:
            ConfigurationError: it does not start.
            FileError: it cannot start a child.
        """
        with self._lock:
            if self._server is not None and not self._server.is_alive:
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = DecoderServer()
                self._warn(self._server)
            return self._server

    def close(self) -> None:
        """End the server and its children."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def after_fork(self) -> None:
        """Leave the server to the parent of this process, in which threads may have held the lock."""
        self._lock = threading.Lock()
        if self._server is not None:
            self._server.abandon()
            self._server = None

    def _warn(self, server: DecoderServer) -> None:
        if missing := self._measures(server):
            logging.getLogger(__name__).warning(
                "Media is decoded in a process with limits, but without %s: this kernel does not have it. See `stt doctor`.",
                " and ".join(missing),
            )


SHARED = SharedDecoderServer()
"""The fork server of this process."""

atexit.register(SHARED.close)
os.register_at_fork(after_in_child=SHARED.after_fork)


def _environment() -> dict[str, str]:
    """Return the environment of the fork server: no secret of this process, and one thread for the matrices of NumPy."""
    kept = {
        name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ
    }  # Python may need it
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
