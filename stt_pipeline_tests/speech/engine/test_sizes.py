"""How much is decoded side by side: what memory holds, shared by the workers."""

from dataclasses import replace
from pathlib import Path

import pytest

from stt_pipeline.speech.engine import batch_size
from stt_pipeline.speech.engine.batch_size import bytes_a_chunk, side_by_side
from stt_pipeline.speech.models import LoadedModel, load_model

GIB = 1 << 30


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """A model of large-v3's dimensions, on a GPU."""
    return replace(
        load_model("demo", "cpu"), device="cuda", compute_type="float16", workers=1, layers=32, width=1280
    )


def test_the_dimensions_are_read_from_the_models_file() -> None:
    loaded = load_model("demo", "cpu")
    assert (loaded.layers, loaded.width) == (2, 192)


def test_a_chunk_of_large_v3_takes_246_mb(large: LoadedModel) -> None:
    assert bytes_a_chunk(large) == pytest.approx(246e6, rel=0.01)
    assert bytes_a_chunk(replace(large, compute_type="int8_float32")) == 2 * bytes_a_chunk(large)


@pytest.mark.parametrize(("free", "size"), [(78, 64), (16, 34), (4, 8), (0.1, 1)])
def test_half_of_a_gpus_free_memory_is_taken(
    free: float, size: int, large: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "_free_on_gpu", lambda: free * GIB)
    assert side_by_side(large) == (1, size)


@pytest.mark.parametrize(("free", "expected"), [(256, (16, 8)), (32, (16, 2)), (8, (8, 1)), (0.5, (1, 1))])
def test_workers_of_a_cpu_share_its_memory(
    free: float, expected: tuple[int, int], large: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = replace(large, device="cpu", compute_type="int8_float32", workers=16)
    monkeypatch.setattr(batch_size, "_free_on_cpu", lambda: free * GIB)
    assert side_by_side(on_cpu) == expected


def test_a_tiny_decoder_takes_one_chunk_at_a_time_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "_free_on_cpu", lambda: 256 * GIB)
    loaded = load_model("demo", "cpu")
    assert side_by_side(loaded) == (loaded.workers, 1)
    assert side_by_side(replace(loaded, layers=12, width=768))[1] == 8


@pytest.mark.parametrize("version", [2, 1])
def test_a_control_groups_limit_counts_but_not_the_files_it_has_read(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("limit", "usage", "total_inactive_file"),
    }
    limit, used, files = names[version]
    (tmp_path / limit).write_text(f"{4 * GIB}\n")
    (tmp_path / used).write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {GIB}\n{files} {2 * GIB}\nactive_file 5\n")
    monkeypatch.setattr(batch_size, "_GROUPS", ((tmp_path, limit, used, files),))
    assert batch_size._free_on_cpu() == min(3 * GIB, batch_size.psutil.virtual_memory().available)
    (tmp_path / limit).write_text("max\n")
    assert batch_size._free_on_cpu() == pytest.approx(batch_size.psutil.virtual_memory().available, rel=0.1)
