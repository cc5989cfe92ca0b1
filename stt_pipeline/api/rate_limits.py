"""How many requests one caller may make. Counted in this process: several of them allow as many times the rate."""

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException

from stt_pipeline.errors import ConfigurationError

_FAILURES = parse("20/minute")  # wrong keys from one address


class RateLimits:
    """Counts requests by caller, and wrong keys by address."""

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
        if not self._limiter.hit(self._rate, "caller", caller):
            raise self._too_many(self._rate, "caller", caller)

    def count_failure(self, address: str) -> None:
        """Count a wrong key; a right one from the same address is still served, since proxies share theirs.

        Raises:
            HTTPException: 429.
        """
        if not self._limiter.hit(_FAILURES, "failure", address):
            raise self._too_many(_FAILURES, "failure", address)

    def _too_many(self, rate: RateLimitItem, *who: str) -> HTTPException:
        seconds = max(1, math.ceil(self._limiter.get_window_stats(rate, *who).reset_time - time.time()))
        return HTTPException(
            429,
            f"Too many requests: at most {rate}. Try again in {seconds} s.",
            {"Retry-After": str(seconds)},
        )
