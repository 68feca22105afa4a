"""CSV: plain UTF-8, one header line, times as ISO 8601 in UTC, nothing that a spreadsheet would run.

A cell that begins like a formula gets an apostrophe before it, and the report says so; ``ExportOptions.plain`` leaves
cells as they are. Vectors are left out (Parquet has them): a cell holds one value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from tidal_core.export.tables.addresses import addressed, rows_with_images
from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on, table_of
from tidal_core.files import replaced
from tidal_core.projects import Project
from tidal_core.text import SpreadsheetRows, spreadsheet_safe

_MISSING_FOR_PANDAS = frozenset(  # texts that pandas.read_csv takes for nothing, unless it is told not to
    {"#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)


class CsvExporter:
    """Labels, history or predictions as one CSV file."""

    name = "csv"
    title = "CSV (spreadsheets, pandas)"
    for_whom = "For spreadsheets and scripts: one row per image."
    suffix = ".csv"
    whats: tuple[What, ...] = ("labels", "history", "predictions")
    from_store = True

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Write the table that was asked for."""
        table = table_of(project, options)
        lists = [field.name for field in table.schema if pa.types.is_list(field.type)]
        table = table.drop_columns(lists) if lists else table
        quoted = 0
        with addressed(project, target, options, rows_with_images(options, table)) as addresses:
            table = addresses.in_table(table)
            with replaced(target) as beside, beside.open("w", encoding="utf-8", newline="") as file:
                rows = _PlainRows(file) if options.plain else SpreadsheetRows(file)
                rows.writerow(table.column_names)
                for batch in table.to_batches(max_chunksize=10_000):
                    columns = [column.to_pylist() for column in batch.columns]
                    quoted += sum(_is_quoted(value) for column in columns for value in column)
                    rows.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
        notes = (
            addresses.note,
            note_on(project, options, table),
            "" if options.plain else _about_quotes(quoted),
            _about_pandas(table),
        )
        return ExportReport(target, table.num_rows, tuple(addresses.problems), " ".join(filter(None, notes)))


class _PlainRows:
    """Rows of cells as they are, each ended by a line feed."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def writerow(self, cells: Iterable[Any]) -> None:
        """One row."""
        self._writer.writerow(cells)

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Many rows."""
        self._writer.writerows(rows)


def _is_quoted(value: Any) -> bool:
    return isinstance(value, str) and spreadsheet_safe(value) != value


def _about_quotes(quoted: int) -> str:
    if not quoted:
        return ""
    return (
        f"{quoted:,} cells begin like a formula: an apostrophe was put before them, so that no spreadsheet runs them "
        "(--plain leaves it out)."
    )


def _about_pandas(table: pa.Table) -> str:
    """Which class names pandas would lose."""
    labels = set(table.column("label").to_pylist()) if "label" in table.column_names else set()
    lost = sorted(label for label in labels if label in _MISSING_FOR_PANDAS)
    if not lost:
        return ""
    names = ", ".join(repr(name) for name in lost)
    return f"pandas takes the name {names} for a missing value, unless it reads with keep_default_na=False."


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return value
