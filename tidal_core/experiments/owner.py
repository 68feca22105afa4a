"""A process of its own that works in an experiment's folder: started and stopped by pages. No torch here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tidal_core import ownership

# Kept so that those that end are reaped, and none is complained about as forgotten.
_started: list[subprocess.Popen[bytes]] = []


def start(arguments: Sequence[str], folder: Path) -> int:
    """Start ``python -m tidal_core`` with these arguments to work in ``folder``; what it says goes to log.txt there.

    It owns the folder from now on, also while it is still importing, and lives on when the studio is closed: an
    experiment takes longer than a visit. Raises InputError while another process works there.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    lock = ownership.take(folder)
    try:
        with (folder / "log.txt").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tidal_core", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                **_apart(lock),
            )
    except BaseException:
        os.close(lock)
        raise
    _started.append(process)
    ownership.hand_over(folder, lock, process.pid)
    return process.pid


def resume(folder: Path) -> None:
    """Go on with an experiment in a process of its own; nothing where one works on it. Raises InputError."""
    if ownership.owner_of(folder) is None:
        (folder / "log.txt").unlink(missing_ok=True)
        start(["experiment-resume", folder.name], folder)


def _apart(lock: int) -> dict[str, Any]:
    """What lets a process live on when the studio is closed, with the folder's lock, as arguments of Popen."""
    if sys.platform == "win32":  # no open file is handed on there: the process takes the lock once it has begun
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    # An open file that is locked stays so while any process has it: nobody can come in between.
    return {"start_new_session": True, "pass_fds": (lock,)}


def stop(folder: Path) -> bool:
    """End the process that works in the folder, and its helpers; whether there was one. Finished rounds stay."""
    owner = ownership.owner_of(folder)
    if owner in (None, ownership.UNKNOWN):
        return False
    try:
        process = psutil.Process(owner)
        if not _has_open(process, folder / ownership.LOCK):
            return False
        members = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:  # of another user
        return False
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    return True


def _has_open(process: psutil.Process, file: Path) -> bool:
    """Whether it is the process that the record means, and not another one of the same number."""
    if sys.platform == "win32":  # no list of open files without rights of an administrator
        return True
    return any(Path(opened.path) == file.resolve() for opened in process.open_files())
