"""Files and folders written whole: beside their place first, then renamed. A target is what it was, or all of the new.

The one policy. What is on its way is hidden, lies beside its target (a rename never crosses a disk) and is called
``.NAME.PID-TOKEN-N.tidal-part``; so is what is only needed for a while (``scratch``). Where the block fails it is
removed; where the process is killed, ``sweep`` removes it later: at the start of a studio, when a project is opened,
before the next of its kind. A file gets the permissions of any other file of this process (``for_this_user_only``), a
``private`` one gives none to others in any. A folder that holds anything is never replaced. ``durable`` waits until the
disk has it: for what no one could make again.
"""

from __future__ import annotations

import errno
import filecmp
import gc
import itertools
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from tidal_core.errors import DISK_FULL, DiskFull, InputError, TidalError

_TOKEN = secrets.token_hex(4)  # tells this process from an earlier one of the same number
_NUMBERS = itertools.count()
_PART = re.compile(r"\..*\.(\d+)-([0-9a-f]{8})-\d+\.tidal-part", re.DOTALL)
_NAME_KEPT = 40  # letters of the target's name: with the rest, less than any file system's limit

# Windows refuses to replace a file while anyone has it open or mapped; elsewhere a refusal is final.
_REPLACE_TRIES = 40 if sys.platform == "win32" else 1
_REPLACE_WAIT = 0.25  # seconds


@contextmanager
def atomic(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path beside ``target`` to write a file or a folder to; it becomes the target when the block ends well.

    The folder around it must be there. Raises OSError where it cannot be written.
    """
    # In a folder of its own: what a library leaves beside what it writes, when it is killed, goes with it.
    around = _beside(target)
    around.mkdir()
    try:
        yield around / target.name
        _settle(around / target.name, target, durable)
    finally:
        _remove(around)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for what nobody needs after the block, where the system keeps such things; only this user may look in.

    Every one begins with a sweep of those that killed processes have left there. Raises OSError where there is no room.
    """
    place = Path(tempfile.gettempdir())
    sweep(place)
    folder = _beside(place / name)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _remove(folder)


@contextmanager
def mark(folder: Path, name: str) -> Iterator[Path]:
    """An empty file in a folder while the block lasts, by which another process recognises it. Raises OSError."""
    path = _beside(folder / name)
    path.touch()
    try:
        yield path
    finally:
        _remove(path)


@contextmanager
def atomic_file(
    target: Path, *, durable: bool = False, private: bool = False, replacing: bool = True, keep_equal: bool = False
) -> Iterator[BinaryIO]:
    """As ``atomic``, with the file open to write and read.

    ``replacing=False`` raises FileExistsError at the end where a target has come up meanwhile; ``keep_equal`` leaves a
    target of the same content as it is, with its time of change. Where the system can (Linux) the file has no name
    until it is whole, so that a process that is killed leaves nothing.
    """
    beside = _beside(target)
    mode = 0o600 if private else 0o666
    file = _nameless(target.parent, mode)
    nameless = file is not None
    if file is None:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        file = os.fdopen(handle, "w+b")
    try:
        with file:
            yield file
            file.flush()
            if nameless:
                # A directory handle, ignored for an absolute path, makes Python follow the link to the open file.
                os.link(_open_file(file.fileno()), beside, src_dir_fd=file.fileno())
        if keep_equal and target.is_file() and filecmp.cmp(beside, target, shallow=False):
            return
        if not replacing:
            _claim(beside, target, durable)
        else:
            _settle(beside, target, durable)
    finally:
        _remove(beside)


def write(target: Path, content: str | bytes, *, durable: bool = False, private: bool = False) -> None:
    """A whole small file; text as UTF-8. Raises OSError as ``atomic`` does."""
    with atomic_file(target, durable=durable, private=private) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """As ``atomic``, for a place that a person has named: its folder is made, leftovers in it are swept.

    Raises InputError with the remedy where it cannot be written: no folder, no permission, no room.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        with atomic(target) as beside:
            yield beside
    except OSError as error:
        remedy = "free some space on the disk" if error.errno in DISK_FULL else "choose another folder or name"
        raise InputError(f"{target} cannot be written ({error.strerror or error}); {remedy}.") from error


def for_this_user_only() -> None:
    """From now on nothing that this process or one that it starts makes can be read by others, whatever their umask."""
    os.umask(0o077)


def tighten(folder: Path, skipped: Collection[str] = ()) -> None:
    """Take from others what they may do with a folder and all in it: made by an earlier version, copied, unpacked.

    Folders named in ``skipped`` (of very many files) are gone through only where the folder itself was open to others,
    for whom a closed one closes all in it. Links and files of several names are left: they may be originals elsewhere.
    A disk that has no permissions, or refuses, is left as it is.
    """
    was_open = _close_to_others(folder)
    for root, folders, names in os.walk(folder):
        if not was_open:
            folders[:] = [name for name in folders if name not in skipped]
        for name in (*folders, *names):
            _close_to_others(Path(root, name))


def _close_to_others(path: Path) -> bool:
    """Leave the owner's permissions only; whether there were others."""
    try:
        facts = path.lstat()
        is_folder = stat.S_ISDIR(facts.st_mode)
        is_open = bool(facts.st_mode & 0o077) and (is_folder or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1))
        if is_open:
            path.chmod(facts.st_mode & 0o700)
    except OSError:
        return False
    return is_open


