"""What runs in a worker of a Ray cluster: it opens the work once and does its tasks. No Ray is imported here.

Nothing is computed before it is sure that the worker has the same code, and finds the same folders, as the process that
asks: a result that was made half by one version and half by another would say nothing about itself.
"""

from __future__ import annotations

import os
import pickle
import platform
import socket
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tidal_core import __version__
from tidal_core.engine.code_version import OF_TRAINING, code_version
from tidal_core.engine.executors.base import UNWATCHED, Watch
from tidal_core.errors import InputError

OF_WORK = (*OF_TRAINING, "images", "experiments", "strategies", "rounds")
"""Below the package: the code that work is made of."""


class Orders(NamedTuple):
    """What a worker needs before its first task."""

    work: bytes  # a pickled Work; it sets torch's threads where it computes
    versions: dict[str, str]  # of the process that asks
    marks: tuple[Path, ...]  # empty files in the folders that the worker must find as they are there
    needs_token: bool  # whether the worker's machine must have been started with tokens


class Place(NamedTuple):
    """Where a worker is."""

    machine: str
    pid: int


def versions() -> dict[str, str]:
    """What must be the same in two processes that compute one result."""
    return {
        "TiDAL Studio": f"{__version__}, code {code_version(OF_WORK)}",
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "torch": version("torch"),
        "numpy": version("numpy"),
    }


class Host:
    """The worker, as an actor of Ray."""

    def __init__(self) -> None:
        self._worker: Callable[[Any, Watch], Any] | None = None

    def open(self, orders: Orders) -> Place:
        """Check and open the work. Raises InputError where this machine is not as it has to be."""
        machine = socket.gethostname()
        if orders.needs_token and os.environ.get("RAY_AUTH_MODE") != "token":
            raise InputError(
                f"Ray on {machine} was started without tokens, so whoever reaches its ports can run programs there; "
                "stop it (ray stop), set RAY_AUTH_MODE=token there, and start it again (docs/scale.md)."
            )
        differing = _differing(orders.versions, versions())
        if differing:
            raise InputError(f"{machine} has {differing}; install the same versions on all machines of the cluster.")
        lost = next((mark for mark in orders.marks if not mark.exists()), None)
        if lost is not None:
            raise InputError(
                f"{machine} does not see the folder {lost.parent} of the machine that asks; put it on a disk that all "
                "machines of the cluster share, at the same path, or give the address of a copy with --pixels."
            )
        # Only the process that asks has sent it: with its token it could run any program here without a pickle, too.
        self._worker = pickle.loads(orders.work).open()
        return Place(machine, os.getpid())

    def do(self, task: Any) -> Any:
        """The result of a task."""
        assert self._worker is not None  # opened first
        return self._worker(task, UNWATCHED)


def _differing(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """The first difference in words; empty where there is none."""
    for name, wanted in there.items():
        if here[name] != wanted:
            return f"{name} {here[name]} and the machine that asks has {wanted}"
    return ""
