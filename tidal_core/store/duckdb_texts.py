"""What is read out of the words of DuckDB's errors, which another release may change.

DuckDB says some things in its messages only. Each of them is read here and nowhere else, with the reason why there is
no other way; ``tests/store/test_duckdb_texts.py`` provokes the real errors and names what an upgrade breaks.
"""

from __future__ import annotations

import os
import re

import duckdb

from tidal_core.errors import DISK_FULL

_HOLDER = re.compile(r"PID (\d+)")


def holder_of(error: duckdb.Error) -> int | None:
    """The process that has the file which could not be opened; None where the error is about something else.

    The exception has no field for it, and both ways to the lock itself (``/proc/locks``, ``fcntl`` with a handle of our
    own) exist on one system only, or would let go of a lock of this process.
    """
    match = re.search(_HOLDER, str(error))
    return int(match.group(1)) if match else None


def is_open_here(error: duckdb.Error) -> bool:
    """Whether a file could not be set up because this process has it open already, set up and locked.

    DuckDB gives a second connection to the same database instead of refusing, with the first one's settings; that they
    are locked is the only sign of it, and the exception's type is shared with every value that a setting cannot have.
    """
    return "configuration has been locked" in str(error)


def is_disk_full(error: duckdb.Error) -> bool:
    """Whether the disk had no room for what was to be written.

    Commits, bulk writes and checkpoints say it with an exception of three different types, each with other reasons as
    well; what they share are the operating system's words at the end of the message.
    """
    return any(os.strerror(number) in str(error) for number in DISK_FULL)
