"""Partition keys: the only place that makes or reads them.

A batch's key is its id, ``000012``; a shard's is batch id and number, ``000012-000017``, with the file's name behind a
colon where the shard is one file. Zero padding keeps the order of keys the order of intake.
"""

import re
import unicodedata

_NAME_LENGTH = 80
_NOT_ALLOWED = re.compile(r"[^\w.-]+")


def batch_key(batch_id: int) -> str:
    """Return the partition key of a batch."""
    return f"{batch_id:06d}"


def shard_key(batch_id: int, number: int, file_name: str | None = None) -> str:
    """Return the partition key of a batch's shard ``number``, readable where it is the one file ``file_name``.

    The name is cleaned to letters of any script, digits, ``.``, ``-`` and ``_``, NFC, at most 80 characters; the ending
    survives the cut.
    """
    key = f"{batch_id:06d}-{number:06d}"
    if file_name is None:
        return key
    return f"{key}:{clean_name(file_name)}"


def clean_name(file_name: str) -> str:
    """Return a file's name in characters that are safe in keys, paths and pages, cut to 80 with its ending kept."""
    name = _NOT_ALLOWED.sub("_", unicodedata.normalize("NFC", file_name)).strip("_") or "file"
    if len(name) <= _NAME_LENGTH:
        return name
    stem, dot, ending = name.rpartition(".")
    keep = _NAME_LENGTH - len(ending) - 1
    return f"{stem[:keep]}.{ending}" if dot and keep > _NAME_LENGTH // 2 else name[:_NAME_LENGTH]


def batch_id_of(key: str) -> int:
    """Return the batch id in a batch's or a shard's key.

    Raises:
        ValueError: ``key`` was not made here.
    """
    return int(key[: key.index("-")] if "-" in key[:20] else key)


def shard_stem(key: str) -> str:
    """Return the part of a shard's key that is safe in file names everywhere: ``000012-000017``."""
    return key.partition(":")[0]
