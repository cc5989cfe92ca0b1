"""Writing transcripts to files in the formats that a person asked for; the formats are in ``minutes.exports``."""

from collections.abc import Sequence
from pathlib import Path

from stt_pipeline.errors import ConfigurationError, InvalidRequestError
from stt_pipeline.minutes.exports import EXPORT_FORMATS, export
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript


def parsed_formats(text: str) -> list[str]:
    """Return the formats in a list separated by commas.

    Raises:
        InvalidRequestError: one of them is not known, or there is none.
    """
    kinds = list(dict.fromkeys(kind.strip().lower() for kind in text.split(",") if kind.strip()))
    unknown = [kind for kind in kinds if kind not in EXPORT_FORMATS]
    if unknown or not kinds:
        raise InvalidRequestError(
            f"--format knows {', '.join(EXPORT_FORMATS)}, separated by commas, not {', '.join(unknown) or 'nothing'}."
        )
    return kinds


def write_formats(
    stem: Path, kinds: Sequence[str], *, name: str, transcript: Transcript, minutes: Minutes | None
) -> list[Path]:
    """Write one recording to ``stem`` with each format as its ending, and return the paths.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in kinds]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for kind, path in zip(kinds, paths, strict=True):
            path.write_text(export(kind, name=name, transcript=transcript, minutes=minutes), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{stem.parent} cannot be written: {error.strerror}.") from error
    return paths
