"""Keys of a bucket behind the one call of boto3 that lists them, in memory, with small pages and counted requests.

It answers as S3 does by its documentation; servers differ in one thing, which can be chosen.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Any


class PagedKeys:
    def __init__(
        self, keys: list[str], page: int, *, begun_folders: bool = True, seconds: float = 0.0
    ) -> None:
        """``begun_folders``: a folder that has keys on both sides of StartAfter is among the common prefixes."""
        self._keys = sorted(keys, key=str.encode)
        self._page = page
        self._begun_folders = begun_folders
        self._seconds = seconds
        self._lock = threading.Lock()
        self._under_way = 0
        self.requests = 0
        self.most_at_once = 0

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str = "",  # noqa: N803
        StartAfter: str = "",  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
        Delimiter: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        with self._lock:
            self.requests += 1
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        time.sleep(self._seconds)
        names: list[str] = []
        more = False
        for key in self._keys:
            if not key.startswith(Prefix) or key.encode() <= (ContinuationToken or StartAfter).encode():
                continue
            head, delimiter, _ = key[len(Prefix) :].partition("/") if Delimiter else (key, "", "")
            name = f"{Prefix}{head}/" if delimiter else key
            if name == ContinuationToken or (names and names[-1] == name):
                continue
            if delimiter and not self._begun_folders and name.encode() <= StartAfter.encode():
                continue
            if len(names) == self._page:
                more = True
                break
            names.append(name)
        with self._lock:
            self._under_way -= 1
        is_folder = {name: bool(Delimiter) and name.endswith("/") and name != Prefix for name in names}
        return {
            "Contents": [_entry(name) for name in names if not is_folder[name]],
            "CommonPrefixes": [{"Prefix": name} for name in names if is_folder[name]],
            "IsTruncated": more,
            **({"NextContinuationToken": names[-1]} if more else {}),
        }


def _entry(key: str) -> dict[str, Any]:
    return {
        "Key": key,
        "Size": 1,
        "ETag": '"e"',
        "LastModified": datetime(2026, 11, 23, tzinfo=UTC),
    }
