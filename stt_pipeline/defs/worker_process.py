"""The process that executes a run, as a tag of the run: whether it is alive, and how it is killed.

Run launchers can only ask a process to end, and a process that hangs does not answer.
"""

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil

PROCESS_TAG = "stt/process"


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A process of a run.

    Attributes:
        run_id: the run; a re-execution copies the tags of its parent.
        machine: host name and, on Linux, PID namespace, because containers may have equal host names.
        pid: process id on that machine.
        started: start of the process, which tells it from a later one with the same id.
    """

    run_id: str
    machine: str
    pid: int
    started: str

    def is_gone(self) -> bool:
        """Return whether the process has ended; False for one on another machine, about which nothing is known."""
        return self.machine == _machine() and _started(self.pid) != self.started

    def kill(self) -> None:
        """Kill the process and its children, if it runs on this machine and is not this process."""
        if self.machine != _machine() or self.is_gone() or self.pid == os.getpid():
            return
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for member in [*process.children(recursive=True), process]:
                with suppress(psutil.Error):
                    member.send_signal(signal.SIGKILL)


def tag_process(instance: dg.DagsterInstance, run: dg.DagsterRun, *, pid: int | None = None) -> None:
    """Tag a run with its process, so that the dispatcher can tell whether it is alive; without ``pid``, with this one."""
    pid = pid or os.getpid()
    if started := _started(pid):
        instance.add_run_tags(run.run_id, {PROCESS_TAG: f"{run.run_id} {_machine()} {pid} {started}"})


def process_of(run: dg.DagsterRun) -> WorkerProcess | None:
    """Return the process of a run; None before its first step."""
    match run.tags.get(PROCESS_TAG, "").split():
        case [run.run_id, machine, pid, started]:
            return WorkerProcess(run.run_id, machine, int(pid), started)
        case _:
            return None


def _machine() -> str:
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{namespace.readlink() if namespace.exists() else ''}"


def _started(pid: int) -> str | None:
    """Return when a process started; None if it has ended.

    On Linux it is counted from the boot, because the clock may be set while the process runs.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        # field 22; the name of the program, in brackets, may contain spaces
        return (
            stat.read_text().rpartition(")")[2].split()[19] if stat.exists() else str(process.create_time())
        )
    except (psutil.Error, OSError):
        return None
