"""How figures are written for people: times of day, lengths of time, rates, percentages. Computes none of them."""

import math
from datetime import datetime, timezone

from stt_pipeline.durations import format_rough_duration


def local_time(moment: datetime, *, seconds: bool = False) -> str:
    """Return a moment in the time zone of this machine, to the minute or the second."""
    return f"{moment.astimezone():{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"


def until(moment: datetime) -> str:
    """Return how long it is from now to a moment."""
    return format_rough_duration((moment - datetime.now(timezone.utc)).total_seconds())


def percent(percentage: float) -> str:
    """Return a percentage, rounded down, so that what is not finished never reads 100.0 %."""
    return f"{math.floor(percentage * 10) / 10:.1f} %"


def rate(a_minute: float) -> str:
    """Return files a minute: the slow ones with a decimal."""
    return f"{a_minute:,.0f}" if a_minute >= 10 else f"{a_minute:.1f}"
