"""Formats times, durations, rates and percentages for tables and messages."""

import math
from datetime import UTC, datetime

from stt_pipeline.durations import format_rough_duration


def local_time(moment: datetime, *, seconds: bool = False) -> str:
    """Return a moment in this machine's time zone, with the zone, to the minute or the second."""
    return f"{moment.astimezone():{'%Y-%m-%d %H:%M:%S %Z' if seconds else '%Y-%m-%d %H:%M %Z'}}"


def table_time(moment: datetime | None) -> str:
    """Return a moment for a cell of a table, whose header has the zone: :func:`zone`."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "-"


def zone() -> str:
    """Return the name of this machine's time zone, such as ``KST``."""
    return f"{datetime.now().astimezone():%Z}"


def until(moment: datetime) -> str:
    """Return the time from now until a moment."""
    return format_rough_duration((moment - datetime.now(UTC)).total_seconds())


def percent(percentage: float) -> str:
    """Return a percentage, rounded down, so that an unfinished batch is never shown as 100.0 %."""
    return f"{math.floor(percentage * 10) / 10:.1f} %"


def rate(a_minute: float) -> str:
    """Return files per minute, with one decimal below 10."""
    return f"{a_minute:,.0f}" if a_minute >= 10 else f"{a_minute:.1f}"
