"""A sensor's tick ends in time, whatever a source or a queue does: Dagster gives up a tick after 60 seconds, and with it
everything else that the tick had to do.

boto3 waits for minutes where nothing answers, and cannot be told to stop.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from stt_pipeline.errors import SourceUnavailableError

_T = TypeVar("_T")

_under_way: dict[str, threading.Thread] = {}


def within(seconds: float, name: str, call: Callable[[], _T]) -> _T:
    """Return what ``call`` returns, or raise what it raises, if it ends in time.

    Otherwise it goes on in the background, and is not called again under this name as long as it does. So it must do no
    harm late.

    Args:
        name: what is waited for, such as ``watch 3``.

    Raises:
        SourceUnavailableError: it did not end in time, or still goes on since an earlier time.
    """
    earlier = _under_way.get(name)
    if earlier is not None and earlier.is_alive():
        raise SourceUnavailableError(f"No answer for a long time, and still waiting for it ({earlier.name}).")
    ended: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            ended.append((call(), None))
        except BaseException as error:
            ended.append((None, error))

    # not one of a pool: a process does not wait for it at its end
    thread = threading.Thread(target=work, name=f"{name}, since {time.strftime('%H:%M:%S')}", daemon=True)
    _under_way[name] = thread
    thread.start()
    thread.join(max(0.0, seconds))
    if not ended:
        raise SourceUnavailableError(f"No answer within {seconds:.0f} s: check the network and the endpoint.")
    del _under_way[name]
    result, error = ended[0]
    if error is not None:
        raise error
    return cast(_T, result)
