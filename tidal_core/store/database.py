"""One DuckDB file, one process that owns it, one connection with a cursor per use, one write lock.

A connection object shared by threads silently returned wrong rows (measured: 84 of 1,200), so every read and every
write gets a cursor of its own; writers conflict, so they take turns. A write is a transaction that has been committed
when its ``with`` block is left: whoever is told afterwards is told the truth.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tidal_core.errors import ProjectInUse, SchemaTooNew, StoreError
from tidal_core.store.migrations import MIGRATIONS

Params = Sequence[object]


class Database:
    """An open project file. Raises ProjectInUse when another process has it, SchemaTooNew for a newer file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.RLock()
        self._closed = False
        try:
            self._connection = duckdb.connect(
                str(path),
                # One thread per query keeps the other core for the model; queries here are small.
                config={"threads": "1", "memory_limit": "2GB", "autoinstall_known_extensions": "false"},
            )
        except duckdb.IOException as error:
            raise self._in_use(error) from error
        try:
            self._migrate()
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
        except BaseException:
            self._connection.close()
            raise

    def _in_use(self, error: duckdb.IOException) -> StoreError | ProjectInUse:
        holder = re.search(r"PID (\d+)", str(error))
        if holder is None:
            return StoreError(f"The project file {self.path} cannot be opened: {error}")
        pid = int(holder.group(1))
        return ProjectInUse(
            f"The project file {self.path} is open in another process (number {pid}), probably a running studio. "
            f"Use that one, or stop it first (Ctrl-C in its terminal, or: kill {pid}).",
            pid=pid,
        )

    def _migrate(self) -> None:
        cursor = self._connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER, name TEXT, applied_at TIMESTAMP)")
        done = int(self.value("SELECT coalesce(max(number), 0) FROM migrations"))
        if done > len(MIGRATIONS):
            raise SchemaTooNew(
                f"The project file {self.path} was written by a newer version of TiDAL Studio (its tables are at "
                f"step {done}, this version knows {len(MIGRATIONS)}). Update the studio to open it."
            )
        for number, migration in enumerate(MIGRATIONS, start=1):
            if number <= done:
                continue
            cursor.execute("BEGIN")
            try:
                for statement in migration.statements:
                    cursor.execute(statement)
                cursor.execute(
                    "INSERT INTO migrations VALUES (?, ?, now() AT TIME ZONE 'UTC')", [number, migration.name]
                )
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
        cursor.close()

    def read(self, sql: str, params: Params = ()) -> duckdb.DuckDBPyConnection:
        """A cursor of its own with the query executed: fetch from it and let it go."""
        return self._connection.cursor().execute(sql, list(params))

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.read(sql, params).fetchall()

    def row(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None. Fetches to the end: an unfinished result blocks its cursor."""
        rows = self.rows(sql, params)
        return rows[0] if rows else None

    def value(self, sql: str, params: Params = ()) -> Any:
        """The only value of a query that returns one row of one column."""
        row = self.row(sql, params)
        if row is None:
            raise StoreError(f"The query {sql!r} returned no row where one was expected.")
        return row[0]

    def arrays(self, sql: str, params: Params = ()) -> dict[str, Any]:
        """A query as one numpy array per column; for big results of plain numbers."""
        return self.read(sql, params).fetchnumpy()

    def arrow(self, sql: str, params: Params = ()) -> pa.Table:
        """A query as an Arrow table, for exports of many rows."""
        return self._connection.cursor().sql(sql, params=list(params)).to_arrow_table()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside a transaction; committed when the block is left, rolled back when it raises.

        Not reentrant: a write within a write is refused by DuckDB as two transactions in conflict.
        """
        with self._write_lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                # A commit that failed has already ended the transaction; its own error is the one to report.
                with suppress(duckdb.TransactionException):
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file: at the end of a round, before a copy."""
        with self._write_lock:
            self._connection.cursor().execute("CHECKPOINT")

    def close(self) -> None:
        """Checkpoint and let the file go. Closing twice does nothing."""
        with self._write_lock:
            if not self._closed:
                self._closed = True
                self._connection.close()
