"""The asset catalog of the Dagster UI: owners, kinds with icons, columns, addresses, source code, the external asset."""

import re
from pathlib import Path
from typing import get_args

import dagster as dg
import dagster_webserver
import pytest

from stt_pipeline.definitions import defs
from stt_pipeline.defs.assets import ASSETS
from stt_pipeline.defs.catalog import PARQUET_COLUMNS, RECORDINGS, catalogued, recordings
from stt_pipeline.parquet.datasets import Dataset, schema


def _specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for asset in ASSETS for spec in asset.specs}


def test_every_kind_has_an_icon_in_the_ui() -> None:
    bundle = Path(dagster_webserver.__file__).parent / "webapp" / "build" / "_next" / "static" / "chunks"
    with_icon = {
        kind
        for script in bundle.glob("*.js")
        for kind in re.findall(r'[,{]"?([a-z0-9]+)"?:\{icon:', script.read_text())
    }
    assert {"postgres", "parquet"} <= with_icon
    used = {kind for spec in [*_specs().values(), recordings()] for kind in spec.kinds}
    assert used <= with_icon


def test_every_asset_has_tags_columns_and_its_source_code() -> None:
    for name, spec in _specs().items():
        assert {"stt/stage", "stt/partition"} <= set(spec.tags), name
        columns = spec.metadata["dagster/column_schema"]
        assert isinstance(columns, dg.TableSchema) and len(columns.columns) > 5, name
        assert {"dagster/table_name", "dagster/uri"} & set(spec.metadata), name
        (reference,) = spec.metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text().splitlines()
        assert Path(reference.file_path).stem == name
        assert any(line.startswith(f"def {name}(") for line in lines[reference.line_number - 1 :]), name


@pytest.mark.parametrize("dataset", get_args(Dataset))
def test_the_columns_of_datasets_are_those_of_their_files(dataset: Dataset) -> None:
    def named(kind: str) -> str:
        item = re.sub(r"^list<item: (\w+).*>$", r"list of \1", kind)
        return item.replace("list of struct<", "list of struct")

    assert {field.name: named(str(field.type)) for field in schema(dataset)} == {
        name: kind for name, (kind, _) in PARQUET_COLUMNS[dataset].items()
    }


def test_recordings_are_an_external_asset_above_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = defs.resolve_asset_graph()
    node = graph.get(dg.AssetKey(RECORDINGS))
    assert node.is_external
    assert node.child_keys == {dg.AssetKey("audio_manifest")}
    monkeypatch.setenv("STT_ALLOWED_SOURCES", "s3://calls/2026")
    assert recordings().metadata["dagster/uri"] == "s3://calls/2026"
    assert "s3://calls/2026" in str(recordings().description)


def test_the_recipients_of_alerts_are_the_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_ALERT_EMAILS", "kim@example.com, root@localhost")
    (asset,) = catalogued(ASSETS[:1])
    assert [list(spec.owners) for spec in asset.specs] == [["kim@example.com"]]
    assert list(recordings().owners) == ["kim@example.com"]
