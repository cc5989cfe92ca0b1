"""An S3 server with one bucket of keys without content: it answers ListObjectsV2 for millions of keys, and keys can be added.

`moto` reads all keys for each page, so with a million objects a benchmark would measure moto.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

BUCKET = "customer-recordings"
_MODIFIED_AT = "2026-01-01T00:00:00.000Z"
_LAST = "\U0010ffff"


def key_of(number: int) -> str:
    """Return the key of a call; days hold 20,000 calls, agents 50 of them."""
    day, call = divmod(number, 20_000)
    return f"seoul/2026/day-{day:03d}/agent-{call // 50:04d}/call-{number:010d}.wav"


@contextmanager
def listing_server(keys: int, *, latency: float = 0.0) -> Iterator[str]:
    """Run a server with ``keys`` keys in another process; the value is its address.

    Args:
        latency: seconds that are added to each request.
    """
    command = [sys.executable, "-m", "benchmarks.listing_server", str(keys), str(latency)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def put(address: str, keys: Sequence[str]) -> None:
    """Add keys to the bucket of the server at ``address``."""
    request = urllib.request.Request(f"{address}/add", json.dumps(list(keys)).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


class _Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys: list[str]
    latency: float

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        time.sleep(self.latency)
        self._answer(self._listing(query).encode(), "application/xml")

    def do_POST(self) -> None:
        for key in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            insort(self.keys, key)
        self._answer(b"", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _listing(self, query: dict[str, str]) -> str:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        at = bisect_right(self.keys, after) if after >= prefix else bisect_right(self.keys, prefix)
        most = int(query.get("max-keys", "1000"))
        contents: list[str] = []
        folders: list[str] = []
        last = ""
        while len(contents) + len(folders) < most and at < len(self.keys):
            key = self.keys[at]
            if not key.startswith(prefix):
                break
            head, slash, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if slash:
                folder = prefix + head + slash
                last = folder + _LAST
                at = bisect_right(self.keys, last)
                folders.append(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")
            else:
                contents.append(_content(key))
                last = key
                at += 1
        more = at < len(self.keys) and self.keys[at].startswith(prefix)
        token = f"<NextContinuationToken>{quote(last)}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><EncodingType>url</EncodingType><MaxKeys>{most}</MaxKeys>"
            f"<KeyCount>{len(contents) + len(folders)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(contents)}{''.join(folders)}</ListBucketResult>"
        )

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _content(key: str) -> str:
    etag = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    return (
        f"<Contents><Key>{key}</Key><LastModified>{_MODIFIED_AT}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{200_000 + int(etag[:5], 16)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("keys", type=int)
    arguments.add_argument("latency", type=float)
    options = arguments.parse_args()
    _Bucket.keys = [key_of(number) for number in range(options.keys)]
    _Bucket.latency = options.latency
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _main()
