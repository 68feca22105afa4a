"""Who works on a folder: one record, ``owner.json``, for projects and experiments, and the lock of an experiment's.

The record tells other programs of the same user which process works there and, for a studio, where it answers and with
which token; only this user can read it. It proves nothing: a process that was killed leaves it behind. Whether somebody
works there is told by a lock of the operating system, which ends with its process whatever happens to it: DuckDB's own
on a project's file, and here, for the folder of an experiment, the one on ``owner.lock``. No clock is compared.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psutil
from filelock import lock_descriptor, unlock_descriptor
from msgspec import Meta

from tidal_core import files, json_checks
from tidal_core.errors import InputError

FILE = "owner.json"
LOCK = "owner.lock"
UNKNOWN = 0  # the number of a process that holds a folder and has not written it down

_TRIES, _SECONDS_BETWEEN = 20, 0.05  # to take a lock: whoever looks whether it is taken has it for a moment itself


@dataclass(frozen=True)
class Owner:
    """A process that works on a folder and, with an address, answers for it."""

    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    since: str  # ISO 8601, UTC; for people
    address: str = ""  # "http://127.0.0.1:8501"
    token: str = ""

    @classmethod
    def of(cls, pid: int, address: str = "", token: str = "") -> Owner:
        """An owner from now on."""
        return cls(pid, datetime.now(UTC).isoformat(timespec="seconds"), address, token)


def announce(folder: Path, owner: Owner) -> None:
    """Write down who works on ``folder``; nobody but this user can read it."""
    files.write(folder / FILE, json.dumps(dataclasses.asdict(owner)), private=True)


def withdraw(folder: Path, owner: Owner) -> None:
    """Take back what ``announce`` wrote; what another process wrote since stays."""
    if announced(folder) == owner:
        (folder / FILE).unlink(missing_ok=True)


def announced(folder: Path) -> Owner | None:
    """What the record says, which may be of a process that is long gone; None where there is none that can be read."""
    try:
        return json_checks.decode((folder / FILE).read_bytes(), Owner)
    except (OSError, InputError):
        return None


# --- the lock of an experiment's folder


def owner_of(folder: Path) -> int | None:
    """The number of the process that holds the folder now, ``UNKNOWN`` where it cannot be told; None for nobody."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None  # never held
    try:
        if lock_descriptor(handle, blocking=False):
            return None
    finally:
        os.close(handle)  # and with it the lock
    owner = announced(folder)
    return owner.pid if owner is not None else UNKNOWN


@contextmanager
def owning(folder: Path) -> Iterator[None]:
    """Hold the folder, also where this process holds it already. Raises InputError while another process does."""
    try:
        handle = take(folder)
    except InputError:
        if owner_of(folder) != os.getpid():
            raise
        handle = None  # held by a caller, or handed over by the process that started this one (``hand_over``)
    if handle is None:
        yield
        return
    owner = Owner.of(os.getpid())
    try:
        with suppress(OSError):  # without the record it works all the same; it is UNKNOWN then
            announce(folder, owner)
        yield
    finally:
        withdraw(folder, owner)
        unlock_descriptor(handle)
        os.close(handle)


def take(folder: Path) -> int:
    """Take the folder's lock; the open file that holds it.

    Raises InputError while another process has it, and where nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        for _ in range(_TRIES):
            if lock_descriptor(handle, blocking=False):
                with suppress(OSError):  # of an owner that was killed: its number may be another process's by now
                    (folder / FILE).unlink()
                return handle
            owner = announced(folder)
            if owner is not None and psutil.pid_exists(owner.pid):
                break
            time.sleep(_SECONDS_BETWEEN)
        raise in_use(folder, owner_of(folder))
    except OSError as error:
        os.close(handle)
        raise _not_writable(folder, error) from error
    except BaseException:
        os.close(handle)
        raise


def _not_writable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"Nothing can be written to the folder {folder} ({error.strerror or error}); make room on its disk, or see "
        "that you may write there."
    )


def in_use(folder: Path, owner: int | None) -> InputError:
    """Why nobody else may work on the folder now."""
    who = f"Process {owner}" if owner else "Another process"
    return InputError(
        f"{who} is already working on {folder.name!r}; wait until it ends, or stop it first (on its page, or with "
        "Ctrl-C in its terminal)."
    )


def hand_over(folder: Path, handle: int, pid: int) -> None:
    """Leave the folder to a process that was started with ``handle`` and so holds the same lock until it ends."""
    with suppress(OSError):  # without the record it works all the same; it is UNKNOWN then
        announce(folder, Owner.of(pid))
    os.close(handle)  # never unlocked: that would end the lock for both
