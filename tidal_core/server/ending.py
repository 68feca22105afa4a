"""How the process of a studio ends: its last line is the studio's own.

When the interpreter ends, DuckDB's binding lists on standard error what is still referred to somewhere, dozens of lines
about reference counts: its types, which caches of modules keep, and what threads that serve pages had in their hands,
since these never end by themselves. By then every project is closed; nobody can do anything about it, and whoever has
pressed Ctrl-C would take it for a damaged file.
"""

from __future__ import annotations

import atexit
import os
import sys


def end_quietly() -> None:
    """From the end of the interpreter on, nothing is written to standard error. For when all projects are closed."""
    atexit.register(_mute)


def _mute() -> None:
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # libraries write to the descriptor, not to Python's file
    os.close(nowhere)
