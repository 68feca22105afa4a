"""Opening a project's file: what it may do is locked before anything in it is looked at, then its tables are ours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from tidal_core.errors import DiskFull, ProjectInUse, SchemaTooNew, StoreError
from tidal_core.files import disk_full
from tidal_core.store.catalog import MIGRATIONS_TABLE, step_of
from tidal_core.store.compacting import empty_bytes, is_worth_it, write_anew
from tidal_core.store.duckdb_texts import holder_of, is_disk_full, is_open_here
from tidal_core.store.migrations import Migration


def open_file(path: Path, migrations: Sequence[Migration], *, is_shared: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the file, new or known, with this version's tables; written anew where it is mostly empty.

    ``is_shared``: others may open what DuckDB has open, so that it need not copy the file by itself (not on Windows).

    Raises ProjectInUse when another process has it, SchemaTooNew for a newer file, DiskFull where there is no room for
    one, and StoreError for one that is damaged, cannot be written, or defines what this studio did not make (see
    ``catalog``).
    """
    connection = _opened(path, migrations, is_shared)
    if str(path) == ":memory:" or not is_worth_it(*empty_bytes(connection)):
        return connection
    connection.close()
    write_anew(path, lambda beside: _opened(beside, migrations, is_shared).close())
    return _opened(path, migrations, is_shared)


def _opened(path: Path, migrations: Sequence[Migration], is_shared: bool) -> duckdb.DuckDBPyConnection:
    is_new = not any(os.path.exists(file) and os.path.getsize(file) for file in (path, f"{path}.wal"))
    try:
        connection = duckdb.connect(str(path), config=_configuration(is_shared))
    except duckdb.Error as error:
        raise _not_opened(path, error) from error
    try:
        _lock(connection, path, is_shared)
        _migrate(connection, path, migrations, is_new)
    except BaseException as error:
        connection.close()
        if isinstance(error, duckdb.Error):
            raise _not_opened(path, error) from error
        raise
    return connection


def _configuration(is_shared: bool) -> dict[str, Any]:
    """Set before anything in the file is looked at: what is defined in it reads and writes no other file."""
    configuration = {
        # One thread per query keeps the other core for the model; queries here are small.
        "threads": "1",
        "async_threads": "1",  # else eight more of each project, which wait for a remote file system
        "memory_limit": "2GB",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "checkpoint_threshold": "1TB",  # never by itself
    }
    if is_shared:
        configuration["enable_external_access"] = "false"
    return configuration


def _lock(connection: duckdb.DuckDBPyConnection, path: Path, is_shared: bool) -> None:
    """Let nothing be set any more. By itself, so that a second opening in this process is told from the first."""
    if not is_shared:  # DuckDB takes the one folder that copies go to only while access is not yet shut off
        folder = str(path.parent.absolute()).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{folder}']")
        connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _not_opened(path: Path, error: duckdb.Error) -> StoreError | ProjectInUse | DiskFull:
    """Why DuckDB did not open the file, for people."""
    if is_open_here(error):
        return ProjectInUse(
            f"The project file {path} is already open in this process; use that one, or close it first.",
            pid=os.getpid(),
        )
    if is_disk_full(error):
        return disk_full(path)
    pid = holder_of(error)
    if pid is not None:
        return ProjectInUse(
            f"The project file {path} is open in another process (number {pid}), probably a running studio. "
            "Use that studio, or stop it first with Ctrl-C in its terminal.",
            pid=pid,
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return StoreError(
            f"The project file {path} cannot be written, and so not opened: give this user permission to write there, "
            "or copy the folder of projects to another place and set TIDAL_HOME to that."
        )
    return StoreError(
        f"The project file {path} cannot be opened, so it is damaged or of another program. Move its folder elsewhere "
        f"and restore a backup of the project. DuckDB says: {error}"
    )


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, migrations: Sequence[Migration], is_new: bool) -> None:
    cursor = connection.cursor()
    try:
        done = 0 if is_new else step_of(cursor, migrations)
    except StoreError as error:
        raise StoreError(
            f"The project file {path} {error}: nothing of it was run. Restore a snapshot of the project from somebody "
            "you trust."
        ) from error
    if done > len(migrations):
        raise SchemaTooNew(
            f"The project file {path} was written by a newer version of TiDAL Studio (its tables are at step {done}, "
            f"this version knows {len(migrations)}). Update the studio to open it."
        )
    cursor.execute(MIGRATIONS_TABLE)
    for number, migration in enumerate(migrations, start=1):
        if number <= done:
            continue
        cursor.execute("BEGIN")
        try:
            for statement in migration.statements:
                cursor.execute(statement)
            cursor.execute("INSERT INTO migrations VALUES (?, ?, now() AT TIME ZONE 'UTC')", [number, migration.name])
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            raise
    cursor.close()
