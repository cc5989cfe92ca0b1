"""Errors of CTranslate2, the VAD and Python, translated into the errors of this package."""

from stt_pipeline.errors import FileError, ModelError, OutOfMemoryError

# in messages of CUDA, cuBLAS and C++
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "bad_alloc", "bad allocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a device, or this machine, ran out of memory."""
    return isinstance(error, (MemoryError, OutOfMemoryError)) or any(
        words in str(error).lower() for words in _OUT_OF_MEMORY
    )


def as_file_error(error: Exception, model: str) -> Exception:
    """Return the error with which a recording fails, for ``error`` while only this recording was decoded.

    An error that is not the model's (such as a bug) is returned as it is.
    """
    reason = str(error) or type(error).__name__
    if isinstance(error, FileError):
        return error
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"The speech model {model} ran out of memory: {reason}. Use a smaller model or compute type (STT_MODEL, "
            "STT_COMPUTE_TYPE), or run fewer processes on this device."
        )
    if isinstance(error, (RuntimeError, ValueError)):
        return ModelError(
            f"The speech model {model} failed on this recording: {reason}. "
            "Try it again, or with another model (STT_MODEL)."
        )
    return error
