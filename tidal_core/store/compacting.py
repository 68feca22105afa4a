"""Writing a project's file anew without the room that rows left which are gone.

DuckDB takes such room for new rows, and cuts the file only where nothing lies behind it: a file whose old curves are
dropped round after round stays about twice as large as what it holds, and one that a person has had drop most of it
stays as large as it was (EXPERIMENTS.md). So a file that is mostly empty is written anew when it is opened, the one
moment at which nobody reads or writes it.

Killed at any moment, there is the old file or the new one, each whole. While it is written, the old file is open and so
locked: no other process can add to it what the new one would lack.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from tidal_core.errors import StoreError
from tidal_core.files import atomic
from tidal_core.store.columns import first_row

logger = logging.getLogger(__name__)

WORTH_IT = 32 << 20  # bytes that nothing lies in, at least
SHARE = 0.5  # of the file, at least
TAKES_SECONDS = 2 << 30  # bytes in use: with more, opening would keep people waiting, and the file stays as it is

_CONFIGURATION: dict[str, Any] = {
    "threads": "1",
    "memory_limit": "2GB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "checkpoint_threshold": "1TB",  # never by itself
}


def empty_bytes(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """How much of an open file nothing lies in, and how much something does, in bytes."""
    row = first_row(cursor, "SELECT block_size * free_blocks, block_size * used_blocks FROM pragma_database_size()")
    return (int(row[0]), int(row[1])) if row else (0, 0)


def is_worth_it(empty: int, used: int) -> bool:
    """Whether a file with so many bytes empty and in use is to be written anew."""
    return empty >= WORTH_IT and empty >= SHARE * (empty + used) and used <= TAKES_SECONDS


def write_anew(path: Path, make_empty: Callable[[Path], None]) -> bool:
    """Put a file with the same rows in the same order in place of a closed one; whether that was done.

    ``make_empty`` makes a file with the same tables and nothing in them. Not done, and the file as it was: where the
    disk has no room, another process has it, or anything else is in the way.
    """
    size = path.stat().st_size
    if shutil.disk_usage(path.parent).free < size:
        return False
    try:
        with duckdb.connect(config=_CONFIGURATION) as connection:
            connection.execute(f"SET allowed_directories = ['{_quoted(path.parent)}']")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute(f"ATTACH '{_quoted(path)}' AS old")  # to write, which locks it
            connection.execute("CHECKPOINT old")
            if os.path.exists(f"{path}.wal"):  # it would be read as the log of the new file
                return False
            with atomic(path, durable=True) as beside:
                make_empty(beside)
                _copy(connection, beside)
                shutil.copymode(path, beside)
    except (duckdb.Error, OSError, StoreError) as error:
        logger.warning("The project file %s was not written anew: %s", path, error)
        return False
    logger.info(
        "The project file %s was written anew: %d MB instead of %d.", path, path.stat().st_size >> 20, size >> 20
    )
    return True


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")


def _copy(connection: duckdb.DuckDBPyConnection, beside: Path) -> None:
    """All rows into the new file. Raises StoreError where a table does not have as many there."""
    connection.execute(f"ATTACH '{_quoted(beside)}' AS fresh")
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old' AND schema_name = 'main'"
        ).fetchall()
    ]
    for name in names:
        connection.execute("BEGIN")  # each by itself: a transaction writes to one file only
        connection.execute(f'DELETE FROM fresh.main."{name}"')
        connection.execute(f'INSERT INTO fresh.main."{name}" BY NAME SELECT * FROM old.main."{name}"')
        connection.execute("COMMIT")
        before, after = (
            first_row(connection, f'SELECT count(*) FROM {file}.main."{name}"') for file in ("old", "fresh")
        )
        if before != after:
            raise StoreError(f"the table {name} has {after} rows in the new file instead of {before}")
    connection.execute("CHECKPOINT fresh")
    connection.execute("DETACH fresh")
