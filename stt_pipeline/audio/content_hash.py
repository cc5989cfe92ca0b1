"""The SHA-256 of a recording's bytes, which tells whether two files are the same recording under different names."""

import hashlib
from pathlib import Path


def content_sha256(path: Path) -> bytes:
    """Return the 32 bytes of the SHA-256 of a file. Reads it in blocks, and releases the GIL."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
