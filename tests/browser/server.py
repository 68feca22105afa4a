"""The real server as a child process that tests and benchmarks start, stop and kill: ``streamlit run app.py``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.helpers.gates import WAIT_SECONDS, RoundGate, streamlit_command

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One studio on a port of its own, with a ``TIDAL_HOME`` of its own; start it again and it has the same port.

    ``program``: another command line that starts it, the option for its port last and the port left out; ``folder``:
    where it is started; ``variables``: more of its environment; ``gate``: holds its rounds.
    """

    def __init__(
        self,
        home: Path,
        port: int | None = None,
        script: Path | None = None,
        *,
        gate: RoundGate | None = None,
        program: Sequence[str | Path] | None = None,
        folder: Path = ROOT,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.program = program or streamlit_command(script or ROOT / "app.py", gate)
        self.folder, self.variables = folder, variables or {}
        self.port = port or free_port()
        self.log = home.parent / f"{home.name}-server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The front page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start and wait until it answers. Raises RuntimeError with the end of its log when it does not."""
        env = {**os.environ, "TIDAL_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **self.variables}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.program, str(self.port)],
                cwd=self.folder,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urlopen(f"{self.url}/_stcore/health", timeout=10) as answer:
                    if answer.status == 200:
                        return self
            except HTTPError as error:
                if error.code == 401:  # a studio with a login
                    return self
                time.sleep(0.05)
            except (URLError, OSError):
                time.sleep(0.05)
        tail = self.log.read_text(errors="replace")[-3000:]
        self.kill()
        raise RuntimeError(f"The server did not start within {WAIT_SECONDS:.0f} s:\n{tail}")

    def stop(self, timeout: float = WAIT_SECONDS) -> int:
        """Ctrl-C, and wait; the exit status, which ``streamlit run`` makes 1 ("Aborted!") and our own command 0.

        A server that does not end is killed, and TimeoutExpired raised.
        """
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._process = None

    def kill(self) -> None:
        """SIGKILL: what a crash or a power cut looks like to the file."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def has_loaded(self, library: str) -> bool:
        """Whether the process has a shared library of this name mapped (Linux)."""
        assert self._process is not None
        return library in Path(f"/proc/{self._process.pid}/maps").read_text()

    def pause(self) -> None:
        """SIGSTOP: connections hang, as on a lost network."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            if kind is not None:
                print(self.log.read_text(errors="replace")[-3000:])
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                if kind is None:
                    raise
