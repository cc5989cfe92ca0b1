"""How many chunks make a model batch, from the device's free memory and the model's dimensions. No sound here."""

import math
import os
import subprocess
from pathlib import Path

import psutil

from stt_pipeline.speech.models import LoadedModel

_POSITIONS = 1500  # of the encoder's output: 30 s, by 20 ms; every Whisper has as many

_MOST_ON_GPU = 64  # the decoder's products are as large as a GPU likes them
_MOST_ON_CPU = 8  # more only takes memory: there the encoder decides, and it goes chunk by chunk
# A decoder that fits into a CPU's caches has nothing to gain from rows that share its weights, and loses by theirs: the
# demo model takes 15 ms for a chunk alone, and 24 ms for each of eight.
_CACHE = 8 << 20  # bytes
_SQUARES = (
    16  # of the width, in the weights of a decoder's layer: two attentions of 4, and 8 for what follows
)
_SHARE = 0.5  # of the free memory; the rest is for the encoder, the beams and others on the device
_WITHOUT_ANSWER = float(8 << 30)  # taken as free on a GPU that does not say


def side_by_side(loaded: LoadedModel) -> tuple[int, int]:
    """Return how many workers there is memory for, and how many chunks each of them can decode at once."""
    chunks = int(_SHARE * _free(loaded.device) / bytes_a_chunk(loaded))
    workers = max(1, min(loaded.workers, chunks))
    weights = loaded.layers * _SQUARES * loaded.width**2  # bytes, in int8
    most = _MOST_ON_GPU if loaded.device == "cuda" else _MOST_ON_CPU if weights > _CACHE else 1
    return workers, max(1, min(most, chunks // workers))


def bytes_a_chunk(loaded: LoadedModel) -> int:
    """Return what the decoder keeps of a chunk while it writes: keys and values of its attention to the sound.

    Layers x 2 x positions x width x bytes of a number: 246 MB for large-v3 in float16.
    """
    number = 2 if loaded.compute_type.endswith("float16") else 4
    return loaded.layers * 2 * _POSITIONS * loaded.width * number


def _free(device: str) -> float:
    return _free_on_gpu() if device == "cuda" else _free_on_cpu()


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


_GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Where a container sees its control group, in version 2 and 1: folder, limit, use, and files in memory that can go."""


def _free_on_cpu() -> float:
    """Return the bytes that this process may still take: of the machine, or of its control group if that has less."""
    return min(float(psutil.virtual_memory().available), *(_free_in(*group) for group in _GROUPS))


def _free_in(folder: Path, limit: str, used: str, files: str) -> float:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
        cached = next((float(line.split()[1]) for line in lines if line.startswith(f"{files} ")), 0.0)
        return max(0.0, float((folder / limit).read_text()) - float((folder / used).read_text()) + cached)
    except (OSError, ValueError):  # no such group, or "max"
        return math.inf
