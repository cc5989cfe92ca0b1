"""The errors that the product knows by name, and the short list of classes under which a file can fail.

No other module may invent an error class. A message says what happened and what to do about it.

    SttError
    ├── ConfigurationError     a setting is wrong or missing; nothing was started
    ├── InvalidRequestError    what a user asked for cannot be done as written
    │   ├── NotFoundError      there is no such thing
    │   └── ConflictError      not in the state that it is in
    ├── SourceUnavailableError a source does not answer at the moment; the same request may work later
    ├── LeaseLostError         another run works on this shard now; this one must not write
    └── FileError              one audio file cannot be processed; the others go on
        ├── UnreadableError    not audio, empty, or broken
        ├── NoAudioError       a container without an audio track, or no sound in it
        ├── DownloadError      the source could not deliver it (transient)
        ├── ModelError         the speech model could not be loaded or failed (transient)
        ├── OutOfMemoryError   the device ran out of memory (transient)
        ├── SummaryError       the minutes could not be made (transient)
        └── EmailError         the mail could not be handed over (transient)
"""

from typing import ClassVar, Literal

ErrorClass = Literal[
    "unreadable",
    "too_large",
    "no_audio",
    "download",
    "model",
    "out_of_memory",
    "llm",
    "email",
    "internal",
]


class SttError(Exception):
    """Base of every error with a message made for people."""


class ConfigurationError(SttError):
    """A setting is wrong or missing; nothing was started."""


class InvalidRequestError(SttError):
    """What was asked for cannot be done as written."""


class NotFoundError(InvalidRequestError):
    """There is no such thing."""


class ConflictError(InvalidRequestError):
    """What was asked for cannot be done in the state that the thing is in."""


class SourceUnavailableError(SttError):
    """A source does not answer at the moment, or not in time; the same request may work later."""


class LeaseLostError(SttError):
    """The shard's lease belongs to another run, so nothing may be written."""


class FileError(SttError):
    """One audio file failed; ``error_class`` is stored with it and ``transient`` decides about another try."""

    error_class: ClassVar[ErrorClass] = "internal"
    transient: ClassVar[bool] = False


class UnreadableError(FileError):
    """The bytes are not audio that can be decoded: empty, broken, or another kind of file."""

    error_class = "unreadable"


class NoAudioError(FileError):
    """The container is fine but holds no audio track, or no samples."""

    error_class = "no_audio"


class DownloadError(FileError):
    """The source could not deliver the bytes."""

    error_class = "download"
    transient = True


class ModelError(FileError):
    """The speech model could not be loaded, or failed while decoding."""

    error_class = "model"
    transient = True


class OutOfMemoryError(FileError):
    """The device ran out of memory."""

    error_class = "out_of_memory"
    transient = True


class SummaryError(FileError):
    """The minutes could not be made."""

    error_class = "llm"
    transient = True


class EmailError(FileError):
    """The mail could not be handed over to the mail server."""

    error_class = "email"
    transient = True


def error_class_of(error: BaseException) -> ErrorClass:
    """Return the class under which ``error`` is recorded; anything not foreseen is ``internal``."""
    return error.error_class if isinstance(error, FileError) else "internal"
