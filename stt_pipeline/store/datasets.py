"""Parquet: the schemas, the paths and the writing of the datasets: one file a shard, or a stream for all of a batch.

A shard's file is written beside its place and then moved there, so that no reader sees half of it; the same rows give the same
file. Columns are explained in docs/data.md.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

Dataset = Literal["transcripts", "minutes"]

_ROW_GROUP_BYTES = 64 << 20


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
            "model": text,
            "notes": pa.list_(text),
            "text": text,
            "segments": rows_of(
                start=time,
                end=time,
                speaker=text,
                text=text,
                avg_logprob=rate,
                no_speech_prob=rate,
                compression_ratio=rate,
                words=rows_of(start=time, end=time, speaker=text, text=text, probability=rate),
            ),
            "speaker_turns": rows_of(start=time, end=time, speaker=text),
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
    file = {"batch_id": pa.int64(), "audio_file_id": pa.int64(), "uri": text}
    return pa.schema(list((file | columns[dataset]).items()))


def shard_path(root: str, dataset: Dataset, batch_key: str, shard_stem: str) -> UPath:
    """Return where the Parquet file of one shard lies: ``ROOT/transcripts/batch=000012/000012-000017.parquet``."""
    return _batch_folder(root, dataset, batch_key) / f"{shard_stem}.parquet"


def delete_batch(root: str, batch_key: str) -> None:
    """Delete the Parquet files of a batch, drafts that a dead run left included."""
    for dataset in get_args(Dataset):
        folder = _batch_folder(root, dataset, batch_key)
        if folder.exists():
            folder.rmdir(recursive=True)


def _batch_folder(root: str, dataset: Dataset, batch_key: str) -> UPath:
    from upath import UPath

    return UPath(root) / dataset / f"batch={batch_key}"


def write(path: UPath, dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` to ``path`` in one move, zstd-compressed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=schema(dataset))
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # two runs may write the same shard at once
    draft.write_bytes(buffer.getvalue().to_pybytes())
    draft.rename(path)


def stream(dataset: Dataset, pages: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    """Yield the bytes of one Parquet file with all rows of ``pages``, one row group at a time, zstd-compressed.

    In memory are a page, a row group of some 64 MiB before compression, and what the end of the file says of each group.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(dataset)
    sink = _Sink()
    group: list[pa.RecordBatch] = []
    size = 0
    with pq.ParquetWriter(sink, columns, compression="zstd") as writer:
        for rows in pages:
            if rows:
                group.append(pa.RecordBatch.from_pylist(list(rows), schema=columns))
                size += group[-1].nbytes
            if size >= _ROW_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group))
                group, size = [], 0
                yield sink.taken()
        if group:
            writer.write_table(pa.Table.from_batches(group))
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that holds what was written to it until somebody takes it."""

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
