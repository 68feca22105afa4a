"""One DuckDB file, one process that owns it, one connection with a cursor per use, one write lock.

A connection object shared by threads silently returned wrong rows (measured: 84 of 1,200), so every read and every
write gets a cursor of its own; writers conflict, so they take turns. A write is a transaction that has been committed
when its ``with`` block is left: whoever is told afterwards is told the truth.

DuckDB changes what its file refers to in a checkpoint and at no other time: between two, commits go to the write-ahead
log beside it. Checkpoints are therefore made here and not by DuckDB as it likes: while none is made, the file can be
copied as it lies and labels go on being stored (``snapshot``).

A write that finds no room is refused by DuckDB, and nothing has changed: DiskFull. A checkpoint that finds none makes
DuckDB refuse everything from then on, also when there is room again. So it is only begun where there is room for it,
and where that happens all the same (a quota, another program) the file is opened again by whoever leaves it last.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from tidal_core.errors import DiskFull, ProjectClosed, ProjectInUse, StoreError
from tidal_core.files import disk_full
from tidal_core.store.duckdb_texts import is_disk_full
from tidal_core.store.migrations import MIGRATIONS, Migration
from tidal_core.store.opening import open_file

logger = logging.getLogger(__name__)

Params = Sequence[object] | Mapping[str, object]
"""In place of each ``?`` in turn, or of ``$name`` by name."""

# Windows lets nobody open what DuckDB has open: there a snapshot is a copy beside the file, which DuckDB makes.
_SECOND_HANDLE = sys.platform != "win32"

HEAD_BYTES = 3 * 4096  # with which every file of DuckDB begins; a smaller one was never written whole
LOG_AT_MOST = 16 << 20  # bytes of write-ahead log before a commit folds it into the file
CHECKPOINT_WAIT_SECONDS = 5.0  # for queries that keep a checkpoint from being made; writes wait as long
OPEN_AGAIN_WAIT_SECONDS = 5.0  # for queries on a connection that refuses everything, to end before another is opened
CHECKPOINT_ROOM = 1 << 20  # bytes that a checkpoint takes on the disk beside twice its log, at most: whole blocks


def _given(params: Params) -> list[object] | dict[str, object]:
    return dict(params) if isinstance(params, Mapping) else list(params)


class Database:
    """An open project file.

    Raises ProjectInUse when another process has it, SchemaTooNew for a newer file, DiskFull where there is no room for
    one, and StoreError for one that is damaged, cannot be written, or defines what this studio did not make (see
    ``catalog``).
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._migrations = migrations
        self._write_lock = threading.RLock()
        self.commits = 0  # writes of this process since the file was opened: who remembers rows looks at it
        self._closed = False
        self._still = False  # a snapshot is being read: no checkpoint until it ends
        self._due = False  # a checkpoint was asked for and could not be made yet
        self._why_due: StoreError | DiskFull | None = None  # why it could not
        self._log_at_most = 1  # in LOG_AT_MOST: more after a checkpoint that found no room, not to try at each write
        self._changes = threading.Condition(self._write_lock)  # of _still and _closed
        self._reading = threading.Lock()  # held for one read of a snapshot, and for the moment of closing
        self._cursors = 0  # in use: the file is closed, or opened again, after their end
        self._mine = threading.local()  # cursors of each thread, as ``n``
        self._fault: StoreError | DiskFull | None = None  # why DuckDB refuses everything until it is opened again
        self._ended = 0  # queries that have ended since the file was opened
        self._reader_left = threading.Condition()  # of _cursors and _ended, and of _closed for those that begin
        self._connection = open_file(path, migrations, is_shared=_SECOND_HANDLE)
        # Opened once and kept. POSIX takes a process's lock off a file when the process closes *any* handle of it, and
        # that lock is what keeps other processes from opening the project. Last, because an opening that fails (the
        # file is open in this process already) must not open and close one.
        self._handle = None
        self._copy = path.absolute().with_name(f".{path.name}.copy")
        if _SECOND_HANDLE and str(path) != ":memory:":
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._close_handle = weakref.finalize(self, os.close, self._handle)

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
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own, for this block: whoever leaves last opens a file again that refuses everything.

        Who comes while others still leave such a file waits for them, unless one of the others is itself. Raises
        ProjectClosed once the file is closed, DiskFull or StoreError where it cannot be opened again.
        """
        mine = getattr(self._mine, "n", 0)
        with self._reader_left:
            if self._fault is not None and self._cursors and not mine:
                self._reader_left.wait_for(lambda: self._fault is None or not self._cursors, OPEN_AGAIN_WAIT_SECONDS)
            if self._closed:
                raise self._closed_error()
            if self._fault is not None:
                if self._cursors:
                    raise self._fault
                self._open_again()
            self._cursors += 1
        self._mine.n = mine + 1
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except duckdb.Error as error:
            in_words = self._in_words(error)
            if in_words is None:
                raise
            raise in_words from error
        finally:
            self._mine.n = mine
            with self._reader_left:
                self._cursors -= 1
                if self._fault is not None and not self._cursors and not self._closed:
                    with suppress(StoreError, DiskFull, ProjectInUse):  # whoever comes next tries it again, and is told
                        self._open_again()
                self._reader_left.notify_all()

    def _in_words(self, error: duckdb.Error) -> StoreError | DiskFull | None:
        """What people are told of an error that is nobody's mistake; None for any other."""
        if not isinstance(error, duckdb.FatalException):
            return disk_full(self.path) if is_disk_full(error) else None
        with self._reader_left:
            if self._fault is None:
                logger.warning("The project file %s is opened again: %s", self.path, error)
                self._fault = (
                    disk_full(self.path)
                    if is_disk_full(error)
                    else StoreError(f"The project file {self.path} had to be opened again; try once more.")
                )
            return self._fault

    def _open_again(self) -> None:
        """In place of a connection that refuses everything; nobody uses it. What was committed is in the log."""
        self._connection.close()
        self._connection = open_file(self.path, self._migrations, is_shared=_SECOND_HANDLE)
        self._fault = None

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own; closing the file waits for the block's end. Raises ProjectClosed once it is closed."""
        try:
            with self._cursor() as cursor:
                yield cursor
        finally:
            with self._reader_left:
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
                with suppress(duckdb.FatalException):  # the query before has said it
                    cursor.execute("ROLLBACK")  # nothing was written

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.reading() as cursor:
            return cursor.execute(sql, _given(params)).fetchall()

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
            return cursor.execute(sql, _given(params)).fetchnumpy()

    def arrow(self, sql: str, params: Params = ()) -> pa.Table:
        """A query as an Arrow table, for exports of many rows."""
        with self.reading() as cursor:
            return cursor.sql(sql, params=_given(params)).to_arrow_table()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside a transaction; committed when the block is left, rolled back when it raises.

        Raises ProjectClosed once the file is closed, DiskFull where there is no room for what is written. Not
        reentrant: a write within a write is refused by DuckDB as two transactions in conflict.
        """
        with self._write_lock:
            with self._cursor() as cursor:
                cursor.execute("BEGIN")
                try:
                    yield cursor
                    cursor.execute("COMMIT")
                    self.commits += 1
                except BaseException:
                    # A commit that failed has already ended the transaction; its own error is the one to report.
                    with suppress(duckdb.TransactionException, duckdb.FatalException):
                        cursor.execute("ROLLBACK")
                    raise
            if self._log_bytes() > self._log_at_most * LOG_AT_MOST:
                self.checkpoint(wait_seconds=0)

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}.wal").st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, wait_seconds: float | None = None) -> bool:
        """Fold the write-ahead log into the file: at the end of a round. Returns whether that was done.

        Put off while a snapshot is read, until that ends. DuckDB refuses it while a query runs that began before a row
        was changed: such queries are waited for (``CHECKPOINT_WAIT_SECONDS`` unless told otherwise), after that it is
        put off until the next checkpoint, or until the file is closed. So it is where the disk has no room for it:
        everything that was written is safe in the log. Raises ProjectClosed once the file is closed, and nothing else.
        """
        with self._write_lock:
            if self._closed:
                raise self._closed_error()
            self._due = True
            if not self._still:
                self._why_due = self._fold(CHECKPOINT_WAIT_SECONDS if wait_seconds is None else wait_seconds)
                self._due = self._why_due is not None
                if self._why_due is not None:
                    logger.info("The write-ahead log of %s is folded into it later: %s", self.path, self._why_due)
            return not self._due

    def _fold(self, wait_seconds: float) -> StoreError | DiskFull | None:
        """CHECKPOINT, tried again whenever a query ends; why it could not be made, None where it was."""
        end = time.monotonic() + wait_seconds
        self._log_at_most = 1 + 2 * self._log_bytes() // LOG_AT_MOST if LOG_AT_MOST else 1
        if not self._has_room():
            return disk_full(self.path)
        while True:
            with self._reader_left:
                ended = self._ended
            try:
                with self._cursor() as cursor:
                    cursor.execute("CHECKPOINT")
            except duckdb.TransactionException:
                seconds_left = end - time.monotonic()
                if seconds_left <= 0 or not self._another_ends(ended, seconds_left):
                    self._log_at_most = 1
                    return StoreError(
                        f"The project file {self.path} cannot be copied while a long query reads it; try again in a "
                        "moment."
                    )
            except (StoreError, DiskFull) as error:
                return error
            except duckdb.Error as error:
                return StoreError(f"The project file {self.path} cannot be copied: {error}; try again in a moment.")
            else:
                self._log_at_most = 1
                return None

    def _has_room(self) -> bool:
        """Whether the disk has room for a checkpoint, as far as can be told before."""
        try:
            return shutil.disk_usage(self.path.parent).free >= 2 * self._log_bytes() + CHECKPOINT_ROOM
        except OSError:  # the file in memory; a folder that is gone
            return True

    def _another_ends(self, ended: int, wait_seconds: float) -> bool:
        """Wait until more than ``ended`` queries have ended; whether they have."""
        with self._reader_left:
            return self._reader_left.wait_for(lambda: self._ended > ended, wait_seconds)

    def snapshot(self, wait_seconds: float = 60.0) -> Snapshot:
        """The file as it is now, to be read while labels go on coming in. Close it, or the log grows for ever.

        One at a time: raises StoreError when another one is not closed within ``wait_seconds``, or when a long query
        does not let the log be folded in, DiskFull when there is no room for that; ProjectClosed once the file is
        closed.
        """
        with self._changes:
            if not self._changes.wait_for(lambda: not self._still or self._closed, wait_seconds):
                raise StoreError(f"The project file {self.path} is already being copied; try again in a moment.")
            if self._closed or str(self.path) == ":memory:":
                raise self._closed_error()
            if not self.checkpoint() and self._why_due is not None:
                raise self._why_due
            try:
                if not _SECOND_HANDLE:
                    self._handle = self._copied()
            except duckdb.Error as error:
                raise StoreError(
                    f"The project file {self.path} cannot be copied: {error}; try again in a moment."
                ) from error
            assert self._handle is not None  # one of both ways has opened it
            self._still = True
            return Snapshot(self, os.fstat(self._handle).st_size)

    def _copied(self) -> int:
        """What the file holds now in another one, open to be read. The caller keeps others from writing."""
        self._drop_copy()
        with self._cursor() as cursor:
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
            self._reader_left.wait_for(lambda: self._cursors == 0)
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
