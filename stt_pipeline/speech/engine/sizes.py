"""How many chunks make a model batch, from the device's free memory and the model's dimensions. No sound here."""

import math
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from stt_pipeline.speech.engine.decoding import WINDOW

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# OpenAI's sizes: layers of the decoder by its width (Radford et al., 2022, arXiv:2212.04356, table 1)
_LAYERS = {384: 4, 512: 6, 768: 12, 1024: 24, 1280: 32}
_MOST_LAYERS = 32

_MOST_ON_GPU = 64  # the decoder's products are as large as a GPU likes them
_MOST_ON_CPU = 8  # more only takes memory: there the encoder decides, and it goes chunk by chunk
_SHARE = 0.5  # of the free memory; the rest is for the encoder, the beams and others on the device
_GIB = 1 << 30
_WITHOUT_ANSWER = 8 * _GIB  # taken as free on a GPU that does not say


def model_batch_size(whisper: "WhisperModel", device: str, compute_type: str) -> int:
    """Return how many chunks the device's memory holds at once, 1 to 64."""
    each = bytes_a_chunk(whisper, compute_type)
    free = _free_on_gpu() if device == "cuda" else _free_on_cpu()
    most = _MOST_ON_GPU if device == "cuda" else _MOST_ON_CPU
    return max(1, min(most, int(_SHARE * free / each)))


def bytes_a_chunk(whisper: "WhisperModel", compute_type: str) -> int:
    """Return what the decoder keeps of a chunk while it writes: keys and values of its attention to the sound.

    Layers x 2 x positions x width x bytes of a number: 246 MB for large-v3 in float16.
    """
    nothing = np.zeros((whisper.feature_extractor.mel_filters.shape[0], WINDOW), np.float32)
    _, positions, width = whisper.encode(nothing).shape
    number = 2 if compute_type.endswith("float16") else 4
    return int(_layers(whisper, width) * 2 * positions * width * number)


def _layers(whisper: "WhisperModel", width: int) -> int:
    return _LAYERS.get(width, _MOST_LAYERS if width > max(_LAYERS) else min(_LAYERS.values()))


def _free_on_gpu() -> float:
    """Return the free bytes of the GPU that this process sees first."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", f"--id={visible}"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        return float(said.splitlines()[0]) * (1 << 20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return _WITHOUT_ANSWER


def _free_on_cpu() -> float:
    """Return the bytes that this process may still take: of the machine, or of its control group if that has less."""
    return min(float(psutil.virtual_memory().available), *(_free_in(*pair) for pair in _LIMITS))


_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
"""Limit and use of the control group, as a container sees them: version 2 and version 1."""


def _free_in(limit: Path, used: Path) -> float:
    try:
        return max(0.0, float(limit.read_text()) - float(used.read_text()))
    except (OSError, ValueError):  # no such group, or "max"
        return math.inf
