"""Disks that are really full: a small one of its own where one may be mounted, a limit on files in any process.

A small disk is a tmpfs, which only root may mount. ``RLIMIT_FSIZE`` works everywhere: a process in which no file may
grow beyond it meets EFBIG, one of the numbers by which a disk says that it is full, at the very calls that would meet
ENOSPC; that there is free space on the disk all the while is as with a quota.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers.serving import ROOT

_BLOCK = 1 << 16  # bytes


class NoSmallDisk(OSError):
    """No disk of its own can be mounted here."""


class SmallDisk:
    """A disk that can be filled and emptied at will; everything in ``folder`` lies on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, leaving: int = 0) -> None:
        """Take all room but about ``leaving`` bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (_BLOCK, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
            if leaving:
                file.truncate(max(0, file.tell() - leaving))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk of this size at ``folder`` until the block's end. Raises NoSmallDisk where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise NoSmallDisk(errno.ENOSYS, "there is no program `mount`") from error
    if done.returncode:
        raise NoSmallDisk(errno.EPERM, f"a tmpfs cannot be mounted: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def small_disk_or_skip(folder: Path, megabytes: int, until: ExitStack) -> SmallDisk:
    """As ``small_disk`` until the end of ``until``; a test without one is skipped, and says why."""
    try:
        return until.enter_context(small_disk(folder, megabytes))
    except NoSmallDisk as error:
        pytest.skip(f"needs a small disk of its own: {error.strerror}")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder in which nobody can write, root neither. Raises NoSmallDisk where that cannot be had."""
    before = folder.stat().st_mode
    folder.chmod(0o500)
    try:
        if not os.access(folder, os.W_OK):
            yield
            return
        with small_disk(folder, 1):
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            yield
    finally:
        folder.chmod(before)


class FileLimit:
    """A limit on the files of this process in place of a disk; ``folder`` lies on a disk with room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leaving: int = 0) -> None:
        """Let no file grow beyond ``leaving`` bytes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (leaving, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def free(self) -> None:
        """Take the limit away again."""
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def in_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a Python process of its own, whose files may be limited."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
