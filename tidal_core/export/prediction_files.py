"""Tables that are written a block at a time, in the format that the file's name ends with."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tidal_core.errors import InputError
from tidal_core.text import SpreadsheetRows


class TableFile(ABC):
    """A file that takes the rows of a table, block by block."""

    @abstractmethod
    def write(self, block: pa.Table) -> None:
        """Append rows."""


class _Parquet(TableFile):
    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def write(self, block: pa.Table) -> None:
        self._writer.write_table(block)


class _Csv(TableFile):
    def __init__(self, rows: SpreadsheetRows) -> None:
        self._rows = rows

    def write(self, block: pa.Table) -> None:
        columns = [column.to_pylist() for column in block.columns]
        self._rows.writerows(zip(*columns, strict=True))


class _JsonLines(TableFile):
    def __init__(self, append: Callable[[str], object]) -> None:
        self._append = append

    def write(self, block: pa.Table) -> None:
        for row in block.to_pylist():
            self._append(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[TableFile]:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield _Parquet(writer)


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[TableFile]:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = SpreadsheetRows(file)
        rows.writerow(schema.names)
        yield _Csv(rows)


@contextmanager
def _json_lines(path: Path, schema: pa.Schema) -> Iterator[TableFile]:
    with path.open("w", encoding="utf-8") as file:
        yield _JsonLines(file.write)


_WRITERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
ENDINGS = tuple(_WRITERS)


def check_ending(target: Path) -> None:
    """Raises InputError for a name that ends like none of ENDINGS."""
    if target.suffix.lower() not in _WRITERS:
        *others, last = ENDINGS
        raise InputError(
            f"{target.name!r} does not end like a format of tables; choose a name that ends with "
            f"{', '.join(others)} or {last}."
        )


@contextmanager
def table_file(path: Path, schema: pa.Schema, ending: str) -> Iterator[TableFile]:
    """The file ``path`` in the format of an ``ending``, one of ENDINGS: what is written beside its target."""
    with _WRITERS[ending.lower()](path, schema) as file:
        yield file
