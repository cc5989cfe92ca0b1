"""Which names of a source are meant: file patterns, the same for folders and for buckets. No listing here.

Patterns come from outside, and a scan asks them about millions of names. So they run on RE2, whose time is linear in the
length of a name whatever the pattern is: with ``re``, ``*a*a*a*a*a*b`` takes hours and holds up every other thread.
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
"""Extensions of the sound and film containers that recorders, phones and meeting tools write."""

DEFAULT_PATTERN = ",".join(f"**/*.{extension}" for extension in AUDIO_EXTENSIONS)
"""Every known kind of audio and video, at any depth."""


MAX_PATTERN_LENGTH = 2_000
_MOST_GLOBS = 100
_SPACES = " \t\r\n"  # around globs, which may be written on lines of their own
# of the compiled pattern and its cache, in bytes: the package keeps the last 128 patterns
_MEMORY = 2 << 20
_NOTHING = r"[^\x{0}-\x{10ffff}]"
_ONE_FORM = re.compile(r"[0-9 _/-]*")
_NAMED_CLASS = re.compile(r"\[[^]]*\[:")  # [[:alpha:]], which a shell knows, and fsspec does not
_SURROGATES = re.compile("[\ud800-\udfff]")


class FilePattern:
    """Shell globs, several separated by commas, matched against paths relative to the source.

    ``*`` and ``?`` stay within one folder, ``**`` spans any number of them (``**/*.mp3`` is every mp3, ``*.mp3`` only
    those at the top). Upper and lower case are the same, and so are composed and decomposed Korean. Names that begin
    with a dot are never meant, as in a shell: macOS leaves a ``._name.mp3`` beside every file it copies.
    """

    def __init__(self, text: str) -> None:
        """Compile ``text``; an empty one is :data:`DEFAULT_PATTERN`.

        Raises:
            InvalidRequestError: the pattern cannot be one of paths inside the source, or is too long.
        """
        import re2  # type: ignore[import-untyped]

        if len(text) > MAX_PATTERN_LENGTH:
            raise InvalidRequestError(
                f"The file pattern has {len(text):,} characters, and may have {MAX_PATTERN_LENGTH:,}."
            )
        globs = [glob.strip(_SPACES) for glob in (text.strip(_SPACES) or DEFAULT_PATTERN).split(",")]
        globs = [glob for glob in globs if glob]
        if len(globs) > _MOST_GLOBS:
            raise InvalidRequestError(
                f"The file pattern lists {len(globs)} globs, and may list {_MOST_GLOBS}: use wider ones, as in **/*."
            )
        common = os.path.commonprefix(globs)  # noqa: RUF071 (by character is what is meant)
        self._literal_start = common[: _ONE_FORM.match(common).end()].rstrip("/ ")  # type: ignore[union-attr]
        options = re2.Options()
        options.case_sensitive = False
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MEMORY
        try:
            self._regex = re2.compile("|".join(map(_translate, globs)) or _NOTHING, options)
        except re2.error as error:
            raise InvalidRequestError(
                f"The file pattern cannot be used ({_words(error)}): write a shorter or simpler one, as in **/*.mp3."
            ) from error

    @property
    def literal_start(self) -> str:
        """How every path that is meant begins, as far as that is certain: characters that have no other form or case."""
        return self._literal_start

    def matches(self, path: str) -> bool:
        """Say whether ``path``, relative to the source and with ``/`` between folders, is meant."""
        if path.startswith(".") or "/." in path:
            return False
        name = unicodedata.normalize("NFC", path)
        try:
            encoded = name.encode()
        except UnicodeEncodeError:  # bytes that are not UTF-8: each is a character that only a wildcard means
            encoded = _SURROGATES.sub("\ufffd", name).encode()
        return self._regex.fullmatch(encoded) is not None


def _translate(glob: str) -> str:
    """Return ``glob`` as an expression of RE2."""
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
            f"The file pattern {glob!r} names a class of characters: write them out, as in [a-z]."
        )
    try:
        expression = str(glob_translate(unicodedata.normalize("NFC", glob)))
    except ValueError as error:
        raise InvalidRequestError(
            f"The file pattern {glob!r} is not valid: ** must stand alone between slashes, as in **/*.mp3."
        ) from error
    # a key may begin with a slash, or have two in a row: folders without a name
    expression = expression.replace("(?:.+/)?", "(?:.*/)?")
    # what RE2 writes otherwise: the end of the text, and the empty class of [z-a], which is no name
    expression = expression.removesuffix(r"\Z")
    return expression if "(?!)" in glob else expression.replace("(?!)", _NOTHING)


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
