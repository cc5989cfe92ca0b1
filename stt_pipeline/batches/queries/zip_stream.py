"""Creates a zip of any number of files while it is sent.

The directory at a zip's end has an entry for every file. ``zipstream`` keeps these in memory, a kilobyte a file; here they
are written to a temporary file. This replaces a private attribute of ``zipstream``, in this module only, and a test covers it.
"""

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

from zipstream import ZIP_DEFLATED, ZIP_STORED, ZipStream, ZipStreamInfo


def zipped(
    files: Iterable[tuple[str, bytes]],
    *,
    compress: bool = True,
    block_bytes: int = 1 << 16,
    memory_bytes: int = 1 << 20,
) -> Iterator[bytes]:
    """Yield the bytes of a zip of ``files``, given as (name, content); one file is in memory at a time.

    Args:
        compress: False for files that are compressed already.
        block_bytes: smaller chunks are joined to blocks of this size.
        memory_bytes: a larger directory moves to a temporary file; 1 MiB holds about 10,000 entries.
    """
    with tempfile.SpooledTemporaryFile(max_size=memory_bytes) as directory:
        archive = ZipStream(compress_type=ZIP_DEFLATED if compress else ZIP_STORED)
        archive._filelist = _Directory(directory, block_bytes)

        def chunks() -> Iterator[bytes]:
            for name, content in files:
                archive.add(content, name)
                yield from archive.all_files()
            yield from archive.footer()

        yield from _in_blocks(chunks(), block_bytes)


def _in_blocks(chunks: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    block = bytearray()
    for chunk in chunks:
        block += chunk
        if len(block) >= block_bytes:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class _Directory:
    """Replaces ``ZipStream``'s list of entries: stores each entry in its final form, and returns blocks of them."""

    def __init__(self, file: IO[bytes], block_bytes: int) -> None:
        self._written = file
        self._block_bytes = block_bytes
        self._entries = 0

    def append(self, entry: ZipStreamInfo) -> None:
        self._written.write(entry._central_directory_header_data())
        self._entries += 1

    def __len__(self) -> int:
        return self._entries

    def __iter__(self) -> "Iterator[_Block]":
        self._written.seek(0)
        while block := self._written.read(self._block_bytes):
            yield _Block(block)


class _Block:
    """A block of the directory, with the interface of an entry."""

    def __init__(self, written: bytes) -> None:
        self._written = written

    def _central_directory_header_data(self) -> bytes:
        return self._written
