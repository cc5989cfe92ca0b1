"""Take all rights from this process that decoding does not need. What a kernel has not is left out, and reported.

The limits of POSIX alone allow no new file, socket or process; seccomp and Landlock of Linux are further walls.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

from stt_pipeline.audio.sandbox.messages import TaskLimits
from stt_pipeline.audio.sandbox.seccomp import apply_seccomp

_NOBODY = 65_534
# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
# the same numbers on all architectures
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_LANDLOCK_FILE_RIGHTS = {
    1: 13,
    2: 14,
    3: 15,
    4: 15,
}  # bits of handled_access_fs by the ABI's version; later: 16

# loaded before any child is forked, because a confined process cannot open a library
_LIBC = ctypes.CDLL(None, use_errno=True)


def confine(limits: TaskLimits) -> dict[str, bool]:
    """Confine this process permanently. Its open files stay usable.

    Returns:
        the measures that this kernel may not have, and whether each is on.

    Raises:
        OSError: a limit that every kernel has was refused; nothing untrusted may be read then.
    """
    with suppress(OSError):  # the kernel ends this process first when memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    _give_up_root()
    is_linux = sys.platform == "linux"
    if is_linux:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which resets it
        _prctl(_PR_SET_DUMPABLE, 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    landlock = is_linux and _apply_landlock()
    _set_limits(limits)
    return {"Landlock": landlock, "seccomp": apply_seccomp(_LIBC)}


def _give_up_root() -> None:
    if os.geteuid() != 0:
        return
    with suppress(OSError):  # a user namespace may have no other user
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _set_limits(limits: TaskLimits) -> None:
    """Set the limits of POSIX; a hard limit cannot be raised again."""
    # CPU: the soft limit ends the process with SIGXCPU, by which its parent knows the reason
    hard = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # no new descriptor, also after one is closed
        resource.RLIMIT_CPU: limits.cpu_seconds + 10,
    }
    if sys.platform == "linux":  # macOS refuses it
        hard[resource.RLIMIT_AS] = limits.memory_bytes
    for kind, value in hard.items():
        soft = limits.cpu_seconds if kind == resource.RLIMIT_CPU else value
        resource.setrlimit(kind, (soft, value))


def _apply_landlock() -> bool:
    """Deny all access to the file system, and to TCP, abstract sockets and signals where the kernel's ABI has them."""
    version = _LIBC.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = (1 << _LANDLOCK_FILE_RIGHTS.get(version, 16)) - 1
    # struct landlock_ruleset_attr: handled_access_fs; since 4 handled_access_net; since 6 scoped
    fields = [rights, *([0b11] if version >= 4 else []), *([0b11] if version >= 6 else [])]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _LIBC.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        return bool(_LIBC.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _prctl(option: int, value: int) -> None:
    # a C function with variable arguments reads unsigned longs
    if _LIBC.prctl(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0) for _ in range(3))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
