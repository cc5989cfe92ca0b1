"""The download cache, used by several threads and processes."""

import errno
import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stt_pipeline.audio.cache import Download, DownloadCache
from stt_pipeline.errors import ConfigurationError, DownloadError


class Bucket:
    """Objects that can be downloaded; counts how often that was begun."""

    def __init__(self, **sizes: int) -> None:
        self._sizes = sizes
        self.begun: list[str] = []

    def __call__(self, name: str) -> Callable[[], Download]:
        def download() -> Download:
            self.begun.append(name)
            size = self._sizes[name]
            return Download(size, iter([name[:1].encode() * size]))

        return download


def open_once(cache: DownloadCache, bucket: Bucket, name: str) -> None:
    with cache.open(f"s3://bucket/{name}.mp3", "1", bucket(name)) as path:
        assert path.read_bytes() == name[:1].encode() * bucket._sizes[name]
        assert path.name == f"{name}.mp3"


def kept(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("objects/*/*")}


def taken(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "size")


def test_the_least_recently_used_objects_are_evicted_and_the_limit_is_kept(tmp_path: Path) -> None:
    bucket = Bucket(a=30, b=30, c=30, d=30, e=30)
    cache = DownloadCache(tmp_path, 100)
    for name in "abc":
        open_once(cache, bucket, name)
    open_once(cache, bucket, "a")
    open_once(cache, bucket, "d")
    assert kept(tmp_path) == {"a", "c", "d"}
    open_once(cache, bucket, "e")
    assert kept(tmp_path) == {"a", "d", "e"}
    assert taken(tmp_path) == 90
    open_once(DownloadCache(tmp_path, 100), bucket, "a")
    assert bucket.begun == list("abcde")
    assert not list(tmp_path.glob("drafts/*"))


def test_another_etag_is_another_object(tmp_path: Path) -> None:
    cache = DownloadCache(tmp_path, 100)
    for etag in ("1", "2", "1"):
        with cache.open("s3://b/a.mp3", etag, lambda etag=etag: Download(1, iter([etag.encode()]))) as path:
            assert path.read_text() == etag


def test_an_object_in_use_is_not_evicted(tmp_path: Path) -> None:
    bucket = Bucket(a=60, b=60)
    cache = DownloadCache(tmp_path, 100)
    with cache.open("s3://bucket/a.mp3", "1", bucket("a")) as path:
        # it does not fit beside the first: opened outside of the cache, and not kept
        open_once(cache, bucket, "b")
        assert path.read_bytes() == b"a" * 60
        assert kept(tmp_path) == {"a"}
    open_once(cache, bucket, "b")
    assert kept(tmp_path) == {"b"}


@pytest.mark.parametrize("max_bytes", [0, 99])
def test_an_object_larger_than_the_cache_is_not_kept(tmp_path: Path, max_bytes: int) -> None:
    bucket = Bucket(small=10, large=100)
    cache = DownloadCache(tmp_path, max_bytes)
    open_once(cache, bucket, "small")
    with cache.open("s3://bucket/large.mp3", "1", bucket("large")) as path:
        assert path.read_bytes() == b"l" * 100
    assert not path.exists()
    assert kept(tmp_path) == ({"small"} if max_bytes else set())
    assert taken(tmp_path) == (10 if max_bytes else 0)


def test_parallel_readers_download_an_object_once(tmp_path: Path) -> None:
    begun = []

    def slowly() -> Download:
        begun.append(1)

        def chunks() -> Iterator[bytes]:
            for _ in range(5):
                time.sleep(0.02)
                yield b"12"

        return Download(10, chunks())

    def read(_: int) -> bytes:
        with DownloadCache(tmp_path, 100).open("s3://bucket/a.mp3", "1", slowly) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(8))) == {b"12" * 5}
    assert begun == [1]


