"""Bulk inserts as Arrow columns: row-wise inserts manage 1,500 rows a second, columns millions of numbers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tidal_core.records import Float32, Int64


def utc_now() -> datetime:
    """Now as naive UTC, the only kind of time stamp in the store."""
    return datetime.now(UTC).replace(tzinfo=None)


_STARTED, _STARTED_AT = datetime.now(UTC).replace(tzinfo=None), time.monotonic()


def steady_utc_now() -> datetime:
    """As ``utc_now`` when this process began, and as much later as has passed since, whoever sets the clock.

    For leases, which begin and end in one process: a step of the clock neither ends nor prolongs them.
    """
    return _STARTED + timedelta(seconds=time.monotonic() - _STARTED_AT)


def first_row(cursor: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] = ()) -> tuple[Any, ...] | None:
    """The first row of a query in a transaction; fetched to the end, an unfinished result would block the cursor."""
    rows = cursor.execute(sql, list(params)).fetchall()
    return rows[0] if rows else None


def note_shared(cursor: duckdb.DuckDBPyConnection, image_ids: Iterable[int]) -> None:
    """Note which of some images more than one person has labelled or skipped by now: the consensus looks at these.

    For every writer of such answers, in its transaction. An image stays noted when an answer is taken back.
    """
    cursor.execute(
        """
        INSERT INTO shared_images
        SELECT image_id FROM answers
        WHERE image_id IN (SELECT unnest(?::INTEGER[])) AND kind IN ('label', 'skip')
            AND image_id NOT IN (SELECT image_id FROM shared_images)
        GROUP BY image_id HAVING min(annotator) <> max(annotator) ORDER BY image_id
        """,
        [[int(image_id) for image_id in image_ids]],
    )


def insert(cursor: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Any]) -> None:
    """Append columns to a table, inside the caller's transaction. Names come from this package, never from people."""
    insert_table(cursor, table, pa.table(dict(columns)))


def insert_table(cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append rows to a table as ``insert`` does."""
    cursor.register("insert_source", rows)
    names = ", ".join(rows.column_names)
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM insert_source")
    cursor.unregister("insert_source")


def float_lists(values: Float32) -> pa.FixedSizeListArray | pa.ListArray:
    """(N, K) float32 as an Arrow column of N lists, without copying the numbers one by one."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    n, k = values.shape
    return pa.ListArray.from_arrays(_offsets(n, k), pa.array(values.ravel()))


def int_lists(values: Int64) -> pa.ListArray:
    """(N, K) integers as an Arrow column of N lists of int32."""
    flat = np.ascontiguousarray(values, dtype=np.int32)
    n, k = flat.shape
    return pa.ListArray.from_arrays(_offsets(n, k), pa.array(flat.ravel()))


def _offsets(n: int, k: int) -> pa.Array:
    return pa.array(np.arange(n + 1, dtype=np.int32) * np.int32(k))
