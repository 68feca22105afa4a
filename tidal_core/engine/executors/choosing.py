"""The executor that a person names. Ray is loaded only where it is the one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidal_core.engine.executors.base import Executor
from tidal_core.engine.executors.local import LocalExecutor
from tidal_core.errors import InputError

NAMES = ("local", "ray")


@contextmanager
def chosen(name: str, address: str | None = None, workers: int | None = None) -> Iterator[Executor]:
    """The executor ``name``, ready while the block lasts.

    ``address``: of a Ray cluster, see ``RayExecutor``. ``workers``: at most so many; default one on this machine, and
    as many as there is room for on a cluster. Raises InputError for another name, and as ``RayExecutor``.
    """
    if name not in NAMES:
        raise InputError(f"{name!r} is no executor; give --executor local (this machine) or --executor ray.")
    if name == "local":
        if address is not None:
            raise InputError(f"--address {address} is of a Ray cluster; give --executor ray, too.")
        yield LocalExecutor(workers or 1)
        return
    from tidal_core.engine.executors.ray_cluster import OWN, RayExecutor

    with RayExecutor(address or OWN, workers) as executor:
        yield executor
