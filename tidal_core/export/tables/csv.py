"""CSV: plain UTF-8, one header line, times as ISO 8601 in UTC, nothing that a spreadsheet would run.

Vectors are left out (Parquet has them): a cell holds one value.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on, table_of
from tidal_core.files import replaced
from tidal_core.projects import Project
from tidal_core.text import SpreadsheetRows


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
        with replaced(target) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            rows = SpreadsheetRows(file)
            rows.writerow(table.column_names)
            for batch in table.to_batches(max_chunksize=10_000):
                columns = [column.to_pylist() for column in batch.columns]
                rows.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
        return ExportReport(target, table.num_rows, note=note_on(project, options, table))


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return value
