"""A parallel listing yields the same objects as a sequential one, for any keys, with few more requests."""

import random
import threading
import time

import pytest

from stt_pipeline.audio.s3_listing import Entry, Prefix
from stt_pipeline_tests.audio.paged_keys import PagedKeys


def listed(client: PagedKeys, prefix: str = "", after: str = "") -> list[str]:
    pages = Prefix(client, "bucket", prefix).in_order(
        after, lambda entries: [entry["Key"] for entry in entries]
    )
    return [key for page in pages for key in page]


def in_order(keys: list[str], prefix: str = "", after: str = "") -> list[str]:
    meant = [key for key in keys if key.startswith(prefix) and key.encode() > after.encode()]
    return sorted(meant, key=str.encode)


# characters that sort right before and behind the slash, and some that take several bytes
_CHARACTERS = [
    "a",
    "b",
    "/",
    "/",
    "/",
    "!",
    "-",
    ".",
    "0",
    "~",
    " ",
    "%",
    "가",
    "\u1100",
    "🎙",
    "\uffff",
    "\0",
]


@pytest.mark.parametrize("begun_folders", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_keys_are_listed_in_order_and_once(seed: int, begun_folders: bool) -> None:
    chance = random.Random(seed)
    characters = chance.sample(_CHARACTERS, chance.randint(2, 8))
    keys = list(
        {"".join(chance.choices(characters, k=chance.randint(1, 7))) for _ in range(chance.randint(1, 400))}
    )
    for _ in range(3):
        some = chance.choice(keys)
        prefix = "" if chance.random() < 0.4 else some[: some.find("/") + 1]
        after = "" if chance.random() < 0.5 else chance.choice(keys)[: chance.randint(1, 7)]
        client = PagedKeys(keys, chance.choice([1, 2, 5, 13, 50]), begun_folders=begun_folders)
        assert listed(client, prefix, after) == in_order(keys, prefix, after)


def test_a_key_at_a_boundary_is_in_one_range() -> None:
    keys = [f"{n:02}{end}" for n in range(40) for end in ("/", "!", "0", *(f"/{i:02}" for i in range(40)))]
    client = PagedKeys(keys, 20, seconds=0.001)
    assert listed(client) == in_order(keys)
    assert client.most_at_once > 1


@pytest.mark.parametrize(
    ("layout", "least_at_once", "most_requests"),
    [
        # 10,000 objects are 100 pages of 100
        ([f"2026/{n % 12 + 1:02}/{n:05}.mp3" for n in range(10_000)], 4, 100 + 32),
        ([f"a/b/c/{n // 2_500}/{n:05}.mp3" for n in range(10_000)], 4, 100 + 32),
        ([f"{2_010 + n % 16}/{n % 12 + 1:02}/{n:05}.mp3" for n in range(10_000)], 4, 100 + 64),
        ([f"{n // 20:04}/{n:05}.mp3" for n in range(10_000)], 4, 100 + 100),
        ([f"{n // 500:04}/x/{n:05}.mp3" for n in range(10_000)], 4, 100 + 64),
        # nothing to cut at, or folders that are not worth a request each
        ([f"{n:05}.mp3" for n in range(10_000)], 1, 100 + 10),
        ([f"{n:05}/audio.mp3" for n in range(10_000)], 1, 100 + 10),
    ],
    ids=["months", "deep", "years and months", "many folders", "few folders", "flat", "a folder each"],
)
def test_the_number_of_requests_of_a_layout(
    layout: list[str], least_at_once: int, most_requests: int
) -> None:
    client = PagedKeys(layout, 100, seconds=0.001)
    assert listed(client) == sorted(layout)
    assert client.most_at_once >= least_at_once
    assert client.requests <= most_requests


def test_an_empty_page_is_not_the_end() -> None:
    class Sparse(PagedKeys):
        """S3 may answer that more follows, and with none of it."""

        def list_objects_v2(self, **request: str) -> dict[str, object]:  # type: ignore[override]
            token = request.get("ContinuationToken", request.get("StartAfter", ""))
            if "Delimiter" not in request and not token.endswith("\0"):
                return {"IsTruncated": True, "NextContinuationToken": token + "\0"}
            return super().list_objects_v2(**request)

    keys = [f"{n % 16:02}/{n:05}" for n in range(800)]
    assert listed(Sparse(keys, 20)) == sorted(keys)
    assert listed(Sparse([], 20)) == []


def test_one_page_is_one_request() -> None:
    client = PagedKeys([f"{n}/a" for n in range(50)], 100)
    assert len(listed(client)) == 50
    assert client.requests == 1


def test_eight_ranges_are_listed_in_parallel() -> None:
    keys = [f"{n % 16:02}/{n:05}" for n in range(3_200)]
    client = PagedKeys(keys, 50, seconds=0.01)
    assert listed(client) == sorted(keys)
    assert client.most_at_once == 8


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("s3-listing")]


def _all_end() -> bool:
    until = time.monotonic() + 5
    while _threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not _threads()


def test_threads_end_when_a_listing_is_closed_early() -> None:
    client = PagedKeys([f"{n % 16:02}/{n:05}" for n in range(16_000)], 20, seconds=0.001)
    pages = Prefix(client, "bucket", "").in_order("", list[Entry])
    for _ in range(10):
        next(pages)
    assert _threads()
    # those ahead wait for their turn, with some pages each: eight ranges and no more
    until = time.monotonic() + 10
    while client.requests < 100 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    assert 100 <= client.requests < 8 * 17 + 20
    pages.close()  # type: ignore[attr-defined]
    assert _all_end()


def test_an_error_in_a_range_ends_the_listing_in_its_turn() -> None:
    class Failing(PagedKeys):
        def list_objects_v2(self, **request: str) -> dict[str, object]:  # type: ignore[override]
            if request.get("StartAfter", "").startswith("12/"):
                raise RuntimeError("as if S3 had gone")
            return super().list_objects_v2(**request)

    keys = [f"{n % 16:02}/{n:05}" for n in range(3_200)]
    found = []
    with pytest.raises(RuntimeError, match="gone"):
        for page in Prefix(Failing(keys, 20), "bucket", "").in_order("", list[Entry]):
            found += [entry["Key"] for entry in page]
    assert found and found == sorted(keys)[: len(found)]
    assert found[-1] < "13/"
    assert _all_end()
