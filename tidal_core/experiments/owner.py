"""Who works in a folder: one process at a time, known to others by a file. No torch: pages look and stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tidal_core.errors import InputError

_started: list[subprocess.Popen[bytes]] = []


def owner_of(folder: Path) -> int | None:
    """The process that works in the folder now; None when nobody does, or when it is gone."""
    try:
        found = json.loads((folder / "owner.json").read_text(encoding="utf-8"))
        process = psutil.Process(found["pid"])
        same = abs(process.create_time() - found["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return int(found["pid"]) if same else None


@contextmanager
def owning(folder: Path) -> Iterator[None]:
    """Hold the folder; InputError while another process does."""
    owner = owner_of(folder)
    if owner not in (None, os.getpid()):
        raise InputError(f"Process {owner} is at work on {folder.name!r}; stop it, or wait for it.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "owner.json"
    me = psutil.Process()
    file.write_text(json.dumps({"pid": me.pid, "created": me.create_time()}), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def start(arguments: Sequence[str], log: Path) -> int:
    """Start ``python -m tidal_core`` with these arguments in a process of its own; what it says goes to ``log``.

    It lives on when the studio is closed: an experiment takes longer than a visit.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidal_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
    _started.append(process)
    return process.pid


def starting() -> bool:
    """Whether a process that was started from here is still there."""
    return any(process.poll() is None for process in _started)


def stop(folder: Path) -> bool:
    """End the process that works in the folder, and its helpers; whether there was one. Finished rounds stay."""
    owner = owner_of(folder)
    if owner is None:
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(owner)
        for one in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
    return True
