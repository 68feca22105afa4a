"""Which code a result comes from, so that no result is made half by one version and half by another."""

from __future__ import annotations

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
OF_TRAINING = ("config.py", "engine", "method")  # below the package: what decides how a training comes out


@cache
def code_version(parts: tuple[str, ...] = OF_TRAINING) -> str:
    """16 hex digits that change with any source file of these modules and folders of the package.

    A changed comment changes it, too: what is repeated then is a round at most, and nobody has to judge what matters.
    """
    digest = hashlib.sha256()
    for part in parts:
        path = PACKAGE / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def foreign_code_version(kind: type) -> str | None:
    """As ``code_version``, of the file that holds a class of another package; None for a class of this package."""
    if kind.__module__.split(".")[0] == __name__.split(".")[0]:
        return None
    try:
        file = Path(inspect.getfile(sys.modules[kind.__module__]))
    except (KeyError, TypeError):  # made while the program runs: there is no file that could change
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
