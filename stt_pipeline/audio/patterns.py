"""Which names of a source are meant: file patterns, the same for folders and for buckets. No listing here."""

import re
import unicodedata

from stt_pipeline.errors import InvalidRequestError

AUDIO_EXTENSIONS = (
    *(
        "aac",
        "aif",
        "aiff",
        "amr",
        "au",
        "caf",
        "flac",
        "m4a",
        "mka",
        "mp2",
        "mp3",
        "oga",
        "ogg",
        "opus",
        "wav",
        "wma",
    ),
    *("3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm", "wmv"),
)
"""Extensions of the sound and film containers that recorders, phones and meeting tools write."""

DEFAULT_PATTERN = ",".join(f"**/*.{extension}" for extension in AUDIO_EXTENSIONS)
"""Every known kind of audio and video, at any depth."""


class FilePattern:
    """Shell globs, several separated by commas, matched against paths relative to the source.

    ``*`` and ``?`` stay within one folder, ``**`` spans any number of them (``**/*.mp3`` is every mp3, ``*.mp3`` only
    those at the top). Upper and lower case are the same, and so are composed and decomposed Korean. Names that begin
    with a dot are never meant, as in a shell: macOS leaves a ``._name.mp3`` beside every file it copies.
    """

    def __init__(self, text: str) -> None:
        """Compile ``text``; an empty one is :data:`DEFAULT_PATTERN`.

        Raises:
            InvalidRequestError: the pattern cannot be one of paths inside the source.
        """
        globs = [glob.strip() for glob in (text.strip() or DEFAULT_PATTERN).split(",") if glob.strip()]
        self._regex = re.compile("|".join(_translate(glob) for glob in globs) or "(?!)", re.IGNORECASE)

    def matches(self, path: str) -> bool:
        """Say whether ``path``, relative to the source and with ``/`` between folders, is meant."""
        if path.startswith(".") or "/." in path:
            return False
        return self._regex.match(unicodedata.normalize("NFC", path)) is not None


def _translate(glob: str) -> str:
    from fsspec.utils import glob_translate  # type: ignore[import-untyped]

    if glob.startswith("/") or ".." in glob.split("/"):
        raise InvalidRequestError(
            f"The file pattern {glob!r} leaves the source: write it relative to the source folder, as in **/*.mp3."
        )
    if glob.count("{") != glob.count("}"):
        raise InvalidRequestError(
            f"The file pattern has braces around a comma, near {glob!r}: write the choices out, as in *.mp3,*.wav."
        )
    try:
        return str(glob_translate(unicodedata.normalize("NFC", glob)))
    except ValueError as error:
        raise InvalidRequestError(
            f"The file pattern {glob!r} is not valid: ** must stand alone between slashes, as in **/*.mp3."
        ) from error
