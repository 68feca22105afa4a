"""Files over http as a storage service gives them: by ranges of bytes, and what was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served_by_ranges(folder: Path) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The address of a folder, and the ranges (first byte, behind the last) that were asked for, as they come."""
    asked: list[tuple[int, int]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            wanted = self.headers.get("Range")
            if not path.is_file() or wanted is None:  # a whole file is never needed
                self.send_error(404)
                return
            first, last = (int(end) for end in wanted.removeprefix("bytes=").split("-"))
            with path.open("rb") as file:
                file.seek(first)
                part = file.read(last + 1 - first)
            asked.append((first, last + 1))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{path.stat().st_size}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
