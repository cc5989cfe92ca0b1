"""docs/data.md agrees with the tables, constraints, error classes and Parquet schemas, and its examples run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from sqlalchemy import Inspector
from sqlalchemy.dialects import postgresql
from upath import UPath

from stt_pipeline import errors
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.errors import ErrorClass, FileError
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet.compaction import compact
from stt_pipeline.store.tables import metadata

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


SPOKEN = ("네, 알겠습니다.", "예산안을 확정합니다.", "다음 주에 뵙겠습니다.")


def section(title: str) -> str:
    """Return the text under a heading, up to the next one."""
    return re.split(rf"^##+ {re.escape(title)}$", PAGE, flags=re.M)[1].partition("\n#")[0]


def rows(title: str) -> dict[str, str]:
    """Return the first table under a heading: first cell to second cell."""
    table = section(title).partition("|---|")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", table, flags=re.M))


@pytest.mark.parametrize("name", metadata.tables)
def test_every_column_is_explained_with_its_type(name: str) -> None:
    described = rows(f"`{name}`")
    if "[lease](#leases)" in section(f"`{name}`"):
        described |= rows("Leases")
    short = {"timestamp with time zone": "timestamptz"}
    types = {
        column.name: column.type.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
        for column in metadata.tables[name].columns
    }
    assert described == {column: short.get(kind, kind) for column, kind in types.items()}


@pytest.mark.parametrize("name", metadata.tables)
def test_every_value_that_a_constraint_allows_is_explained(schema: Inspector, name: str) -> None:
    checks = schema.get_check_constraints(name)
    allowed = {value for check in checks for value in re.findall(r"'(\w+)'::text", check["sqltext"])}
    assert allowed <= set(re.findall(r"`(\w+)`", section(f"`{name}`")))


def test_every_option_of_a_batch_is_named() -> None:
    (line,) = [line for line in section("`stt_batches`").splitlines() if line.startswith("| `options`")]
    assert set(re.findall(r"`(\w+)`", line)) == {"options", *BatchOptions.model_fields}


def test_every_error_class_is_described_with_its_retries() -> None:
    lines = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (yes|no) \|$", section("Error classes"), flags=re.M))
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FileError)]
    expected = {
        kind.error_class: "yes" if kind.transient else "no" for kind in known if kind is not FileError
    }
    # an unexpected error may be transient; a scan records files over the size limit, so no exception exists for them
    assert lines == expected | {"internal": "yes", "too_large": "no"}
    assert set(lines) == set(get_args(ErrorClass))


def fields(of: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted name, name of the type) of a schema or struct, including nested fields."""
    for field in of:
        if not pa.types.is_list(field.type):
            yield f"{prefix}{field.name}", str(field.type)
        elif pa.types.is_struct(field.type.value_type):
            yield f"{prefix}{field.name}", "list of struct"
            yield from fields(field.type.value_type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", f"list of {field.type.value_type}"


@pytest.mark.parametrize("dataset", get_args(datasets.Dataset))
def test_every_parquet_field_is_explained_with_its_type(dataset: datasets.Dataset) -> None:
    assert rows(f"`{dataset}`") == dict(fields(datasets.schema(dataset)))


def _write_datasets(root: Path) -> None:
    turns = [{"start": 0.0, "end": 90.0, "speaker": "SPEAKER_00"}]
    segments = [
        {"start": start, "end": start + 1, "speaker": "SPEAKER_00", "text": text, "words": []}
        for start, text in enumerate(SPOKEN)
    ]
    items = [
        {"task": "예산안 제출", "owner": "김 과장", "due": "금요일", "start": 3.0},
        {"task": "회의록 정리"},
    ]
    file = {"batch_id": 1, "audio_file_id": 7, "uri": "file:///%ED%9A%8C%EC%9D%98.wav"}
    silent = {"batch_id": 1, "audio_file_id": 8, "uri": "file:///silent.wav", "segments": []}
    transcript = file | {
        "duration": 90.0,
        "text": "네, 알겠습니다.",
        "segments": segments,
        "speaker_turns": turns,
    }
    for dataset, rows_of_it in (
        ("transcripts", [transcript, silent, transcript | {"audio_file_id": 9, "uri": "file:///b.wav"}]),
        ("minutes", [file | {"title": "예산", "action_items": items}]),
    ):
        for stem, content in (("000001-000000", rows_of_it), ("000001-000001", [])):
            path = datasets.shard_path(UPath(root), dataset, "000001", stem)  # type: ignore[arg-type]
            datasets.write(path, dataset, content)  # type: ignore[arg-type]
        compact(UPath(root), dataset, "000001")  # type: ignore[arg-type]


def test_the_pandas_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_datasets(tmp_path / ".stt" / "data")  # the working folder of a test is its tmp_path
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["both"][["audio_file_id", "title"]].values.tolist() == [[7, "예산"]]
    assert names["spoken"][["file_name", "start", "text"]].values.tolist() == [
        [name, float(start), text] for name in ("회의.wav", "b.wav") for start, text in enumerate(SPOKEN)
    ]
    assert "회의.wav" in capsys.readouterr().out


def test_the_duckdb_example_runs(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed; only this example needs it")
    _write_datasets(tmp_path / ".stt" / "data")
    (code,) = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.S)
    talked, promised = (
        duckdb.sql(statement).fetchall() for statement in code.split(";") if statement.strip()
    )
    assert talked == [("b.wav", "SPEAKER_00", 1.5), ("회의.wav", "SPEAKER_00", 1.5)]
    assert promised == [("회의.wav", "김 과장", "예산안 제출", "금요일")]
