"""Partition keys of batches and shards: the only module that makes or parses them.

A batch's key is its id and, after a colon, the name that it was created with: ``000012:board-meetings``. Batches of older
versions have no name in it. A shard's key is the batch's key and its index, ``000012-000017``, and the file's name
after a colon if the shard has one file. Zero padding makes the order of keys the order of insertion.
"""

import re
import unicodedata
from dataclasses import dataclass

_MAX_NAME = 80  # characters
_UNSAFE = re.compile(r"[^\w.-]+")
_BATCH_KEY = re.compile(r"(\d{6,})(?::(.+))?", re.ASCII)
_SHARD_KEY = re.compile(r"(\d{6,})-(\d{6,})(?::(.+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BatchKey:
    """The key of a batch; ``str()`` is the partition key, and without a name the name of its folders.

    Attributes:
        name: ``partition_name`` of the batch. It is stored when the batch is created, and a new name of the batch does
            not change it: a partition cannot be renamed. Empty for batches of older versions.
    """

    batch_id: int
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "BatchKey":
        """Return the key that ``text`` is.

        Raises:
            ValueError: ``text`` is not the key of a batch.
        """
        if not (match := _BATCH_KEY.fullmatch(text)):
            raise ValueError(f"{text!r} is not the key of a batch.")
        return cls(int(match[1]), match[2] or "")

    def __str__(self) -> str:
        return f"{self.stem}:{self.name}" if self.name else self.stem

    @property
    def stem(self) -> str:
        """The key without the name: ``000012``."""
        return f"{self.batch_id:06d}"

    @property
    def shard_prefix(self) -> str:
        """The beginning of the keys of the batch's shards, and of no other key."""
        return f"{self.stem}-"


@dataclass(frozen=True, slots=True)
class ShardKey:
    """The key of a shard; ``str()`` is the partition key.

    Attributes:
        index: of the shard in its batch, from 0.
        file_name: cleaned name of the shard's only file; None if the shard may have more.
    """

    batch_id: int
    index: int
    file_name: str | None = None

    def __post_init__(self) -> None:
        if self.file_name is not None:
            object.__setattr__(self, "file_name", clean_name(self.file_name))

    @classmethod
    def parse(cls, text: str) -> "ShardKey":
        """Return the key that ``text`` is.

        Raises:
            ValueError: ``text`` is not the key of a shard.
        """
        if not (match := _SHARD_KEY.fullmatch(text)):
            raise ValueError(f"{text!r} is not the key of a shard.")
        return cls(int(match[1]), int(match[2]), match[3])

    def __str__(self) -> str:
        return self.stem if self.file_name is None else f"{self.stem}:{self.file_name}"

    @property
    def batch_key(self) -> BatchKey:
        """The key of the shard's batch."""
        return BatchKey(self.batch_id)

    @property
    def stem(self) -> str:
        """The key without the file's name, which is a safe file name everywhere: ``000012-000017``."""
        return f"{self.batch_key.shard_prefix}{self.index:06d}"


def parse_key(text: str) -> BatchKey | ShardKey:
    """Return the key that ``text`` is.

    Raises:
        ValueError: ``text`` is neither the key of a batch nor that of a shard.
    """
    return ShardKey.parse(text) if _SHARD_KEY.fullmatch(text) else BatchKey.parse(text)


def clean_name(file_name: str) -> str:
    """Return a file's name in characters that are safe in keys, paths and pages.

    These are letters of any script in NFC, digits, ``.``, ``-`` and ``_``. A name of more than 80 characters is cut, and
    keeps its extension. A clean name stays as it is.
    """
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", file_name)).strip("_") or "file"
    if len(name) <= _MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    keep = _MAX_NAME - len(extension) - 1
    if dot and keep > _MAX_NAME // 2:
        return f"{stem[:keep]}.{extension}"
    return name[:_MAX_NAME].rstrip("_")
