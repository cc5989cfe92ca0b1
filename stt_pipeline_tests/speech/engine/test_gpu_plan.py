"""What the engine does on a GPU, without one: model batches from its free memory, filled across recordings, halved without memory.

The model says that it is on a GPU and runs on the CPU; `nvidia-smi` is a script.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.decoding import ChooseLanguages, Decoded, Decoder, Row
from stt_pipeline.speech.models import LoadedModel, load_model
from stt_pipeline_tests.speech.engine.sounds import KO, RATE, recording, results

WAIT = 20
"""Seconds until a test that waits for a thread goes on, and then fails."""


@pytest.fixture
def on_gpu() -> LoadedModel:
    """The demo model with the dimensions of large-v3, on a GPU."""
    loaded = load_model("demo", "cpu")
    return replace(loaded, device="cuda", compute_type="float16", workers=1, layers=32, width=1280)


@pytest.fixture
def free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Replace `nvidia-smi` by a script that prints this text, and writes its arguments to a file."""

    def install(printed: str) -> Path:
        arguments = tmp_path / "arguments"
        script = tmp_path / "nvidia-smi"
        script.write_text(f'#!/bin/sh\necho "$@" > "{arguments}"\nprintf "{printed}"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        return arguments

    return install


class Full(Decoder):
    """Decodes nothing until chunks of other recordings wait, and has memory for ``max_rows``."""

    def __init__(self, loaded: LoadedModel, waiting: int, max_rows: int = 64) -> None:
        super().__init__(loaded)
        self.waiting, self.max_rows = waiting, max_rows
        self.rows_made = 0
        self.is_full = threading.Event()
        self.sizes: list[int] = []

    def row(self, *args: object, **options: object) -> Row:
        self.rows_made += 1
        if self.rows_made > self.waiting:
            self.is_full.set()
        return super().row(*args, **options)  # type: ignore[arg-type]

    def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
        assert self.is_full.wait(WAIT)
        self.sizes.append(len(rows))
        if len(rows) > self.max_rows:
            raise RuntimeError("CUDA failed with error out of memory")
        return super().decode(rows, choose_languages)


@pytest.mark.parametrize(("free", "size"), [(80_000, 64), (16_384, 34), (4_096, 8), (100, 1)])
def test_batches_are_planned_from_the_free_memory(
    free: int, size: int, on_gpu: LoadedModel, free_memory: Callable[[str], Path]
) -> None:
    free_memory(f"{free}\\n")
    assert Engine(on_gpu).batch_size == size


def test_the_memory_is_that_of_the_gpu_that_the_process_sees(
    on_gpu: LoadedModel, free_memory: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = free_memory("16384\\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert Engine(on_gpu).batch_size == 34
    assert "--id=3" in arguments.read_text().split()


def test_without_an_answer_eight_gib_are_assumed(
    on_gpu: LoadedModel, free_memory: Callable[[str], Path]
) -> None:
    free_memory("No devices were found\\n")
    assert Engine(on_gpu).batch_size == 17


@pytest.mark.slow
def test_a_batch_has_chunks_of_many_recordings(on_gpu: LoadedModel, beginning: np.ndarray) -> None:
    decoder = Full(on_gpu, waiting=8)
    engine = Engine(on_gpu, batch_size=4, decoder=decoder)
    found = results(engine, [recording(n, beginning[: 3 * RATE], KO) for n in range(16)])
    assert decoder.sizes.count(4) >= 2
    assert max(decoder.sizes) == 4
    assert len({transcript.text for transcript in found.values()}) == 1


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    on_gpu: LoadedModel, beginning: np.ndarray, free_memory: Callable[[str], Path]
) -> None:
    free_memory("4096\\n")
    decoder = Full(on_gpu, waiting=15, max_rows=2)
    engine = Engine(on_gpu, decoder=decoder)
    assert engine.batch_size == 8
    results(engine, [recording(n, beginning[: 3 * RATE], KO) for n in range(24)])
    assert [size for size in decoder.sizes if size > 2] in ([8, 4], [7, 3], [6, 3], [5], [4], [3])
    assert engine.batch_size <= 2, "for the next recordings, too"
