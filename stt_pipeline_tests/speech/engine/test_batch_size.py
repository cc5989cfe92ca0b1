"""The size of a model batch: what memory holds, divided among the workers."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stt_pipeline.speech.engine.batch_size import bytes_per_chunk, free_cpu_memory, workers_and_batch_size
from stt_pipeline.speech.models import LoadedModel, load_model

GIB = 1 << 30


@pytest.fixture
def large() -> LoadedModel:
    """A model of large-v3's dimensions, on a GPU."""
    return replace(
        load_model("demo", "cpu"), device="cuda", compute_type="float16", workers=1, layers=32, width=1280
    )


def test_the_dimensions_are_read_from_the_models_file() -> None:
    loaded = load_model("demo", "cpu")
    assert (loaded.layers, loaded.width) == (2, 192)


def test_a_chunk_of_large_v3_takes_246_mb(large: LoadedModel) -> None:
    assert bytes_per_chunk(large) == pytest.approx(246e6, rel=0.01)
    assert bytes_per_chunk(replace(large, compute_type="int8_float32")) == 2 * bytes_per_chunk(large)


@pytest.mark.parametrize(("free", "size"), [(78, 64), (16, 34), (4, 8), (0.1, 1)])
def test_half_of_a_gpus_free_memory_is_taken(free: float, size: int, large: LoadedModel) -> None:
    assert workers_and_batch_size(large, free * GIB) == (1, size)


@pytest.mark.parametrize(("free", "expected"), [(256, (16, 8)), (32, (16, 2)), (8, (8, 1)), (0.5, (1, 1))])
def test_workers_of_a_cpu_share_its_memory(
    free: float, expected: tuple[int, int], large: LoadedModel
) -> None:
    on_cpu = replace(large, device="cpu", compute_type="int8_float32", workers=16)
    assert workers_and_batch_size(on_cpu, free * GIB) == expected


def test_a_tiny_decoder_takes_one_chunk_at_a_time_on_a_cpu() -> None:
    loaded = load_model("demo", "cpu")
    assert workers_and_batch_size(loaded, 256 * GIB) == (loaded.workers, 1)
    assert workers_and_batch_size(replace(loaded, layers=12, width=768), 256 * GIB)[1] == 8


@pytest.mark.parametrize("version", [2, 1])
def test_a_control_groups_limit_counts_but_not_the_files_it_has_read(version: int, tmp_path: Path) -> None:
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("limit", "usage", "total_inactive_file"),
    }
    limit, used, files = names[version]
    (tmp_path / limit).write_text(f"{4 * GIB}\n")
    (tmp_path / used).write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {GIB}\n{files} {2 * GIB}\nactive_file 5\n")
    groups = ((tmp_path, limit, used, files),)
    assert free_cpu_memory(groups) == min(3 * GIB, psutil.virtual_memory().available)
    (tmp_path / limit).write_text("max\n")
    assert free_cpu_memory(groups) == pytest.approx(psutil.virtual_memory().available, rel=0.1)
