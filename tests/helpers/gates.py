"""Means to hold things by events, so that no test rests on how long something takes.

``wait_for`` waits for what must happen, ``Gate`` holds a thread, ``RoundGate`` holds the rounds of a studio in this
process or in another one at an epoch, ``held_at_start`` holds processes that are started before they do anything.
The one time limit here ends a test that hangs; no test is judged by it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAIT_SECONDS = 300.0
_LOOK_SECONDS = 0.02  # between two looks at a condition


def wait_for(happened: Callable[[], object], what: str = "what is waited for") -> None:
    """Look until it has happened. AssertionError when it does not in ``WAIT_SECONDS``: the test hangs."""
    end = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < end, f"{what} did not happen within {WAIT_SECONDS:.0f} s"
        time.sleep(_LOOK_SECONDS)


class Gate:
    """A place in the code where threads stop until the test opens it."""

    def __init__(self) -> None:
        self._reached, self._open = threading.Event(), threading.Event()

    def stop_here(self) -> None:
        """Called where a thread is to be held."""
        self._reached.set()
        assert self._open.wait(2 * WAIT_SECONDS), "nobody opened the gate"

    def wait_reached(self) -> None:
        """Wait until a thread stands at the gate."""
        assert self._reached.wait(WAIT_SECONDS), "nobody came to the gate"

    def open(self) -> None:
        """Let through whoever stands here or comes later."""
        self._open.set()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()


class RoundGate:
    """Lets a project's round train as many epochs as ``allow`` said, and holds it then until more are allowed.

    A held round can be cancelled and stopped as any other. It stands before the first batch of the next epoch, with a
    checkpoint of the last one written. Its state lies in a folder, so that a test can hold a studio that runs in
    another process (``python -m tests.helpers.held_studio``).
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self._allowed, self._held = folder / "epochs-allowed", folder / "epochs-held"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._allowed.exists():
            self.allow(epochs)

    @property
    def folder(self) -> Path:
        """Where its state lies."""
        return self._allowed.parent

    def allow(self, epochs: int) -> None:
        """Let rounds go on through this epoch."""
        _write(self._allowed, epochs)

    def release(self) -> None:
        """Let rounds go on to their end."""
        self.allow(10**9)

    def wait_held(self, epoch: int) -> None:
        """Wait until a round stands after this epoch."""
        wait_for(lambda: _read(self._held) == epoch, f"a round after epoch {epoch}")

    def pass_by(self, epochs_done: Callable[[], int], should_stop: Callable[[], bool]) -> None:
        """In the round's own thread: return as soon as it may make another step or is to stop."""
        while (done := epochs_done()) >= _read(self._allowed) and not should_stop():
            _write(self._held, done)
            time.sleep(_LOOK_SECONDS)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Hold the rounds of this process from now on."""
        from tidal_core.records import RoundState
        from tidal_core.rounds import run

        gate = self

        class HeldRoundRun(run.RoundRun):
            def __init__(self, *given: Any, should_stop: Callable[[], bool], **options: Any) -> None:
                def held() -> bool:
                    if self.record.state is RoundState.TRAINING:
                        gate.pass_by(lambda: len(self.store.epochs.of(self.record.id)), should_stop)
                    return should_stop()

                super().__init__(*given, should_stop=held, **options)

        patch.setattr(run, "RoundRun", HeldRoundRun)
        patch.setattr(run, "CHECKPOINT_SECONDS", 0.0)


def _write(path: Path, number: int) -> None:
    beside = path.with_suffix(".part")
    beside.write_text(str(number))
    beside.replace(path)


def _read(path: Path) -> int:
    return int(path.read_text()) if path.exists() else -1


_STARTED_LATER = """
import pathlib, time
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.02)
"""


@contextmanager
def held_at_start(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python processes that are started in this block stand still before their first import until its end."""
    folder.mkdir(parents=True, exist_ok=True)
    gate = folder / "go-on"
    (folder / "sitecustomize.py").write_text(_STARTED_LATER.format(gate=str(gate)))
    with patch.context() as changed:
        changed.setenv("PYTHONPATH", str(folder))
        try:
            yield
        finally:
            gate.touch()


def streamlit_command(script: Path, gate: RoundGate | None) -> list[str]:
    """The command line of a real studio but for its port; with ``gate``, one whose rounds it holds."""
    program = ["-m", "streamlit"] if gate is None else ["-m", "tests.helpers.held_studio", str(gate.folder)]
    return [sys.executable, *program, "run", str(script), "--server.port"]