def test_a_failed_download_and_its_bytes_are_released_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, an eviction between the two steps would count the bytes twice."""
    others_could_count = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        if path.parent.name == "drafts" and path.suffix != ".lock":
            with (tmp_path / "size").open("rb") as ledger:
                try:
                    fcntl.flock(ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    others_could_count.append(True)
                except BlockingIOError:
                    others_could_count.append(False)

    def breaking() -> Iterator[bytes]:
        yield b"1"
        raise DownloadError("gone")

    monkeypatch.setattr(Path, "unlink", watched)
    with (
        pytest.raises(DownloadError),
        DownloadCache(tmp_path, 100).open("s3://bucket/a.mp3", "1", lambda: Download(60, breaking())),
    ):
        pass
    assert others_could_count == [False]
    assert (tmp_path / "size").read_text() == "0"


def _work(folder: Path, process: int, log: Path) -> None:
    cache = DownloadCache(folder, 1_000)
    for step in range(60):
        name = f"{(step * (process + 1)) % 23:02}"

        def download(name: str = name) -> Download:
            with log.open("a") as file:
                file.write(f"{name}\n")
            return Download(90, iter([name.encode() * 45]))

        with cache.open(f"s3://bucket/{name}.mp3", "1", download) as path:
            assert path.read_bytes() == name.encode() * 45
        assert sum(map(_size, (folder / "objects").iterdir())) <= 1_000


def _size(inside: Path) -> int:
    try:
        return sum(path.stat().st_size for path in inside.iterdir())
    except FileNotFoundError:  # removed meanwhile
        return 0


@pytest.mark.slow
def test_processes_share_the_cache_and_its_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=_work, args=(tmp_path / "cache", n, log)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert taken(tmp_path / "cache") <= 1_000
    assert int((tmp_path / "cache" / "size").read_text()) == taken(tmp_path / "cache")
    assert 23 <= len(log.read_text().split()) < 180


def _die_downloading(folder: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"1" * 10
        os._exit(1)

    with DownloadCache(folder, 100).open("s3://bucket/a.mp3", "1", lambda: Download(40, chunks())):
        pass


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_downloading, args=(tmp_path,))
    process.start()
    process.join(60)
    assert len(list(tmp_path.glob("drafts/*"))) == 2  # the draft and its lock
    bucket = Bucket(a=40, b=70)
    open_once(DownloadCache(tmp_path, 100), bucket, "b")
    assert kept(tmp_path) == {"b"}
    assert not list(tmp_path.glob("drafts/*"))
    open_once(DownloadCache(tmp_path, 100), bucket, "a")
    assert kept(tmp_path) == {"a"}
    assert bucket.begun == ["b", "a"]


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Download:
        def chunks() -> Iterator[bytes]:
            yield b"1"
            raise DownloadError("broke off")

        return Download(50, chunks())

    cache = DownloadCache(tmp_path, 100)
    for _ in range(3):
        with pytest.raises(DownloadError, match="broke off"), cache.open("s3://b/a.mp3", "1", failing):
            pass
    assert taken(tmp_path) == 0
    assert (tmp_path / "size").read_text() == "0"


def test_a_lost_size_file_is_written_again(tmp_path: Path) -> None:
    bucket = Bucket(a=60, b=60)
    cache = DownloadCache(tmp_path, 100)
    open_once(cache, bucket, "a")
    (tmp_path / "size").write_text("")
    open_once(cache, bucket, "b")
    assert kept(tmp_path) == {"b"}
    assert (tmp_path / "size").read_text() == "60"


def test_the_error_of_a_full_disk(tmp_path: Path) -> None:
    """A limit of the size of files stands for the end of the disk: the write fails in the same place."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with (
            pytest.raises(DownloadError, match=r"a\.mp3 does not fit on the disk.*STT_CACHE_BYTES"),
            DownloadCache(tmp_path, 10_000).open(
                "s3://b/a.mp3", "1", lambda: Download(5_000, iter([b"1" * 5_000]))
            ),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert taken(tmp_path) == 0


def test_the_error_of_a_device_without_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.truncate", no_space)
    with pytest.raises(DownloadError, match="No space left"):
        open_once(DownloadCache(tmp_path, 100), Bucket(a=10), "a")


def test_a_read_only_folder_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cache"):
        open_once(DownloadCache(tmp_path / "file" / "cache", 100), Bucket(a=10), "a")


@pytest.mark.parametrize(
    "name",
    [
        "회의" * 80 + ".mp3",
        "x" * 1_000,
        "a.b.c.m4a",
        "no ending",
        "a." + "x" * 300,
        "tab\t.mp3",
        "100%25?.wav",
    ],
)
def test_a_file_of_any_name_keeps_its_extension(tmp_path: Path, name: str) -> None:
    with DownloadCache(tmp_path, 100).open(
        f"s3://bucket/x/{name}", "1", lambda: Download(1, iter([b"1"]))
    ) as path:
        assert path.read_bytes() == b"1"
        assert len(path.name.encode()) <= 200
        if len(name) < 200:
            assert path.suffix == Path(name).suffix


def test_readers_do_not_block_each_other(tmp_path: Path) -> None:
    bucket = Bucket(a=10)
    cache = DownloadCache(tmp_path, 100)
    with cache.open("s3://bucket/a.mp3", "1", bucket("a")):
        other = threading.Thread(target=open_once, args=(cache, bucket, "a"))
        other.start()
        other.join(10)
        assert not other.is_alive()
        open_once(cache, bucket, "a")
    assert bucket.begun == ["a"]
