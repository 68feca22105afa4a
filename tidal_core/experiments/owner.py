"""A process of its own that works in an experiment's folder: started and stopped by pages. No torch here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

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
                start_new_session=True,
                cwd=Path(__file__).parents[2],
                # An open file that is locked stays so while any process has it: nobody can come in between. Windows
                # has no such thing; there the process takes the lock itself once it has begun.
                pass_fds=(lock,) if os.name == "posix" else (),
            )
    except BaseException:
        os.close(lock)
        raise
    _started.append(process)
    ownership.hand_over(folder, lock, process.pid)
    return process.pid


def stop(folder: Path) -> bool:
    """End the process that works in the folder, and its helpers; whether there was one. Finished rounds stay."""
    owner = ownership.owner_of(folder)
    if owner in (None, ownership.UNKNOWN):
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(owner)
        for member in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
    return True
