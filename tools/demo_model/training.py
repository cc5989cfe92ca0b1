"""The training run: one schedule over a budget of time or of steps, in one or more processes of one thread each.

Processes instead of threads: on two busy cores, PyTorch's threads wait for each other four times longer than they compute.
"""

import json
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tools.demo_model.batches import draw_batch
from tools.demo_model.dataset import Dataset
from tools.demo_model.initialisation import initialise
from tools.demo_model.losses import Losses, losses_of
from tools.demo_model.model import ModelShape, Whisper
from tools.demo_model.optimiser import Optimiser
from tools.demo_model.tokenizer import load_tokenizer
from tools.demo_model.windows import WindowMaker

_SEED = 100
_REPORT_SECONDS, _CHECKPOINT_SECONDS = 20.0, 300.0


@dataclass(frozen=True, slots=True)
class Budget:
    """End of the training: after ``minutes``, or after ``steps`` if given."""

    minutes: float = 120.0
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the budget that is used, 0 to 1."""
        return step / self.steps if self.steps else seconds / (60 * self.minutes)


@dataclass(frozen=True, slots=True)
class Run:
    """Options of a training, the same in all its processes. ``sizes`` overrides fields of :class:`ModelShape`."""

    corpus: Path
    tokenizer: Path
    checkpoint: Path
    budget: Budget
    processes: int = 2
    sizes: dict[str, int] = field(default_factory=dict)


def train(run: Run) -> None:
    """Train a model from scratch and write ``run.checkpoint``, and the losses to a ``.jsonl`` file beside it."""
    if run.processes == 1:
        _train_process(0, run, 0)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # without it, glibc returns every large tensor to the system and faults its pages in again
    os.environ.update(MALLOC_MMAP_MAX_="0", OMP_NUM_THREADS="1")
    mp.spawn(_train_process, args=(run, port), nprocs=run.processes)


def load_checkpoint(file: Path) -> Whisper:
    """Return the model of a checkpoint, in evaluation mode."""
    saved = torch.load(file, weights_only=True)
    model = Whisper(ModelShape(**saved["shape"]))
    model.load_state_dict(saved["state"])
    return model.eval()


def _train_process(rank: int, run: Run, port: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)  # equal initial values in every process
    if run.processes > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=run.processes)
    try:
        _train(rank, run)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _train(rank: int, run: Run) -> None:
    tokenizer = load_tokenizer(run.tokenizer)
    dataset = Dataset(run.corpus, tokenizer)
    maker = WindowMaker(dataset, tokenizer, _SEED + rank)
    model = Whisper(ModelShape(tokenizer.get_vocab_size(), dataset.jamo_size, **run.sizes))
    initialise(model)
    model.train()
    optimiser = Optimiser(model)
    save = _saver(run.checkpoint, model.shape, optimiser)
    log = _Log(run.checkpoint.with_suffix(".jsonl")) if rank == 0 else None
    started = saved = time.monotonic()
    while (
        progress := _shared_progress(run.budget.progress(optimiser.steps, time.monotonic() - started))
    ) < 1:
        batch = draw_batch(maker, progress, optimiser.steps)
        losses = losses_of(model, batch)
        losses.total.backward()
        norm = optimiser.step(progress)
        if log:
            log.add(batch.kind, losses, batch.seconds * run.processes, progress, norm)
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                save()
                saved = time.monotonic()
    if log:
        log.write()
        save()


def _shared_progress(progress: float) -> float:
    """Return the first process's progress in every process, so that all end at the same step."""
    if not dist.is_initialized():
        return progress
    shared = torch.tensor([progress], dtype=torch.float64)
    dist.broadcast(shared, 0)
    return float(shared)


def _saver(file: Path, shape: ModelShape, optimiser: Optimiser) -> Callable[[], None]:
    def save() -> None:
        unfinished = file.with_suffix(".unfinished")
        torch.save({"shape": asdict(shape), "state": optimiser.averaged_state()}, unfinished)
        unfinished.replace(file)

    return save


class _Log:
    """Writes mean losses every 20 seconds, one JSON object per line, separate for each kind of window."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._file.write_text("")
        self._started = self._written = time.monotonic()
        self._steps, self._audio = 0, 0.0
        self._progress, self._norm = 0.0, 0.0
        self._sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * 4)

    def add(self, kind: str, losses: Losses, seconds: float, progress: float, norm: float) -> None:
        self._steps += 1
        self._audio += seconds
        self._progress, self._norm = progress, norm
        values = (
            float(losses.tokens.detach()),
            float(losses.jamo.detach()),
            float(losses.guide.detach()),
            1.0,
        )
        self._sums[kind] = [total + value for total, value in zip(self._sums[kind], values, strict=True)]
        if time.monotonic() - self._written > _REPORT_SECONDS:
            self.write()

    def write(self) -> None:
        self._written = time.monotonic()
        row = {
            "seconds": round(self._written - self._started),
            "progress": round(self._progress, 3),
            "steps": self._steps,
            "audio_seconds": round(self._audio),
            "gradient_norm": round(self._norm, 2),
        }
        for kind, (*sums, count) in sorted(self._sums.items()):
            means = (round(total / count, 3) for total in sums)
            row[kind] = dict(zip(("tokens", "jamo", "guide"), means, strict=True))
        self._sums.clear()
        line = json.dumps(row)
        print(line, flush=True)
        with self._file.open("a") as file:
            file.write(line + "\n")
