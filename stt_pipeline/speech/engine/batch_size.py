"""The size of a model batch, from the free memory of the device and the dimensions of the model. No audio here."""

import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from stt_pipeline.speech.models import LoadedModel

_ENCODER_POSITIONS = 1500  # of every Whisper: 30 s in steps of 20 ms

_MAX_CHUNKS_GPU = 64  # more does not make the products of the decoder faster
_MAX_CHUNKS_CPU = (
    8  # more only takes memory: on a CPU the encoder takes most of the time, and encodes one chunk at a time
)
# A decoder that fits into the caches of a CPU gains nothing from a batch: the demo model takes 15 ms for one chunk alone,
# and 24 ms for each of eight.
_CPU_CACHE_BYTES = 8 << 20
_LAYER_WEIGHTS = 16  # times width squared: two attentions of 4, and 8 for the feed-forward network
_MEMORY_SHARE = 0.5  # of the free memory; the rest is for the encoder, the beams and other processes
_UNKNOWN_GPU_BYTES = float(8 << 30)  # assumed to be free if nvidia-smi does not answer

CgroupFiles = tuple[Path, str, str, str]
"""A control group: its folder, the files with limit and usage, and the key of the page cache in memory.stat."""

CGROUPS: Sequence[CgroupFiles] = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Where a container finds its control group, in version 2 and 1."""


def workers_and_batch_size(loaded: LoadedModel, free_bytes: float | None = None) -> tuple[int, int]:
    """Return the number of workers, and the number of chunks that each of them decodes together.

    Args:
        loaded: the model.
        free_bytes: free memory of the device; None measures it.
    """
    if free_bytes is None:
        free_bytes = _free_gpu_memory() if loaded.device == "cuda" else free_cpu_memory()
    chunks = int(_MEMORY_SHARE * free_bytes / bytes_per_chunk(loaded))
    workers = max(1, min(loaded.workers, chunks))
    decoder_bytes = loaded.layers * _LAYER_WEIGHTS * loaded.width**2  # in int8
    if loaded.device == "cuda":
        max_chunks = _MAX_CHUNKS_GPU
    else:
        max_chunks = _MAX_CHUNKS_CPU if decoder_bytes > _CPU_CACHE_BYTES else 1
    return workers, max(1, min(max_chunks, chunks // workers))


def bytes_per_chunk(loaded: LoadedModel) -> int:
    """Return the bytes of a chunk's keys and values in the decoder's cross-attention.

    Layers x 2 x positions x width x bytes of a number: 246 MB for large-v3 in float16.
    """
    number = 2 if loaded.compute_type.endswith("float16") else 4
    return loaded.layers * 2 * _ENCODER_POSITIONS * loaded.width * number


def free_cpu_memory(cgroups: Sequence[CgroupFiles] = CGROUPS) -> float:
    """Return the bytes that this process can still allocate: of the machine, or of its control group if that has less."""
    return min(float(psutil.virtual_memory().available), *(_free_in_cgroup(*group) for group in cgroups))


def _free_gpu_memory() -> float:
    """Return the free bytes of the first GPU that this process sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
    try:
        printed = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", f"--id={visible}"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout
        return float(printed.splitlines()[0]) * (1 << 20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return _UNKNOWN_GPU_BYTES


def _free_in_cgroup(folder: Path, limit: str, usage: str, page_cache: str) -> float:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
        cached = next((float(line.split()[1]) for line in lines if line.startswith(f"{page_cache} ")), 0.0)
        return max(0.0, float((folder / limit).read_text()) - float((folder / usage).read_text()) + cached)
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return math.inf
