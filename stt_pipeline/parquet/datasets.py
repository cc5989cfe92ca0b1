"""The Parquet datasets: schemas, paths, and writing one file per shard or a stream for a whole batch.

The same rows give the same file. docs/data.md describes the columns. ``compaction`` merges the files of a batch.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from stt_pipeline.audio.address import display_name
from stt_pipeline.parquet import files
from stt_pipeline.speech.transcript import SEGMENT_KEYS_BEFORE_SCHEMA_2, WORD_KEYS_BEFORE_SCHEMA_2

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from upath import UPath

Dataset = Literal["transcripts", "minutes"]

ROW_GROUP_BYTES = 64 << 20
"""Size of a row group before compression: the unit that readers read or skip."""


def schema(dataset: Dataset) -> pa.Schema:
    """Return the Arrow schema of a dataset. Times are seconds from the start of the recording."""
    import pyarrow as pa

    def rows_of(**fields: pa.DataType) -> pa.DataType:
        return pa.list_(pa.struct(list(fields.items())))

    time, text, rate = pa.float64(), pa.string(), pa.float32()
    columns: dict[Dataset, dict[str, pa.DataType]] = {
        "transcripts": {
            "duration": time,
            "language": text,
            "language_probability": rate,
            "detected_language": text,
            "detected_language_probability": rate,
            "model": text,
            "notes": pa.list_(text),
            "quality": rate,
            "speech_seconds": time,
            "untranscribed_speech_seconds": time,
            "untranscribed_parts": rows_of(start=time, end=time),
            "suspect_segments": pa.int32(),
            "text": text,
            "segments": rows_of(
                start=time,
                end=time,
                speaker=text,
                text=text,
                avg_logprob=rate,
                no_speech_prob=rate,
                compression_ratio=rate,
                language=text,
                hallucination_reasons=pa.list_(text),
                raw_text=text,
                channel=pa.int32(),
                words=rows_of(
                    start=time,
                    end=time,
                    speaker=text,
                    text=text,
                    probability=rate,
                    overlap=pa.bool_(),
                    low_confidence=pa.bool_(),
                    suggestion=text,
                ),
            ),
            "speaker_turns": rows_of(start=time, end=time, speaker=text, channel=pa.int32()),
        },
        "minutes": {
            "title": text,
            "summary": text,
            "topics": pa.list_(text),
            "decisions": pa.list_(text),
            "action_items": rows_of(task=text, owner=text, due=text, start=time),
            "keywords": pa.list_(text),
            "model": text,
            "tokens_used": pa.int32(),
        },
    }
    file = {"batch_id": pa.int64(), "audio_file_id": pa.int64(), "uri": text, "file_name": text}
    return pa.schema(list((file | columns[dataset]).items()))


_Rows = TypeVar("_Rows", "pa.RecordBatch", "pa.Table")


def in_current_schema(rows: _Rows, dataset: Dataset) -> _Rows:
    """Return rows of an older version in the current schema: fields are renamed, missing fields are null.

    ``file_name`` is made from ``uri``.
    """
    current = schema(dataset)
    if rows.schema.equals(current):
        return rows
    return type(rows).from_pylist(_with_current_names(rows.to_pylist()), schema=current)


def _with_current_names(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return rows of Parquet files or of tables, whose JSON may have field names of older versions."""
    return [_renamed_row(row) for row in rows]


def _renamed_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    row = _renamed(row, {"speech_seconds_without_text": "untranscribed_speech_seconds"})
    if "uri" in row:
        row = {**row, "file_name": display_name(row["uri"])}
    segments = row.get("segments")
    if segments is None:
        return row
    return {**row, "segments": [_renamed_segment(segment) for segment in segments]}


def _renamed_segment(segment: Mapping[str, Any]) -> Mapping[str, Any]:
    words = segment.get("words") or ()
    renamed = _renamed(segment, SEGMENT_KEYS_BEFORE_SCHEMA_2)
    return {**renamed, "words": [_renamed(word, WORD_KEYS_BEFORE_SCHEMA_2) for word in words]}


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    if names.keys().isdisjoint(row):
        return row
    return {names.get(key, key): value for key, value in row.items()}


def shard_path(root: UPath, dataset: Dataset, batch_key: str, shard_stem: str) -> UPath:
    """Return the path of the Parquet file of one shard: ``ROOT/transcripts/batch=000012/000012-000017.parquet``."""
    return shards_folder(root, dataset, batch_key) / f"{shard_stem}.parquet"


def shards_folder(root: UPath, dataset: Dataset, batch_key: str) -> UPath:
    """Return the folder with the files of a batch's shards: ``ROOT/transcripts/batch=000012``."""
    return root / dataset / f"batch={batch_key}"


def compacted_folder(root: UPath, dataset: Dataset, batch_key: str) -> UPath:
    """Return the folder with the compacted files of a batch: ``ROOT/compacted/transcripts/batch=000012``."""
    return root / "compacted" / dataset / f"batch={batch_key}"


def exports_folder(root: UPath, batch_key: str) -> UPath:
    """Return the default folder for exports of a batch: ``ROOT/exports/batch=000012``."""
    return root / "exports" / f"batch={batch_key}"


def delete_batch(root: UPath, batch_key: str) -> None:
    """Delete all files of a batch, including exports in the data folder and drafts of crashed runs."""
    for dataset in get_args(Dataset):
        files.delete_folder(shards_folder(root, dataset, batch_key))
        files.delete_folder(compacted_folder(root, dataset, batch_key))
    files.delete_folder(exports_folder(root, batch_key))


def write(path: UPath, dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` to ``path`` atomically, zstd-compressed; raises like ``files.written``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(_with_current_names(rows), schema=schema(dataset))
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    files.write(path, buffer.getvalue().to_pybytes())


def read(paths: Iterable[UPath], dataset: Dataset) -> pd.DataFrame:
    """Return the rows of some files, in their order; raises like ``files.read``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(pa.BufferReader(files.read(path))) for path in paths]
    known = [in_current_schema(table, dataset) for table in tables]
    return pa.concat_tables([schema(dataset).empty_table(), *known]).to_pandas()


def stream(dataset: Dataset, pages: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    """Yield the bytes of one Parquet file with all rows of ``pages``, one row group at a time, zstd-compressed.

    Memory holds one page, one row group, and the metadata of all row groups for the footer.
    """
    import pyarrow as pa

    columns = schema(dataset)
    sink = _Sink()
    batches = (pa.RecordBatch.from_pylist(_with_current_names(rows), schema=columns) for rows in pages)
    with writer(sink, dataset) as file:
        for group in grouped(batches):
            file.write_table(group)
            yield sink.taken()
    yield sink.taken()


def writer(sink: Any, dataset: Dataset) -> pq.ParquetWriter:
    """Return a writer of tables to ``sink`` as row groups of one Parquet file; its context manager writes the footer."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(sink, schema(dataset), compression="zstd")


def grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield rows as tables of at least :data:`ROW_GROUP_BYTES`, except the last one."""
    import pyarrow as pa

    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        group.append(batch)
        size += batch.nbytes
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(group)
            group, size = [], 0
    if group:
        yield pa.Table.from_batches(group)


class _Sink(io.RawIOBase):
    """A write-only file that collects chunks until ``taken`` returns them."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        content = bytes(chunk)
        self._chunks.append(content)
        self._at += len(content)
        return len(content)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        content = b"".join(self._chunks)
        self._chunks.clear()
        return content
