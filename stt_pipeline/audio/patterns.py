"""File patterns (shell globs) that select names of a source, the same for folders and buckets. No listing here.

Patterns are user input, and a scan matches them against millions of names. RE2 takes linear time for every pattern; with
``re``, ``*a*a*a*a*a*b`` takes hours and blocks all other threads.
"""

import os
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
"""Extensions of the audio and video containers that recorders, phones and meeting tools write."""

DEFAULT_PATTERN = ",".join(f"**/*.{extension}" for extension in AUDIO_EXTENSIONS)
"""Every known kind of audio and video, at any depth."""


MAX_PATTERN_LENGTH = 2_000
_MAX_GLOBS = 100
_SPACES = " \t\r\n"  # line breaks may separate globs
_MAX_MEMORY = 2 << 20  # bytes for a compiled pattern and its cache; the package caches the last 128 patterns
_NO_MATCH = r"[^\x{0}-\x{10ffff}]"
_CASELESS = re.compile(r"[0-9 _/-]*")
_NAMED_CLASS = re.compile(r"\[[^]]*\[:")  # [[:alpha:]]: shells support it, fsspec does not
_SURROGATES = re.compile("[\ud800-\udfff]")


class FilePattern:
    """Shell globs, several separated by commas, matched against paths relative to the source.

    ``*`` and ``?`` match within one folder, ``**`` matches any number of folders: ``**/*.mp3`` is every mp3, ``*.mp3`` only
    those at the top. Case and the Unicode form of Korean (composed or decomposed) are ignored. Names that begin with a dot
    never match, as in a shell: macOS writes a ``._name.mp3`` beside every file that it copies.
    """

    def __init__(self, text: str) -> None:
        """Compile ``text``; an empty one is :data:`DEFAULT_PATTERN`.

        Raises:
            InvalidRequestError: the pattern is not valid, leaves the source, or is too long.
        """
        import re2  # type: ignore[import-untyped]

        if len(text) > MAX_PATTERN_LENGTH:
            raise InvalidRequestError(
                f"The file pattern has {len(text):,} characters, and may have {MAX_PATTERN_LENGTH:,}."
            )
        globs = [glob.strip(_SPACES) for glob in (text.strip(_SPACES) or DEFAULT_PATTERN).split(",")]
        globs = [glob for glob in globs if glob]
        if len(globs) > _MAX_GLOBS:
            raise InvalidRequestError(
                f"The file pattern lists {len(globs)} globs, and may list {_MAX_GLOBS}: use wider globs, as in **/*."
            )
        common = os.path.commonprefix(globs)  # noqa: RUF071 (a prefix of characters, not of folders)
        self._literal_start = common[: _CASELESS.match(common).end()].rstrip("/ ")  # type: ignore[union-attr]
        options = re2.Options()
        options.case_sensitive = False
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        try:
            self._regex = re2.compile("|".join(map(_translate, globs)) or _NO_MATCH, options)
        except re2.error as error:
            raise InvalidRequestError(
                f"The file pattern cannot be used ({_reason(error)}): write a shorter or simpler one, as in **/*.mp3."
            ) from error

    @property
    def literal_start(self) -> str:
        """A prefix that every matching path has: only characters without case and without other Unicode forms."""
        return self._literal_start

    def matches(self, path: str) -> bool:
        """Return whether ``path``, relative to the source and with ``/`` between folders, matches."""
        if path.startswith(".") or "/." in path:
            return False
        name = unicodedata.normalize("NFC", path)
        try:
            encoded = name.encode()
        except UnicodeEncodeError:  # bytes that are not UTF-8: only wildcards match them
            encoded = _SURROGATES.sub("\ufffd", name).encode()
        return self._regex.fullmatch(encoded) is not None


def _translate(glob: str) -> str:
    """Return ``glob`` as a regular expression of RE2."""
    from fsspec.utils import glob_translate  # type: ignore[import-untyped]

    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in glob):
        raise InvalidRequestError(
            f"The file pattern {glob!a} contains control characters or line breaks: write visible text."
        )
    if glob.startswith("/") or ".." in glob.replace("\\", "/").split("/"):
        raise InvalidRequestError(
            f"The file pattern {glob!r} leaves the source: write it relative to the source folder, as in **/*.mp3."
        )
    if glob.count("{") != glob.count("}"):
        raise InvalidRequestError(
            f"The file pattern has braces around a comma, near {glob!r}: write the choices out, as in *.mp3,*.wav."
        )
    if _NAMED_CLASS.search(glob):
        raise InvalidRequestError(
            f"The file pattern {glob!r} has a named character class: write the characters out, as in [a-z]."
        )
    try:
        expression = str(glob_translate(unicodedata.normalize("NFC", glob)))
    except ValueError as error:
        raise InvalidRequestError(
            f"The file pattern {glob!r} is not valid: ** must stand alone between slashes, as in **/*.mp3."
        ) from error
    # a key can begin with a slash or have two in a row: its folders have empty names
    expression = expression.replace("(?:.+/)?", "(?:.*/)?")
    # RE2 has another syntax for the end of the text and for an empty class, as in [z-a]
    expression = expression.removesuffix(r"\Z")
    return expression if "(?!)" in glob else expression.replace("(?!)", _NO_MATCH)


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
