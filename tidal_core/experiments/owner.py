"""Who works in a folder: one process at a time, known to others by a file. No torch: pages look and stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tidal_core.errors import InputError

# Kept so that those that end are reaped, and none is complained about as forgotten.
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
    _hand_over(folder, os.getpid())
    try:
        yield
    finally:
        (folder / "owner.json").unlink(missing_ok=True)


def _hand_over(folder: Path, pid: int) -> None:
    created = psutil.Process(pid).create_time()
    (folder / "owner.json").write_text(json.dumps({"pid": pid, "created": created}), encoding="utf-8")


def start(arguments: Sequence[str], folder: Path) -> int:
    """Start ``python -m tidal_core`` with these arguments to work in ``folder``; what it says goes to log.txt there.

    It owns the folder from now on, also while it is still importing, and lives on when the studio is closed: an
    experiment takes longer than a visit. Raises InputError while another process works there.
    """
    owner = owner_of(folder)
    if owner is not None:
        raise InputError(f"Process {owner} is at work on {folder.name!r}; stop it, or wait for it.")
    _started[:] = [process for process in _started if process.poll() is None]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidal_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            **_apart(),
        )
    _started.append(process)
    _hand_over(folder, process.pid)
    return process.pid


def _apart() -> dict[str, Any]:
    """What lets a process live on when the studio is closed, as arguments of Popen."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


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
