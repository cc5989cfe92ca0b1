"""Shared handling of the optional whisperx extra: availability, device, torch threads, noisy warnings.

Diarization backends and word alignment use it. It imports nothing of the extra until a function is called.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


def is_installed() -> bool:
    """Return whether the whisperx extra is installed, without importing it."""
    return find_spec("whisperx") is not None


def missing_extra(feature: str) -> str:
    """Return the error message for a ``feature`` that needs the extra where it is not installed."""
    return (
        f"The {feature} needs the whisperx extra, which is not installed. In the checkout, run "
        "pip install --no-deps --require-hashes -r requirements/whisperx.txt (several gigabytes)."
    )


def disable_telemetry() -> None:
    """Switch pyannote's usage reports off, unless the operator has set PYANNOTE_METRICS_ENABLED."""
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")


def torch_device(device: str) -> str:
    """Return "cuda" or "cpu" for "auto"; any other name is returned unchanged."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


_filters_lock = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore all warnings in the block. One caller at a time: the threads of a process share the warning filters."""
    with _filters_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _TorchThreads:
    """The number of torch threads to restore, and how many callers are inside :func:`one_torch_thread`."""

    lock = threading.Lock()
    default = 0
    callers = 0


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread in the block: its LSTM is ten times slower with more threads on shared cores.

    Each Python thread has its own setting, but a new one inherits the value that was set last. So the first caller saves
    the default, and every caller restores it.
    """
    import torch

    with _TorchThreads.lock:
        # this call also fixes the setting of the current thread, which torch otherwise initializes later
        current = torch.get_num_threads()
        if not _TorchThreads.callers:
            _TorchThreads.default = current
        _TorchThreads.callers += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _TorchThreads.lock:
            _TorchThreads.callers -= 1
            torch.set_num_threads(_TorchThreads.default)
