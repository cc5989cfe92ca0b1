"""The exceptions of this package, and the error classes of failed files.

No other module defines an error class. A message states what is wrong and what to do.

    SttError
    ├── ConfigurationError     a setting is wrong or missing; nothing was started
    │   └── ModelNotDownloadedError  the speech model is not on this machine
    ├── InvalidRequestError    a request is invalid
    │   ├── NotFoundError      the object does not exist
    │   └── ConflictError      the state of the object does not allow the request
    ├── SourceUnavailableError a source does not answer at the moment; a retry may succeed
    ├── LeaseLostError         another run owns the shard now; this run must not write
    └── FileError              one audio file failed; the other files continue
        ├── UnreadableError    empty, corrupt, or not audio
        ├── TooLongError       more hours of audio than STT_MAX_AUDIO_HOURS
        ├── DecoderLostError   the process that decodes it was killed (transient)
        ├── NoAudioError       a container without an audio track, or without samples
        ├── DownloadError      the source could not deliver it (transient)
        ├── ModelError         the speech model failed to load or to decode (transient)
        ├── OutOfMemoryError   the device ran out of memory (transient)
        ├── SummaryError       the minutes could not be written (transient)
        └── EmailError         a notification could not be delivered (transient)
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
    """Base class; the message is for users."""


class ConfigurationError(SttError):
    """A setting is wrong or missing; nothing was started."""


class ModelNotDownloadedError(ConfigurationError):
    """The speech model is not on this machine, and a download failed or was not allowed."""


class InvalidRequestError(SttError):
    """A request is invalid; nothing was changed."""


class NotFoundError(InvalidRequestError):
    """The requested object does not exist."""


class ConflictError(InvalidRequestError):
    """The state of the object does not allow the request."""


class SourceUnavailableError(SttError):
    """A source does not answer, or not in time; a retry may succeed."""


class LeaseLostError(SttError):
    """Another run owns the lease of the shard, so this run must not write."""


class FileError(SttError):
    """One audio file failed. ``error_class`` is stored with the file; a ``transient`` error is retried."""

    error_class: ClassVar[ErrorClass] = "internal"
    transient: ClassVar[bool] = False


class UnreadableError(FileError):
    """The file cannot be decoded: it is empty, corrupt, or not audio."""

    error_class = "unreadable"


class TooLongError(FileError):
    """The file has more hours of audio than STT_MAX_AUDIO_HOURS."""

    error_class = "too_large"


class DecoderLostError(FileError):
    """The process that decodes the file was killed from outside, or could not be started; the file may be good."""

    error_class = "internal"
    transient = True


class NoAudioError(FileError):
    """The container is valid but has no audio track, or no samples."""

    error_class = "no_audio"


class DownloadError(FileError):
    """The source could not deliver the bytes."""

    error_class = "download"
    transient = True


class ModelError(FileError):
    """The speech model failed to load or to decode."""

    error_class = "model"
    transient = True


class OutOfMemoryError(FileError):
    """The device ran out of memory."""

    error_class = "out_of_memory"
    transient = True


class SummaryError(FileError):
    """The minutes could not be written."""

    error_class = "llm"
    transient = True


class EmailError(FileError):
    """A notification could not be delivered."""

    error_class = "email"
    transient = True


def error_class_of(error: BaseException) -> ErrorClass:
    """Return the error class that is stored for ``error``; ``internal`` for any exception but a FileError."""
    return error.error_class if isinstance(error, FileError) else "internal"
