"""A time limit for calls to sources and queues in a sensor tick.

Dagster ends a tick after 60 seconds, with everything that it still had to do. boto3 waits for minutes if a server does not
answer, and cannot be interrupted.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from stt_pipeline.errors import SourceUnavailableError

_T = TypeVar("_T")

_running: dict[str, threading.Thread] = {}


def within(seconds: float, name: str, call: Callable[[], _T]) -> _T:
    """Return what ``call`` returns, or raise what it raises, if it ends within ``seconds``.

    Otherwise the call continues in a background thread, and is not repeated under this name until it ends. Its late
    effects must be harmless.

    Args:
        name: identifies the call, such as ``watch 3``.

    Raises:
        SourceUnavailableError: it did not end in time, or an earlier call of this name still runs.
    """
    earlier = _running.get(name)
    if earlier is not None and earlier.is_alive():
        raise SourceUnavailableError(f"No answer to an earlier call; still waiting for it ({earlier.name}).")
    ended: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            ended.append((call(), None))
        except BaseException as error:
            ended.append((None, error))

    # a daemon thread, not one of a pool: the process does not wait for it at exit
    thread = threading.Thread(target=work, name=f"{name}, since {time.strftime('%H:%M:%S')}", daemon=True)
    _running[name] = thread
    thread.start()
    thread.join(max(0.0, seconds))
    if not ended:
        raise SourceUnavailableError(f"No answer within {seconds:.0f} s: check the network and the endpoint.")
    del _running[name]
    result, error = ended[0]
    if error is not None:
        raise error
    return cast(_T, result)
