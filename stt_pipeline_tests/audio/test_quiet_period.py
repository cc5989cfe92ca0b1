"""Files that are still being written are not listed before their quiet period. The clock is a fake: nothing here waits for it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import Source
from stt_pipeline.settings import Settings

QUIET = 1_000.0


class Clock:
    """A clock that starts at the present time and moves only by ``sleep``. ``during_sleep`` is called before it moves."""

    def __init__(self) -> None:
        self.time = time.time()
        self.slept: list[float] = []
        self.during_sleep: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.during_sleep()
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, quiet_period_seconds: float = QUIET) -> Source:
    return LocalFolder(folder, FilePattern(""), quiet_period_seconds, now=clock.now, sleep=clock.sleep)


def names(source: Source, *, wait: bool = True) -> list[str]:
    return [Path(item.uri).name for item in source.list_objects(wait=wait)]


def write_later(path: Path, than: Path) -> float:
    """Write ``path`` so that the kernel's time of its change is later; return a quiet period between both times."""
    changed = than.stat().st_ctime
    while not path.exists() or path.stat().st_ctime < changed + 0.01:
        path.write_bytes(b"new")
        time.sleep(0.01)
    return (path.stat().st_ctime - changed) / 2


def test_a_growing_file_is_skipped_and_counted_until_it_is_complete(tmp_path: Path, clock: Clock) -> None:
    growing = tmp_path / "growing.mp3"
    (tmp_path / "a.mp3").write_bytes(b"done")
    quiet = write_later(growing, tmp_path / "a.mp3")
    clock.time = growing.stat().st_ctime
    source = opened(tmp_path, clock, quiet)

    def record() -> None:
        with growing.open("ab") as file:
            file.write(b"sound")

    clock.during_sleep = record
    assert names(source, wait=False) == ["a.mp3"]
    assert source.in_progress_count == 1
    assert names(source) == ["a.mp3"]
    assert source.in_progress_count == 1
    clock.time = growing.stat().st_ctime + quiet + 0.001
    assert names(source) == ["a.mp3", "growing.mp3"]
    assert source.in_progress_count == 0
    [_, grown] = source.list_objects()
    assert grown.size == growing.stat().st_size


def test_files_that_were_waited_for_come_last_after_no_longer_than_needed(
    tmp_path: Path, clock: Clock
) -> None:
    for name in ("b.mp3", "c.mp3"):
        (tmp_path / name).write_bytes(b"old")
    quiet = write_later(tmp_path / "a.mp3", tmp_path / "c.mp3")
    clock.time = (tmp_path / "a.mp3").stat().st_ctime
    source = opened(tmp_path, clock, quiet)
    assert names(source) == ["b.mp3", "c.mp3", "a.mp3"]
    assert clock.slept == [pytest.approx(quiet, abs=1e-5)]
    clock.time += 0.001  # past the rounding of its sums
    assert names(source) == ["a.mp3", "b.mp3", "c.mp3"]
    assert names(source, wait=False) == ["a.mp3", "b.mp3", "c.mp3"]
    assert len(clock.slept) == 1


def test_a_copy_that_keeps_its_time_is_new_in_the_folder(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "copied.mp3").write_bytes(b"half")
    os.utime(tmp_path / "copied.mp3", (0, 0))
    source = opened(tmp_path, clock)
    assert names(source, wait=False) == []
    assert source.in_progress_count == 1


def test_a_time_in_the_future_does_not_delay_a_file(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "ahead.mp3").write_bytes(b"")
    os.utime(tmp_path / "ahead.mp3", (time.time() + 1e6, time.time() + 1e6))
    clock.time = (tmp_path / "ahead.mp3").stat().st_ctime + QUIET + 0.001
    assert names(opened(tmp_path, clock), wait=False) == ["ahead.mp3"]


def test_a_file_that_is_removed_meanwhile_is_neither_listed_nor_counted(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "gone.mp3").write_bytes(b"")
    source = opened(tmp_path, clock)
    clock.during_sleep = (tmp_path / "gone.mp3").unlink
    assert names(source) == []
    assert clock.slept
    assert source.in_progress_count == 0


def test_few_files_are_waited_for_at_once_and_all_are_listed(tmp_path: Path, clock: Clock) -> None:
    for n in range(10):
        (tmp_path / f"{n}.mp3").write_bytes(b"")
    stopped = clock.slept.append  # the time stays, so that no file is quiet before it was waited for
    source = LocalFolder(tmp_path, FilePattern(""), QUIET, max_waiting=3, now=clock.now, sleep=stopped)
    assert sorted(names(source)) == [f"{n}.mp3" for n in range(10)]
    assert len(clock.slept) == 4


def test_the_setting_decides_and_without_access_all_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"")
    access = SourceAccess.of(Settings(home=tmp_path, quiet_period_seconds=3_600))
    guarded = open_source(str(tmp_path), access=access)
    assert names(guarded, wait=False) == [] and guarded.in_progress_count == 1
    assert names(open_source(str(tmp_path))) == ["a.mp3"]
