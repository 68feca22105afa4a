"""Images embedded in Parquet files: ``parquet:PATH#ROW/COLUMN``, path and column percent-encoded."""

from __future__ import annotations

import os
import urllib.parse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidal_core.errors import ImageUnreadable, reason_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CELL_BYTES = 100_000_000
TOO_LARGE = f"its cells have more than {MAX_CELL_BYTES // 1_000_000} MB"
BUFFER_BYTES = 1 << 20  # read at a time: else the column of a whole row group is


def read(uri: str, name: str) -> bytes:
    """The bytes of one image, reading no more than its row group. Raises ImageUnreadable."""
    try:
        path, row, column = parquet_place(uri)
    except ValueError:
        raise ImageUnreadable(name, f"{uri!r} names no row of a Parquet file") from None
    return _cell(path, row, column, name)


def parquet_uri(path: Path, row: int, column: str) -> str:
    """The URI of the image in one row and column of a Parquet file."""
    quoted_path = urllib.parse.quote_from_bytes(os.fsencode(os.path.abspath(path)))
    return f"parquet:{quoted_path}#{row}/{urllib.parse.quote(column, safe='')}"


def parquet_place(uri: str) -> tuple[Path, int, str]:
    """File, row and column of a ``parquet:`` URI. Raises ValueError when it is none."""
    quoted_path, _, cell = uri.removeprefix("parquet:").rpartition("#")
    row, _, column = cell.partition("/")
    return Path(os.fsdecode(urllib.parse.unquote_to_bytes(quoted_path))), int(row), urllib.parse.unquote(column)


def plain(column: pa.Array) -> pa.Array:
    """A column with its values in place of numbers of them, so that its size is that of its values."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _cell(path: Path, row: int, column: str, name: str) -> bytes:
    import pyarrow as pa  # a tenth of a second, which projects of photos do without
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
            if column not in file.schema_arrow.names:
                raise ImageUnreadable(
                    name, f"{path} has no column {column!r} any more", "put back the file that was imported"
                )
            first = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if first <= row < first + rows:
                    batch = next(islice(file.iter_batches(1, row_groups=[group], columns=[column]), row - first, None))
                    if batch is None:
                        break
                    cell = plain(batch.column(0))
                    if cell.nbytes > MAX_CELL_BYTES:
                        raise ImageUnreadable(name, TOO_LARGE, "save the image as a file, or smaller")
                    return _bytes(cell[0].as_py(), name)
                first += rows
    except FileNotFoundError:
        raise ImageUnreadable(name, f"the file {path} is not there", "put it back where it was") from None
    except (OSError, MemoryError, pa.ArrowException) as error:
        raise ImageUnreadable(
            name, f"{path} cannot be read ({reason_of(error)})", "put back the file that was imported"
        ) from error
    raise ImageUnreadable(name, f"{path} has no row {row} any more", "put back the file that was imported")


def _bytes(cell: Any, name: str) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise ImageUnreadable(name, "its row holds no image any more", "put back the file that was imported")
    return data