def disk_full(path: Path) -> DiskFull:
    """That there was no room to write ``path``, with what helps."""
    free = ""
    with suppress(OSError):
        folder = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.is_dir())
        free = f" ({shutil.disk_usage(folder).free / 1e6:,.1f} MB are free)"
    return DiskFull(
        f"There is no room left on the disk for {path}{free}: nothing was changed. Free some space there; then "
        "everything goes on as before, without a restart."
    )


def in_words(error: OSError, path: Path) -> TidalError:
    """What a person is told of a file or folder that could not be written or read, with what helps."""
    if error.errno in DISK_FULL:
        return disk_full(path)
    named = error.filename if isinstance(error.filename, str) else path
    return InputError(
        f"{named} cannot be used ({error.strerror or error}); check that its folder is there and that this user may "
        "write to it, then try again."
    )


def sweep(folder: Path, *, below: bool = False) -> int:
    """Remove what killed processes have left in a folder, ``below``: and in those inside it; returns how many.

    What a process that still runs has on its way stays, and so does every file that is not called like one of ours.
    """
    count = 0
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            part = _PART.fullmatch(name)
            if part is not None and not _is_running(int(part[1]), part[2]):
                _remove(Path(root, name))
                count += 1
        if not below:
            break
        folders[:] = [name for name in folders if _PART.fullmatch(name) is None]
    return count


def replace(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``, over a file that is there.

    Windows refuses while anyone has the target open or mapped: maps that nobody holds any more are let go then, and it
    is tried again for some seconds. Raises OSError when that does not help.
    """
    for attempt in range(1, _REPLACE_TRIES + 1):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if attempt == _REPLACE_TRIES:
                raise
            gc.collect()
            time.sleep(_REPLACE_WAIT)


def _beside(target: Path) -> Path:
    name = f".{target.name[:_NAME_KEPT]}.{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}.tidal-part"
    return target.with_name(name)


def _is_running(pid: int, token: str) -> bool:
    return token == _TOKEN if pid == os.getpid() else psutil.pid_exists(pid)


def _open_file(handle: int) -> str:
    return f"/proc/self/fd/{handle}"


def _nameless(folder: Path, mode: int) -> BinaryIO | None:
    """A file without a name in a folder; None where the system or the disk has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR, mode)
    except OSError:
        return None
    if not os.path.exists(_open_file(handle)):  # no /proc: it could not be given a name
        os.close(handle)
        return None
    return os.fdopen(handle, "w+b")


def _settle(beside: Path, target: Path, durable: bool) -> None:
    """Give what was written its place."""
    if durable:
        _sync(beside)
    if sys.platform == "win32" and beside.is_dir() and target.is_dir():
        target.rmdir()  # only an empty one: elsewhere a rename replaces it, and refuses one that holds anything
    replace(beside, target)
    if durable:
        _sync_folder(target.parent)


def _claim(beside: Path, target: Path, durable: bool) -> None:
    """As ``_settle`` for a file, and never over one that is there: FileExistsError."""
    if durable:
        _sync(beside)
    if sys.platform == "win32":
        os.rename(beside, target)  # refuses there what it replaces elsewhere
    else:
        try:
            os.link(beside, target)
        except FileExistsError:
            raise
        except OSError:  # a disk without links
            if target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            os.replace(beside, target)
    if durable:
        _sync_folder(target.parent)


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder with everything in it."""
    if path.is_dir():
        for inner in path.iterdir():
            _sync(inner)
        _sync_folder(path)
        return
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # which has no such call for folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks refuse
            os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """A file, a link or a whole folder, if it is there; what cannot be removed is left to the next ``sweep``."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
