"""A seccomp filter for a process that only computes: it may use memory, and read and write its open files.

The list names what is allowed, so that system calls of future kernels are refused too. A refused call fails with EPERM.
"""

import ctypes
import errno
import platform
import struct
import sys

# Numbers from the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. None of these calls
# opens a file, makes a socket, a process or a thread, or sends a signal.
_ALLOWED = {
    # name: (x86_64, aarch64)
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "exit": (60, 93),
    "uname": (63, 160),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),  # how glibc up to 2.38 calls fstat
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column above, and AUDIT_ARCH of linux/audit.h."""

# linux/bpf_common.h, linux/seccomp.h and linux/prctl.h
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_REFUSE, _ALLOW = 0x00050000 | errno.EPERM, 0x7FFF0000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def apply_seccomp(libc: ctypes.CDLL) -> bool:
    """Apply the filter to this process permanently; return False where the kernel or the architecture has none.

    The process must have set ``PR_SET_NO_NEW_PRIVS``.
    """
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES or sys.maxsize < 1 << 32:
        return False
    column, architecture = _ARCHITECTURES[platform.machine()]
    instructions = _instructions([numbers[column] for numbers in _ALLOWED.values()], architecture)
    program = _Program(len(instructions) // 8, instructions)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _instructions(allowed: list[int], architecture: int) -> bytes:
    """Return the BPF program; a jump counts the instructions that it leaps over."""
    program = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _AT_NUMBER),
        *((_JUMP_IF_EQUAL, len(allowed) - place, 0, number) for place, number in enumerate(allowed)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *one) for one in program)
