"""An HTTP proxy on loopback between the real AWS client and the test server, with the faults of networks and of S3.

It records requests and forwards them unchanged, except those that a fault applies to.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_BETWEEN_TWO = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass
class _Fault:
    times: int
    when: Callable[[str], bool]
    status: int = 0
    code: str = ""
    cut_after: int = -1


@dataclass
class FaultyProxy:
    """``url`` is its address; ``requests`` are recorded, as in ``GET /bucket/key?query``.

    ``most_at_once``: the highest number of parallel requests.
    """

    url: str
    upstream: str
    requests: list[str] = field(default_factory=list)
    most_at_once: int = 0
    _faults: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: int = 0

    def answer(
        self, status: int, code: str, *, times: int = 1, when: Callable[[str], bool] = lambda request: True
    ) -> None:
        """Answer the next ``times`` requests with an error of S3, as in ``503, "SlowDown"``."""
        self._faults.append(_Fault(times, when, status=status, code=code))

    def cut(
        self, after_bytes: int, *, times: int = 1, when: Callable[[str], bool] = lambda request: True
    ) -> None:
        """Close the connection after ``after_bytes`` of the body; 0 closes it before the response."""
        self._faults.append(_Fault(times, when, cut_after=after_bytes))

    def count(self, more: int) -> None:
        with self._lock:
            self._under_way += more
            self.most_at_once = max(self.most_at_once, self._under_way)

    def take_fault(self, request: str) -> _Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times > 0 and fault.when(request):
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    """Run a proxy to the server at ``upstream``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}", upstream)
    server.proxy = proxy  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def _serve(self) -> None:
        proxy: FaultyProxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.count(1)
        try:
            self._pass_on(proxy)
        finally:
            proxy.count(-1)

    def _pass_on(self, proxy: FaultyProxy) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = proxy.take_fault(f"{self.command} {self.path}")
        if fault is not None and fault.cut_after == 0:
            self.close_connection = True
            return
        if fault is not None and fault.status:
            text = f"<Error><Code>{fault.code}</Code><Message>{fault.code} by the proxy.</Message></Error>"
            self._send(fault.status, [("Content-Type", "application/xml")], text.encode())
            return
        upstream = http.client.HTTPConnection(urlsplit(proxy.upstream).netloc, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _BETWEEN_TWO:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            headers = [pair for pair in answer.getheaders() if pair[0].lower() not in _BETWEEN_TWO]
        finally:
            upstream.close()
        self._send(answer.status, headers, content, fault.cut_after if fault is not None else None)

    def _send(
        self, status: int, headers: list[tuple[str, str]], content: bytes, cut_after: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        # what a HEAD is told is not sent
        length = {name.lower(): value for name, value in headers}.get("content-length")
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", length if is_head and length else str(len(content)))
        self.end_headers()
        if cut_after is not None:
            self.close_connection = True
            content = content[:cut_after]
        self.wfile.write(b"" if is_head else content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read ``requests``."""
