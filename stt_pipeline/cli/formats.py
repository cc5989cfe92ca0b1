"""Writing transcripts to files in the requested formats; the formats are in ``minutes.formats``."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stt_pipeline.backends import FORMATS
from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.minutes.exports import ExportContent, export_format
from stt_pipeline.parquet import files

if TYPE_CHECKING:
    from upath import UPath

FORMATS_HELP = f"Formats to write, separated by commas. {FORMATS.help()}."


def parsed_formats(text: str) -> list[str]:
    """Return the formats in a list separated by commas.

    Raises:
        InvalidRequestError: one of them is not known, or there is none.
    """
    kinds = list(dict.fromkeys(kind.strip().lower() for kind in text.split(",") if kind.strip()))
    unknown = [kind for kind in kinds if kind not in FORMATS]
    if unknown or not kinds:
        raise InvalidRequestError(
            f"--format knows {', '.join(FORMATS)}, separated by commas, not {', '.join(unknown) or 'nothing'}."
        )
    return kinds


def made_folder(folder: Path) -> Path:
    """Create ``folder`` if it is missing, and return it. Called before the work, which can take hours.

    Raises:
        ConfigurationError: the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def fitting_name(name: str) -> str:
    """Return a file name that stays within 255 bytes, the limit of most filesystems, with each format as extension."""
    longest = 255 - max(len(f".{kind}") for kind in FORMATS)
    # a cut can leave the beginning of a character
    return os.fsencode(name)[:longest].decode(errors="ignore") if len(os.fsencode(name)) > longest else name


def write_formats(
    stem: UPath | Path,
    kinds: Sequence[str],
    recording: ExportContent,
) -> list[UPath | Path]:
    """Write one recording in each format to ``stem`` plus the format as extension, and return the paths.

    Each file is replaced atomically.

    Raises:
        ConfigurationError: a file cannot be written.
        SourceUnavailableError: S3 does not answer at the moment.
    """
    from upath import UPath

    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in kinds]
    for kind, path in zip(kinds, paths, strict=True):
        content = export_format(kind).write(recording)
        try:
            files.write(UPath(path), content)
        except ConfigurationError as error:
            if isinstance(stem, Path) and isinstance(error.__cause__, OSError):
                raise _unwritable(stem.parent, error.__cause__) from None
            raise
    return paths


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The folder {folder} cannot be written: {error.strerror}. Give another one with --output-dir."
    )
