"""Rate limits by caller, counted in this process: with several processes the limit is as many times higher."""

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
            ConfigurationError: the rate is not valid.
        """
        try:
            self._rate = parse(rate)
        except ValueError:
            raise ConfigurationError(
                f"STT_API_RATE_LIMIT must have the form 10/second or 600/minute, not {rate!r}."
            ) from None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, caller: str) -> None:
        """Count a request.

        Raises:
            HTTPException: 429, with the seconds after which the caller can try again.
        """
        if not self._limiter.hit(self._rate, caller):
            window = self._limiter.get_window_stats(self._rate, caller)
            seconds = max(1, math.ceil(window.reset_time - time.time()))
            raise HTTPException(
                429,
                f"Too many requests: at most {self._rate}. Try again in {seconds} s.",
                {"Retry-After": str(seconds)},
            )
