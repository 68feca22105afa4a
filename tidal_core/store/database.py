"""One DuckDB file, one process that owns it, one connection with a cursor per use, one write lock.

A connection object shared by threads silently returned wrong rows (measured: 84 of 1,200), so every read and every
write gets a cursor of its own; writers conflict, so they take turns. A write is a transaction that has been committed
when its ``with`` block is left: whoever is told afterwards is told the truth.

DuckDB changes what its file refers to in a checkpoint and at no other time: between two, commits go to the write-ahead
log beside it. Checkpoints are therefore made here and not by DuckDB as it likes: while none is made, the file can be
copied as it lies and labels go on being stored (``snapshot``).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from tidal_core.errors import ProjectClosed, ProjectInUse, SchemaTooNew, StoreError
from tidal_core.store.catalog import MIGRATIONS_TABLE, step_of
from tidal_core.store.duckdb_texts import holder_of, is_open_here
from tidal_core.store.migrations import MIGRATIONS, Migration

logger = logging.getLogger(__name__)

Params = Sequence[object]

# Windows lets nobody open what DuckDB has open: there a snapshot is a copy beside the file, which DuckDB makes.
_SECOND_HANDLE = sys.platform != "win32"

LOG_AT_MOST = 16 << 20  # bytes of write-ahead log before a commit folds it into the file
CHECKPOINT_WAIT_SECONDS = 5.0  # for queries that keep a checkpoint from being made; writes wait as long


class Database:
    """An open project file.

    Raises ProjectInUse when another process has it, SchemaTooNew for a newer file, and StoreError for one that is
    damaged or defines what this studio did not make (see ``catalog``).
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._migrations = migrations
        self._write_lock = threading.RLock()
        self._closed = False
        self._still = False  # a snapshot is being read: no checkpoint until it ends
        self._due = False  # a checkpoint was asked for and could not be made yet
        self._changes = threading.Condition(self._write_lock)  # of _still and _closed
        self._reading = threading.Lock()  # held for one read of a snapshot, and for the moment of closing
        self._readers = 0  # queries under way: the file is closed after their end
        self._ended = 0  # queries that have ended since the file was opened
        self._reader_left = threading.Condition()  # of _readers and _ended, and of _closed for those that begin
        is_new = not any(os.path.exists(file) and os.path.getsize(file) for file in (path, f"{path}.wal"))
        try:
            self._connection = duckdb.connect(str(path), config=self._configuration())
        except duckdb.IOException as error:
            raise self._in_use(error) from error
        except duckdb.Error as error:
            raise self._unusable(error) from error
        try:
            self._shut()
            self._migrate(is_new)
        except BaseException as error:
            self._connection.close()
            if not isinstance(error, duckdb.Error):
                raise
            if is_open_here(error):
                raise ProjectInUse(
                    f"The project file {path} is already open in this process; use that one, or close it first.",
                    pid=os.getpid(),
                ) from error
            raise self._unusable(error) from error
        # Opened once and kept. POSIX takes a process's lock off a file when the process closes *any* handle of it, and
        # that lock is what keeps other processes from opening the project. Last, because an opening that fails (the
        # file is open in this process already) must not open and close one.
        self._handle = None
        self._copy = path.absolute().with_name(f".{path.name}.copy")
        if _SECOND_HANDLE and str(path) != ":memory:":
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._close_handle = weakref.finalize(self, os.close, self._handle)

    def _configuration(self) -> dict[str, Any]:
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
        if _SECOND_HANDLE:
            configuration["enable_external_access"] = "false"
        return configuration

    def _shut(self) -> None:
        """Let nothing be set any more. By itself, so that a second opening in this process is told from the first."""
        if not _SECOND_HANDLE:  # DuckDB takes the one folder that copies go to only while access is not yet shut off
            folder = str(self.path.parent.absolute()).replace("'", "''")
            self._connection.execute(f"SET allowed_directories = ['{folder}']")
            self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _unusable(self, error: duckdb.Error) -> StoreError:
        reason = str(error).partition("\n")[0][:300]
        return StoreError(f"The project file {self.path} is damaged ({reason}); restore a snapshot of the project.")

    def _in_use(self, error: duckdb.IOException) -> StoreError | ProjectInUse:
        pid = holder_of(error)
        if pid is None:
            return StoreError(f"The project file {self.path} cannot be opened: {error}")
        return ProjectInUse(
            f"The project file {self.path} is open in another process (number {pid}), probably a running studio. "
            "Use that studio, or stop it first with Ctrl-C in its terminal.",
            pid=pid,
        )

    def _migrate(self, is_new: bool) -> None:
        cursor = self._connection.cursor()
        try:
            done = 0 if is_new else step_of(cursor, self._migrations)
        except StoreError as error:
            raise StoreError(
                f"The project file {self.path} {error}: nothing of it was run. Restore a snapshot of the project from "
                "somebody you trust."
            ) from error
        if done > len(self._migrations):
            raise SchemaTooNew(
                f"The project file {self.path} was written by a newer version of TiDAL Studio (its tables are at "
                f"step {done}, this version knows {len(self._migrations)}). Update the studio to open it."
            )
        cursor.execute(MIGRATIONS_TABLE)
        for number, migration in enumerate(self._migrations, start=1):
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

    @property
    def schema(self) -> int:
        """How many of the migrations the file has."""
        return int(self.value("SELECT coalesce(max(number), 0) FROM migrations"))

    def _closed_error(self) -> ProjectClosed:
        return ProjectClosed(
            f"The project file {self.path} was closed: the studio is stopping, or another one opened the project. "
            "Reload the page, or start the studio again."
        )

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own; closing the file waits for the block's end. Raises ProjectClosed once it is closed."""
        with self._reader_left:
            if self._closed:
                raise self._closed_error()
            self._readers += 1
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        finally:
            with self._reader_left:
                self._readers -= 1
                self._ended += 1
                self._reader_left.notify_all()

    @contextmanager
    def moment(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """As ``reading``, in a transaction: every query in the block sees the file as it was at the first one."""
        with self.reading() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")  # nothing was written

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.reading() as cursor:
            return cursor.execute(sql, list(params)).fetchall()

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
        with self.reading() as cursor:
            return cursor.execute(sql, list(params)).fetchnumpy()

    def arrow(self, sql: str, params: Params = ()) -> pa.Table:
        """A query as an Arrow table, for exports of many rows."""
        with self.reading() as cursor:
            return cursor.sql(sql, params=list(params)).to_arrow_table()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside a transaction; committed when the block is left, rolled back when it raises.

        Raises ProjectClosed once the file is closed. Not reentrant: a write within a write is refused by DuckDB as two
        transactions in conflict.
        """
        with self._write_lock:
            if self._closed:
                raise self._closed_error()
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
            if self._log_bytes() > LOG_AT_MOST:
                try:
                    self.checkpoint(wait_seconds=0)
                except duckdb.Error as error:
                    # What was written is committed all the same; the next write tries again.
                    logger.warning("The write-ahead log of %s could not be folded into it: %s", self.path, error)

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}.wal").st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, wait_seconds: float | None = None) -> bool:
        """Fold the write-ahead log into the file: at the end of a round. Returns whether that was done.

        Put off while a snapshot is read, until that ends. DuckDB refuses it while a query runs that began before a row
        was changed: such queries are waited for (``CHECKPOINT_WAIT_SECONDS`` unless told otherwise), after that it is
        put off until the next checkpoint, or until the file is closed. Raises ProjectClosed once the file is closed.
        """
        with self._write_lock:
            if self._closed:
                raise self._closed_error()
            self._due = True
            if not self._still:
                self._due = not self._fold(CHECKPOINT_WAIT_SECONDS if wait_seconds is None else wait_seconds)
            return not self._due

    def _fold(self, wait_seconds: float) -> bool:
        """CHECKPOINT, tried again whenever a query ends; False when it is still refused after ``wait_seconds``."""
        end = time.monotonic() + wait_seconds
        while True:
            with self._reader_left:
                ended = self._ended
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute("CHECKPOINT")
                return True
            except duckdb.TransactionException as error:
                refusal = error
            seconds_left = end - time.monotonic()
            if seconds_left <= 0 or not self._another_ends(ended, seconds_left):
                logger.info("The write-ahead log of %s is folded into it later: %s", self.path, refusal)
                return False

    def _another_ends(self, ended: int, wait_seconds: float) -> bool:
        """Wait until more than ``ended`` queries have ended; whether they have."""
        with self._reader_left:
            return self._reader_left.wait_for(lambda: self._ended > ended, wait_seconds)

    def snapshot(self, wait_seconds: float = 60.0) -> Snapshot:
        """The file as it is now, to be read while labels go on coming in. Close it, or the log grows for ever.

        One at a time: raises StoreError when another one is not closed within ``wait_seconds``, or when a long query
        does not let the log be folded in; ProjectClosed once the file is closed.
        """
        with self._changes:
            if not self._changes.wait_for(lambda: not self._still or self._closed, wait_seconds):
                raise StoreError(f"The project file {self.path} is already being copied; try again in a moment.")
            if self._closed or str(self.path) == ":memory:":
                raise self._closed_error()
            try:
                if not self.checkpoint():
                    raise StoreError(
                        f"The project file {self.path} cannot be copied while a long query reads it; try again in a "
                        "moment."
                    )
                if not _SECOND_HANDLE:
                    self._handle = self._copied()
            except duckdb.Error as error:
                raise StoreError(f"The project file {self.path} cannot be copied: {error}") from error
            assert self._handle is not None  # one of both ways has opened it
            self._still = True
            return Snapshot(self, os.fstat(self._handle).st_size)

    def _copied(self) -> int:
        """What the file holds now in another one, open to be read. The caller keeps others from writing."""
        self._drop_copy()
        cursor = self._connection.cursor()
        cursor.execute("ATTACH '{}' AS copied".format(str(self._copy).replace("'", "''")))
        try:
            name = str(self.value("SELECT current_database()")).replace('"', '""')
            cursor.execute(f'COPY FROM DATABASE "{name}" TO copied')
            cursor.execute("CHECKPOINT copied")
        finally:
            cursor.execute("DETACH copied")
        return os.open(self._copy, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _drop_copy(self) -> None:
        if not _SECOND_HANDLE:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
            self._copy.unlink(missing_ok=True)

    def read_still(self, start: int, n: int) -> bytes:
        """Up to n bytes of the file, for a snapshot. Raises ProjectClosed once it is closed."""
        with self._reading:
            if self._closed or self._handle is None:
                raise self._closed_error()
            os.lseek(self._handle, start, os.SEEK_SET)
            return os.read(self._handle, n)

    def release(self) -> None:
        """End a snapshot: make the checkpoint that waited for it."""
        with self._changes:
            self._still = False
            with self._reading:
                self._drop_copy()
            self._changes.notify()
            if self._due and not self._closed:
                self.checkpoint()

    def close(self) -> None:
        """Checkpoint and let the file go; a snapshot that is being read ends with an error. Twice does nothing.

        Queries under way are waited for: closed beneath one, DuckDB answers it with errors of its own, or worse.
        """
        with self._changes, self._reading:
            if not self._closed:
                self._let_go()
                self._changes.notify_all()

    def _let_go(self) -> None:
        with self._reader_left:
            self._closed = True
            self._reader_left.notify_all()
            self._reader_left.wait_for(lambda: self._readers == 0)
        self._connection.close()
        if _SECOND_HANDLE and self._handle is not None:
            self._close_handle()
        self._drop_copy()


class Snapshot:
    """A project's file at one moment: whole by itself, and the same until it is closed. ``size`` is in bytes."""

    def __init__(self, database: Database, size: int) -> None:
        self._database = database
        self._open = True
        self.size = size

    def chunks(self, n: int = 1 << 20) -> Iterator[bytes]:
        """All of it, n bytes at a time. Raises ProjectClosed when the project is closed meanwhile."""
        for start in range(0, self.size, n):
            yield self._database.read_still(start, min(n, self.size - start))

    def close(self) -> None:
        """Let checkpoints be made again. Closing twice does nothing."""
        if self._open:
            self._open = False
            self._database.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
