"""Small works for executors: numbers doubled, by workers that are killed, are stopped at a gate, or refuse.

No torch, so that workers begin at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.gates import wait_for
from tidal_core.engine.executors import Memory, Watch
from tidal_core.errors import InputError

LITTLE = Memory(2**20, 2**10, 2**10)


@dataclass(frozen=True)
class Doubling:
    """Its result for n is 2 n and the worker's process. What is in ``folder`` decides what happens on the way.

    A file ``kill-n`` is taken away and kills the worker of n; ``always-n`` kills every one; ``refuse-n`` makes it
    refuse; with ``closed`` there, n > 0 is not done until ``open`` is.
    """

    folder: Path
    need: Memory = LITTLE
    threads: int = 1
    ahead: int = 1
    folders: tuple[Path, ...] = ()

    def memory(self, n_images: int) -> Memory:
        return self.need

    def open(self) -> Callable[[int, Watch], tuple[int, int]]:
        return self._double

    def _double(self, number: int, watch: Watch) -> tuple[int, int]:
        (self.folder / f"has-{number}").touch()
        if (self.folder / f"refuse-{number}").exists():
            raise InputError(f"{number} cannot be doubled; give another.")
        if (self.folder / f"always-{number}").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / f"kill-{number}").exists():
            (self.folder / f"kill-{number}").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if number and (self.folder / "closed").exists():
            wait_for(lambda: (self.folder / "open").exists(), f"the opening for {number}")
        return 2 * number, os.getpid()
