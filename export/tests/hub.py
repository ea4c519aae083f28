"""A model hub on the loopback address, as far as the hub's own client asks it."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one folder as the repository ``owner/name``, and keeps what was fetched."""

    def __init__(self, folder: Path, repository: str = "owner/some-model") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.repository = folder, repository
        self.fetched: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        api, files = f"api/models/{self.server.repository}", f"{self.server.repository}/resolve/"
        if path == api or path.startswith(f"{api}/revision/"):
            self._send(json.dumps(self._model()).encode(), "application/json")
        elif path.startswith(f"{api}/tree/"):
            self._send(json.dumps(self._tree()).encode(), "application/json")
        elif path.startswith(files):
            name = path.removeprefix(files).partition("/")[2]
            self._file(self.server.folder / name, name)
        else:
            self._send(b'{"error": "Repository not found"}', "application/json", 404)

    def _model(self) -> dict:
        siblings = [{"rfilename": name, "size": size} for name, size in self._sizes().items()]
        return {"id": self.server.repository, "sha": COMMIT, "siblings": siblings}

    def _tree(self) -> list[dict]:
        return [
            {"type": "file", "path": name, "size": size, "oid": COMMIT}
            for name, size in self._sizes().items()
        ]

    def _sizes(self) -> dict[str, int]:
        folder = self.server.folder
        return {str(path.relative_to(folder)): path.stat().st_size for path in self.server.files()}

    def _file(self, path: Path, name: str) -> None:
        if not path.is_file():
            self._send(b'{"error": "Entry not found"}', "application/json", 404, entry=True)
            return
        if self.command == "GET":
            self.server.fetched.append(name)
        self._send(path.read_bytes(), "application/octet-stream")

    def _send(self, content: bytes, kind: str, status: int = 200, *, entry: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound" if entry else "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def served(folder: Path):
    """The hub while the block lasts."""
    hub = Hub(folder)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
