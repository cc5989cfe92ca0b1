"""The segmentation model that whisperx carries in its package: up to three people in some seconds of sound, and when each talks.

Needs the whisperx extra, and neither network nor token. Knows a window at a time; whole recordings are for `tracks`.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.errors import ConfigurationError

FRAME_STEP = 270
"""Samples from one of the model's frames to the next: 17 ms."""

FRAME_CENTRE = 495
"""The sample on which the first frame is centred: the middle of the 991 that it hears."""

_SHORTEST = 16_000  # samples; much less than that gives no frames

VOICES = 3
"""People that the model tells apart within a window."""


def extra_needed(what: str) -> str:
    """Return what to do where ``what`` is asked for and the whisperx extra is not installed."""
    return (
        f"The {what} needs the whisperx extra, which is not installed: pip install 'stt_pipeline[whisperx]' "
        "(some gigabytes; in a checkout: pip install -c constraints-whisperx.txt -e '.[whisperx]')."
    )


def is_installed() -> bool:
    """Say whether the whisperx extra is there, without importing it."""
    return find_spec("whisperx") is not None


class SegmentationModel:
    """PyanNet (Bredin and Laurent, "End-to-end speaker segmentation", Interspeech 2021) with whisperx's weights."""

    def __init__(self) -> None:
        """Load the weights once a process.

        Raises:
            ConfigurationError: the whisperx extra is not installed.
        """
        with _loading:  # the cache alone would let each thread load them
            self._model = _loaded()

    def activities(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how likely each of three people talks in each frame, float32 ``(frames, 3)``, between 0 and 1.

        Who is first, second and third is another question in each window, and less than three leave columns near 0.

        Args:
            samples: float32 ``(n,)``, 16 kHz. The model learnt from 5 s; longer windows tell people apart better.
        """
        import torch

        if len(samples) < _SHORTEST:
            samples = np.pad(samples, (0, _SHORTEST - len(samples)))
        with one_thread(), torch.inference_mode():
            found: npt.NDArray[np.float32] = self._model(torch.from_numpy(samples.copy())[None, None])[
                0
            ].numpy()
        return found


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _loaded() -> Any:
    spec = find_spec("whisperx")
    if spec is None or spec.origin is None:
        raise ConfigurationError(extra_needed("diarizer 'segmentation'"))
    # pyannote reports each use to its makers unless told not to; who wants that sets it
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
    weights = Path(spec.origin).parent / "assets" / "pytorch_model.bin"
    with without_warnings():  # of decoders that nobody needs here, and of the weights' age
        from pyannote.audio import Model

        lightning = logging.getLogger("lightning.pytorch.utilities.migration.utils")
        lightning.disabled = True
        try:
            return Model.from_pretrained(str(weights)).eval()
        finally:
            lightning.disabled = False


_filters = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence what libraries warn of; one caller at a time, since all threads of a process share the filters."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Threads:
    """How many threads torch takes where nobody asks for one, and how many callers are asking."""

    lock = threading.Lock()
    usual = 0
    asking = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for the caller: its LSTM takes ten times as long with more where cores are shared.

    Each thread has its own number, but new ones begin with what was set last, so the first to ask keeps the usual number.
    """
    import torch

    with _Threads.lock:
        number = (
            torch.get_num_threads()
        )  # also makes torch settle this thread's number, which it else would do later
        if not _Threads.asking:
            _Threads.usual = number
        _Threads.asking += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.asking -= 1
            torch.set_num_threads(_Threads.usual)


def torch_device(device: str) -> str:
    """Return "cuda" or "cpu" for "auto", and any other name as it is."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
