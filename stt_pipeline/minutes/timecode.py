"""How a moment of a recording is written: for readers, for SubRip and for WebVTT. Nothing but formatting."""


def clock(seconds: float) -> str:
    """Return ``m:ss``, or ``h:mm:ss`` from one hour on; ``seconds`` from the start of the recording."""
    minutes, second = divmod(int(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def timecode(milliseconds: int, decimal_mark: str) -> str:
    """Return ``hh:mm:ss,mmm``: SubRip wants a comma before the milliseconds, WebVTT a full stop.

    Hours take as many digits as they need, so that a recording of more than 99 hours stays in order.
    """
    seconds, milli = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{decimal_mark}{milli:03}"
