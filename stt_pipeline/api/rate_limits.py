"""How many requests one caller may make. Counted in this process: several of them allow as many times the rate."""

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException

from stt_pipeline.errors import ConfigurationError


class RateLimits:
    """Counts requests by caller."""

    def __init__(self, rate: str) -> None:
        """Allow each caller ``rate``, as in ``600/minute``.

        Raises:
            ConfigurationError: it cannot be read.
        """
        try:
            self._rate = parse(rate)
        except ValueError:
            raise ConfigurationError(
                f"STT_API_RATE_LIMIT is written as in 10/second or 600/minute, not {rate!r}."
            ) from None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, caller: str) -> None:
        """Count a request.

        Raises:
            HTTPException: 429, with the seconds after which one is free again.
        """
        if not self._limiter.hit(self._rate, caller):
            window = self._limiter.get_window_stats(self._rate, caller)
            seconds = max(1, math.ceil(window.reset_time - time.time()))
            raise HTTPException(
                429,
                f"Too many requests: at most {self._rate}. Try again in {seconds} s.",
                {"Retry-After": str(seconds)},
            )
