"""A studio that listens on a real port of this machine, in this process; and the command line as another process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from tests.helpers.gates import WAIT_SECONDS, wait_for
from tidal_core.server import web
from tidal_core.server.studio import Studio

ROOT = Path(__file__).parents[2]


class Listening:
    """The routes of a studio over HTTP, announced as a running studio does."""

    def __init__(self, *, with_worker: bool = False) -> None:
        self.studio = Studio(with_worker=with_worker)
        app = Starlette(routes=web.routes(lambda: self.studio), middleware=web.middleware())
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        wait_for(lambda: self._server.started, "the start of the server")
        self.studio.reachable_at(self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_SECONDS)
        self._socket.close()
        self.studio.worker.stop(WAIT_SECONDS)  # closing the studio waits for seconds only
        self.studio.close()


def command(*arguments: object) -> list[str]:
    """The command line of a command, for those who start it themselves."""
    return [sys.executable, "-m", "tidal_core", *map(str, arguments)]


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
