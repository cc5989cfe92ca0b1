"""What CTranslate2, the VAD and Python say when something goes wrong, in the product's own errors."""

from stt_pipeline.errors import FileError, ModelError, OutOfMemoryError

# how CUDA, cuBLAS and C++ say it
_OUT_OF_MEMORY = ("out of memory", "alloc_failed", "bad_alloc", "bad allocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a device, or this machine, had no memory left."""
    return isinstance(error, (MemoryError, OutOfMemoryError)) or any(
        sign in str(error).lower() for sign in _OUT_OF_MEMORY
    )


def explained(error: Exception, model: str) -> Exception:
    """Return ``error``, raised while one recording was worked on alone, as the error under which it fails.

    What is none of the model's (a bug of ours, say) stays what it is.
    """
    reason = str(error) or type(error).__name__
    if isinstance(error, FileError):
        return error
    if is_out_of_memory(error):
        return OutOfMemoryError(
            f"The speech model {model} ran out of memory: {reason}. Take a smaller model or compute type (STT_MODEL, "
            "STT_COMPUTE_TYPE), or run fewer processes on this device."
        )
    if isinstance(error, (RuntimeError, ValueError)):
        return ModelError(
            f"The speech model {model} failed on this recording: {reason}. "
            "Try it again, or with another model (STT_MODEL)."
        )
    return error
