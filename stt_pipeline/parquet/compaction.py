"""Compaction: merges the Parquet files of a batch's shards, hundreds or thousands, into files of about 256 MB.

Memory does not grow with the batch: it holds the files of some shards and one row group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stt_pipeline.errors import SourceUnavailableError, SttError
from stt_pipeline.parquet import datasets, files
from stt_pipeline.parquet.datasets import Dataset

if TYPE_CHECKING:
    import pyarrow as pa
    from upath import UPath

FILE_BYTES = 256 << 20
"""Size at which the next file begins: large enough that the time to open a file is negligible, also in S3, and small
enough that several workers of DuckDB or Spark can share a batch."""


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """How much of the shard files is in memory.

    Attributes:
        files: shard files that are read at a time.
        read_bytes: their compressed size; a larger file is read alone.
        decoded_bytes: size of decoded rows.
    """

    files: int = 64
    read_bytes: int = 32 << 20
    decoded_bytes: int = 8 << 20


LIMITS = CompactionLimits()


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result of compacting one dataset of a batch.

    Attributes:
        folder: folder of the compacted files.
        shards: number of shard files that were read.
        files: number of compacted files.
        size: total size of the compacted files in bytes.
    """

    folder: str
    shards: int
    files: int
    rows: int
    size: int


def compact(
    root: UPath,
    dataset: Dataset,
    batch_key: str,
    *,
    file_bytes: int = FILE_BYTES,
    limits: CompactionLimits = LIMITS,
    verify: Callable[[], None] = lambda: None,
) -> Compacted:
    """Write the rows of all shards of a batch, in order, to ``part-00000.parquet`` and so on.

    The same shards give the same files. Each file is written atomically. Files of an earlier compaction after the last
    new one are deleted. The shard files do not change.

    Args:
        root: the data folder.
        file_bytes: a file of this size gets no more rows.
        limits: how much is in memory.
        verify: called before each change; raises if the caller lost its lease on the batch.

    Raises:
        ConfigurationError: the data folder cannot be used.
        SourceUnavailableError: the data folder is unavailable, or a shard file was deleted meanwhile.
        SttError: a shard file is broken.
    """
    shards = files.sizes(datasets.shards_folder(root, dataset, batch_key))
    folder = datasets.compacted_folder(root, dataset, batch_key)
    groups = datasets.grouped(_decoded(shards, dataset, limits))
    rows = size = 0
    written: list[UPath] = []
    group = next(groups, None)
    # shards without rows give one file without rows; a batch without shards gets no file
    while group is not None or (shards and not written):
        path = folder / f"part-{len(written):05d}.parquet"
        with files.written(path) as file:
            with datasets.writer(file, dataset) as writer:
                while group is not None:
                    writer.write_table(group)
                    rows += group.num_rows
                    group = next(groups, None)
                    if file.tell() >= file_bytes:
                        break
            size += file.tell()
            verify()
        written.append(path)
    for path in files.sizes(folder):
        if path not in written:
            verify()
            files.delete(path)
    return Compacted(str(folder), len(shards), len(written), rows, size)


def is_current(root: UPath, dataset: Dataset, batch_key: str) -> bool:
    """Return whether the batch has compacted files that are newer than all its shard files."""
    shards = files.times(datasets.shards_folder(root, dataset, batch_key))
    large = files.times(datasets.compacted_folder(root, dataset, batch_key))
    # S3 rounds times to seconds: files of the same second may be older or newer, so compact once more
    return not shards or (bool(large) and min(large) > max(shards))


def _decoded(
    shards: dict[UPath, int], dataset: Dataset, limits: CompactionLimits
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of shard files in batches."""
    for paths in _groups(shards, limits):
        try:
            for path, content in zip(paths, files.read_each(paths), strict=True):
                yield from _decoded_file(path, content, dataset, limits.decoded_bytes)
        except FileNotFoundError as error:
            raise SourceUnavailableError(
                f"{error.filename} was deleted during the compaction of its batch. Compact the batch again."
            ) from error


def _decoded_file(
    path: UPath, content: bytes, dataset: Dataset, decoded_bytes: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
        rows = file.metadata.num_rows
        batch_size = max(1, rows * decoded_bytes // max(1, size))
        for batch in file.iter_batches(batch_size=batch_size):
            yield datasets.in_current_schema(batch, dataset)
    except (pa.ArrowException, OSError) as error:
        raise SttError(f"{path} is broken: {error} Materialize its shard again.") from error


def _groups(shards: dict[UPath, int], limits: CompactionLimits) -> Iterator[list[UPath]]:
    """Split files, given with their sizes in bytes, into groups that fit into memory."""
    group: list[UPath] = []
    size = 0
    for path, its_size in shards.items():
        if group and (size + its_size > limits.read_bytes or len(group) == limits.files):
            yield group
            group, size = [], 0
        group.append(path)
        size += its_size
    if group:
        yield group
