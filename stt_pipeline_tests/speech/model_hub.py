"""A model hub on this machine, with the part of the Hugging Face protocol that a download needs."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve_hub(repository: str, folder: Path) -> Iterator[str]:
    """Serve the files of ``folder`` as ``repository``; any other repository does not exist. Yields the address."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in (f"/api/models/{repository}", f"/api/models/{repository}/revision/main"):
                names = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
                self._answer(json.dumps({"id": repository, "sha": _COMMIT, "siblings": names}).encode())
            elif path.startswith(f"/api/models/{repository}/tree/"):
                files = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                    for file in sorted(folder.iterdir())
                ]
                self._answer(json.dumps(files).encode())
            elif path.startswith(f"/{repository}/resolve/"):
                self._answer((folder / path.rpartition("/")[2]).read_bytes())
            else:
                self._answer(b"{}", status=404, error="RepoNotFound")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, body: bytes, status: int = 200, error: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", _COMMIT)
            self.send_header("X-HF-Warning", "unauthenticated; Set HF_TOKEN to have higher limits.")
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
