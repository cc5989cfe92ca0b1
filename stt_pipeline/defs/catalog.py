"""What the asset catalog of the Dagster UI shows of each asset: owners, tags, table, address, columns and source code.

Kinds and descriptions are at the assets. The values need no run: Dagster reads them when it loads the definitions.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dagster as dg
from sqlalchemy import Table

from stt_pipeline.defs.settings_at_load import settings_at_load
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables

RECORDINGS = "recordings"
"""The external asset: the folders, buckets and manifest files that batches read."""

_STRUCT = "list of struct"
_FILE_COLUMNS = {
    "batch_id": ("int64", "stt_batches.id"),
    "audio_file_id": ("int64", "stt_audio_files.id"),
    "uri": ("string", "full address of the audio file"),
    "file_name": ("string", "name of the audio file, readable"),
}
PARQUET_COLUMNS: Mapping[Dataset, Mapping[str, tuple[str, str]]] = {
    "transcripts": {
        **_FILE_COLUMNS,
        "duration": ("double", "seconds"),
        "language": ("string", "code such as ko; empty without speech"),
        "language_probability": ("float", "0 to 1; 1 if the language was set"),
        "detected_language": ("string", "most likely language, also if one was set; null if unknown"),
        "detected_language_probability": ("float", "0 to 1; null without a detected language"),
        "model": ("string", "speech model"),
        "notes": ("list of string", "remarks for the reader"),
        "quality": ("float", "0 to 1; null without speech"),
        "speech_seconds": ("double", "seconds of detected speech"),
        "untranscribed_speech_seconds": ("double", "seconds of detected speech without text"),
        "untranscribed_parts": (_STRUCT, "start and end of parts of a second and more without text"),
        "suspect_segments": ("int32", "segments that may be hallucinations"),
        "text": ("string", "text of all segments, joined by spaces"),
        "segments": (_STRUCT, "speech segments of one speaker each, with their words, in order of time"),
        "speaker_turns": (_STRUCT, "start, end and speaker of each turn"),
    },
    "minutes": {
        **_FILE_COLUMNS,
        "title": ("string", "title of the meeting"),
        "summary": ("string", "summary in some sentences"),
        "topics": ("list of string", "what was discussed"),
        "decisions": ("list of string", "what was decided"),
        "action_items": (_STRUCT, "task, owner, due date and start, in seconds of the recording"),
        "keywords": ("list of string", "most relevant first"),
        "model": ("string", "language model that wrote the minutes, or extractive"),
        "tokens_used": ("int32", "0 without a language model"),
    },
}
"""Type and description of each column, as docs/data.md has them. (pyarrow takes too long to import for a load.)"""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the rows of an asset are: in a table, in Parquet files below a folder of the data root, or in both."""

    table: Table | None = None
    dataset: Dataset | None = None
    folder: str = ""


_ENTRIES: Mapping[str, _Entry] = {
    "audio_manifest": _Entry(tables.audio_files),
    "audio_files": _Entry(tables.audio_files),
    "transcripts": _Entry(tables.transcriptions),
    "speaker_turns": _Entry(tables.transcriptions, "transcripts", "transcripts"),
    "meeting_minutes": _Entry(tables.summaries, "minutes", "minutes"),
    "notifications": _Entry(tables.email_logs),
    "batch_report": _Entry(tables.batches),
    "compacted_datasets": _Entry(dataset="transcripts", folder="compacted"),
}


def catalogued(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the assets with owners, tags, table, address, columns and a reference to their source code."""
    settings = settings_at_load()
    owners = _owners(settings)

    def described(spec: dg.AssetSpec) -> dg.AssetSpec:
        kind = (
            spec.partitions_def.name
            if isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition)
            else ""
        )
        return spec.merge_attributes(
            owners=owners,
            tags={
                "stt/stage": str(spec.group_name),
                "stt/partition": "shard" if kind == "audio" else str(kind),
            },
            metadata=_metadata(_ENTRIES[spec.key.path[-1]], settings),
        )

    shown = [asset.map_asset_specs(described) for asset in assets]
    with warnings.catch_warnings():
        # a beta; Dagster's version is pinned, and a test reads the references
        warnings.simplefilter("ignore", dg.BetaWarning)
        return cast(list[dg.AssetsDefinition], list(dg.with_source_code_references(shown)))


def recordings() -> dg.AssetSpec:
    """Return the external asset of all recordings: Dagster does not make it, and the sensors report what arrives."""
    settings = settings_at_load()
    places = (
        [place.strip() for place in settings.allowed_sources.split(",") if place.strip()] if settings else []
    )
    return dg.AssetSpec(
        RECORDINGS,
        group_name="ingest",
        kinds={"source", "file"},
        owners=_owners(settings),
        tags={"stt/stage": "ingest"},
        metadata={"dagster/uri": _uri(places[0])} if len(places) == 1 else {},
        description="The audio and video files in the folders, buckets and manifest files that batches read. "
        f"Allowed sources (STT_ALLOWED_SOURCES): {', '.join(places) or 'every folder and bucket'}.",
    )


def _owners(settings: Settings | None) -> list[str]:
    """Return the recipients of alert mails, without those that Dagster refuses as owners, such as ``ann@localhost``."""
    found = []
    for address in settings.alert_recipients if settings else ():
        try:
            dg.AssetSpec("owned", owners=[address])
        except dg.DagsterInvalidDefinitionError:
            continue
        found.append(address)
    return found


def _metadata(entry: _Entry, settings: Settings | None) -> dict[str, object]:
    metadata: dict[str, object] = {}
    if entry.table is not None:
        metadata["dagster/table_name"] = f"public.{entry.table.name}"
        metadata["dagster/column_schema"] = _columns_of_table(entry.table)
    if entry.dataset is not None:
        metadata["dagster/column_schema"] = _columns_of_dataset(entry.dataset)
    if entry.folder and settings:
        metadata["dagster/uri"] = f"{_uri(settings.data_root).rstrip('/')}/{entry.folder}"
    return metadata


def _columns_of_table(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                type=str(column.type).lower(),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
                tags={"primary_key": ""} if column.primary_key else {},
            )
            for column in table.columns
        ]
    )


def _columns_of_dataset(dataset: Dataset) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(name, type=kind, description=description)
            for name, (kind, description) in PARQUET_COLUMNS[dataset].items()
        ]
    )


def _uri(address: str) -> str:
    return address if "://" in address else Path(address).expanduser().absolute().as_uri()
