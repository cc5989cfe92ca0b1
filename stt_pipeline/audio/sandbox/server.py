"""The fork server: a process with an empty environment that has loaded FFmpeg, and forks a child for each task.

It reads requests only, never media, and it sends nothing but the exit status of children.
"""

import gc
import importlib
import io
import os
import pkgutil
import select
import signal
import socket
import wave
from typing import NoReturn

from stt_pipeline.audio.sandbox import messages
from stt_pipeline.audio.sandbox.child import run_task
from stt_pipeline.audio.sandbox.messages import Request

_FILE, _OUTPUT = 3, 4  # descriptors of a child; 0 to 2 are /dev/null
_DESCRIPTORS = 3  # of a request


def main(control: int) -> None:
    """Serve requests of the socket ``control`` until its other end is closed; then end all children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the socket
    _load_everything()
    gc.collect()
    gc.freeze()  # a child does not copy the pages of these objects to mark them
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)  # until here it was for an error of the start
    os.close(nothing)
    _Server(socket.socket(fileno=control)).serve()


def _load_everything() -> None:
    """Import all of PyAV, and decode a second of silence in three channels: a confined child cannot import a module."""
    import av

    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)  # PyAV imports its codecs of subtitles when a file has some
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((3, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(6 * 16_000))
    size = len(content.getvalue())
    arguments = {"sample_rate": 8_000, "layout": "mono"}
    for request in (Request("decode", size=size, arguments=arguments), Request("probe", size=size)):
        content.seek(0)
        reader, writer = socket.socketpair()
        with reader, writer:
            run_task(request, content, writer)


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, socket.socket] = {}  # a socket for the exit status, by process id
        self._killed: dict[int, socket.socket] = {}
        self._wakeup, self._wakeup_writer = socket.socketpair()
        self._wakeup.setblocking(False)
        self._wakeup_writer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        control.sendall(messages.READY)

    def serve(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            for pid in self._running:
                os.kill(pid, signal.SIGKILL)

    def _turn(self) -> bool:
        """Wait for something to do; return False when the parent has gone."""
        readable, _, _ = select.select([self._control, self._wakeup, *self._running.values()], [], [])
        for pid, status in list(self._running.items()):
            if status in readable:  # its reader has gone; it is not reaped yet, so the id is its own
                os.kill(pid, signal.SIGKILL)
                self._killed[pid] = self._running.pop(pid)
        if self._wakeup in readable:
            self._wakeup.recv(4096)
            self._reap()
        return self._control not in readable or self._start()

    def _start(self) -> bool:
        """Fork a child for the request that has come; return False at the end of requests."""
        content, descriptors, _, _ = socket.recv_fds(self._control, messages.MAX_REQUEST, _DESCRIPTORS)
        if not content:
            return False
        file, output, status = descriptors
        try:
            pid = os.fork()
        except OSError:
            os.close(status)
            self._control.sendall(messages.NOT_STARTED)
        else:
            if pid == 0:
                _child(content, file, output)
            self._running[pid] = socket.socket(fileno=status)
            self._control.sendall(messages.STARTED)
        os.close(file)
        os.close(output)
        return True

    def _reap(self) -> None:
        while self._running or self._killed:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._running.pop(pid, None) or self._killed.pop(pid) as reader:
                try:
                    reader.send(messages.EXIT.pack(os.waitstatus_to_exitcode(status)))
                except OSError:
                    continue  # it has gone


def _child(content: bytes, file: int, output: int) -> NoReturn:
    """Run a task and end this process. Nothing of the server is left open: other tasks have sockets there."""
    exit_status = messages.NO_RIGHTS_GIVEN_UP
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        first_free = max(_OUTPUT, file, output) + 1
        for number, (source, target) in enumerate(((file, _FILE), (output, _OUTPUT))):
            os.dup2(source, first_free + number)
            os.dup2(first_free + number, target)
        os.closerange(_OUTPUT + 1, os.sysconf("SC_OPEN_MAX"))
        request = Request.from_bytes(content)
        raw = io.FileIO(_FILE, "rb", closefd=False)
        raw.name = f"recording{request.suffix}"  # how PyAV gets it
        run_task(request, io.BufferedReader(raw), socket.socket(fileno=_OUTPUT), confined=True)
        exit_status = 0
    finally:
        os._exit(exit_status)
