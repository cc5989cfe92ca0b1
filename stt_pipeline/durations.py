"""Formats of durations and of positions in a recording, for pages, subtitles, mails and the terminal."""


def clock(seconds: float) -> str:
    """Return ``m:ss``, or ``h:mm:ss`` from one hour on: a position or a length, rounded down to whole seconds."""
    minutes, second = divmod(int(max(seconds, 0.0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:,}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def subtitle_time(milliseconds: int, decimal_mark: str) -> str:
    """Return ``hh:mm:ss,mmm``; SubRip needs a comma before the milliseconds, WebVTT a full stop.

    Hours have as many digits as needed, so recordings of more than 99 hours stay in order.
    """
    seconds, milli = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{decimal_mark}{milli:03}"


def format_duration(seconds: float) -> str:
    """Return ``48 s``, ``12 min 5 s`` or ``3 h 20 min``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minute} min"
    return f"{minutes} min {second} s" if minutes else f"{second} s"


def format_rough_duration(seconds: float) -> str:
    """Return an estimate without seconds from one minute on: ``45 s``, ``12 min``, ``1 h 5 min``, ``3 d 4 h``."""
    if seconds < 59.5:
        return f"{max(seconds, 0):.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
