"""One object a process, however many threads ask for it at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stt_pipeline.process_cache import once_per_process


def test_threads_that_come_together_load_once() -> None:
    loaded: list[str] = []
    together = threading.Barrier(8)

    @once_per_process()
    def load(name: str) -> object:
        loaded.append(name)
        time.sleep(0.05)
        return object()

    def ask(name: str) -> object:
        together.wait()
        return load(name)

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(ask, ["a", "b"] * 4))
    assert sorted(loaded) == ["a", "b"]
    assert len(found) == 2
    load.cache_clear()
    assert load("a") not in found


def test_only_maxsize_results_are_kept() -> None:
    loaded: list[int] = []

    @once_per_process(maxsize=1)
    def load(number: int) -> int:
        loaded.append(number)
        return number

    assert [load(1), load(1), load(2), load(1)] == [1, 1, 2, 1]
    assert loaded == [1, 2, 1]


def test_an_error_is_raised_again_by_a_new_attempt() -> None:
    attempts: list[int] = []

    @once_per_process()
    def load() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("the network is down")
        return 7

    with pytest.raises(OSError, match="network"):
        load()
    assert load() == 7
