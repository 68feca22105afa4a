"""How the process of a studio ends: its last line is the studio's own.

Threads that serve pages never end by themselves. When the interpreter ends before they do, DuckDB's binding finds its
objects still in their frames and lists them on standard error, dozens of lines about reference counts. By then every
project is closed; nobody can do anything about it, and whoever has pressed Ctrl-C would take it for a damaged file.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading


def end_quietly() -> None:
    """From the end of the interpreter on, nothing is written to standard error while background threads remain."""
    atexit.register(_mute)


def _mute() -> None:
    if threading.active_count() == 1:
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # libraries write to the descriptor, not to Python's file
    os.close(nowhere)
