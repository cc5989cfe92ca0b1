"""Files that are still being written are left alone until they have been quiet for a while."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stt_pipeline.audio.folder import LocalFolder
from stt_pipeline.audio.opening import SourceAccess, open_source
from stt_pipeline.audio.patterns import FilePattern
from stt_pipeline.audio.sources import Source
from stt_pipeline.settings import Settings

SETTLE = 0.4


def opened(folder: Path, quiet_period_seconds: float = SETTLE) -> Source:
    return LocalFolder(folder, FilePattern(""), quiet_period_seconds)


def names(source: Source, *, wait: bool = True) -> list[str]:
    return [Path(item.uri).name for item in source.list_objects(wait=wait)]


@contextmanager
def recorder(path: Path) -> Iterator[None]:
    """Something that writes to ``path`` all the time."""
    done = threading.Event()

    def record() -> None:
        with path.open("ab") as file:
            while not done.wait(0.02):
                file.write(b"sound")
                file.flush()

    thread = threading.Thread(target=record)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_file_that_grows_is_left_out_and_counted_until_it_is_done(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"done")
    source = opened(tmp_path)
    with recorder(tmp_path / "growing.mp3"):
        time.sleep(SETTLE)
        assert names(source, wait=False) == ["a.mp3"]
        assert source.in_progress_count == 1
        assert names(source) == ["a.mp3"]
        assert source.in_progress_count == 1
    assert names(source) == ["a.mp3", "growing.mp3"]
    assert source.in_progress_count == 0
    [_, grown] = source.list_objects()
    assert grown.size == (tmp_path / "growing.mp3").stat().st_size


def test_what_was_waited_for_comes_last_and_no_longer_than_needed(tmp_path: Path) -> None:
    for name in ("b.mp3", "c.mp3"):
        (tmp_path / name).write_bytes(b"old")
    time.sleep(SETTLE)
    (tmp_path / "a.mp3").write_bytes(b"new")
    begun = time.monotonic()
    assert names(opened(tmp_path)) == ["b.mp3", "c.mp3", "a.mp3"]
    assert time.monotonic() - begun < SETTLE + 1
    begun = time.monotonic()
    assert names(opened(tmp_path)) == ["a.mp3", "b.mp3", "c.mp3"]
    assert names(opened(tmp_path), wait=False) == ["a.mp3", "b.mp3", "c.mp3"]


def test_a_copy_that_keeps_its_time_and_a_file_that_was_moved_in_are_new_here(tmp_path: Path) -> None:
    (tmp_path / "copied.mp3").write_bytes(b"half")
    os.utime(tmp_path / "copied.mp3", (0, 0))
    source = opened(tmp_path)
    assert names(source, wait=False) == []
    assert source.in_progress_count == 1


def test_a_time_in_the_future_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "ahead.mp3").write_bytes(b"")
    os.utime(tmp_path / "ahead.mp3", (time.time() + 1e6, time.time() + 1e6))
    time.sleep(SETTLE)
    assert names(opened(tmp_path), wait=False) == ["ahead.mp3"]


def test_what_goes_away_meanwhile_is_neither_listed_nor_counted(tmp_path: Path) -> None:
    (tmp_path / "gone.mp3").write_bytes(b"")
    source = opened(tmp_path)
    threading.Timer(SETTLE / 2, (tmp_path / "gone.mp3").unlink).start()
    assert names(source) == []
    assert source.in_progress_count == 0


def test_few_are_kept_in_mind_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stt_pipeline.audio.folder._SET_ASIDE_AT_MOST", 3)
    for n in range(10):
        (tmp_path / f"{n}.mp3").write_bytes(b"")
    assert sorted(names(opened(tmp_path))) == [f"{n}.mp3" for n in range(10)]


def test_the_setting_decides_and_a_plain_look_takes_all(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"")
    access = SourceAccess.of(Settings(home=tmp_path, quiet_period_seconds=60))
    guarded = open_source(str(tmp_path), access=access)
    assert names(guarded, wait=False) == [] and guarded.in_progress_count == 1
    assert names(open_source(str(tmp_path))) == ["a.mp3"]
