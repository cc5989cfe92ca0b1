"""CPU time of processes and of all that they started: what has ended is part of it, if its parent waited for it."""

from contextlib import suppress
from pathlib import Path

import psutil

from stt_pipeline.store.server.postmaster import running_postmaster


def cpu_seconds(root: psutil.Process) -> float:
    """Return the user and system seconds of a process and of all that it started, so far."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # then its parent's times have it
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def stack_cpu_seconds(postgres_folder: Path) -> dict[str, float]:
    """Return the CPU seconds of the stack that this process runs: its runs, Postgres, and the other servers."""
    children = psutil.Process().children(recursive=True)
    (code_server,) = (process for process in children if "grpc" in process.cmdline())
    times = code_server.cpu_times()
    runs = cpu_seconds(code_server) - times.user - times.system  # the code server starts them
    servers = sum(cpu_seconds(process) for process in psutil.Process().children()) - runs
    postmaster = running_postmaster(postgres_folder)
    assert postmaster is not None
    return {"runs": runs, "postgres": cpu_seconds(psutil.Process(postmaster.pid)), "servers": servers}
