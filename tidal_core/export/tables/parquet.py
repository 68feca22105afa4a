"""Parquet: the same tables as CSV with their types, and with the vectors p and td and the recorded curves."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from tidal_core.export.tables.addresses import addressed, rows_with_images
from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on, round_of, table_of
from tidal_core.files import replaced
from tidal_core.projects import Project


class ParquetExporter:
    """Labels, history, predictions or curves as one Parquet file.

    The schema's metadata holds ``tidal_classes``: JSON, class names of now in the order of dense vectors (the round's),
    and ``tidal_class_ids``, their ids. Of a round also ``tidal_classes_then``, the names that it was made with, and
    ``tidal_classes_note``, what has changed since.
    """

    name = "parquet"
    title = "Parquet (pandas, DuckDB, Polars), with vectors and curves"
    for_whom = "For pandas, Polars and DuckDB: the same with types."
    suffix = ".parquet"
    whats: tuple[What, ...] = ("labels", "history", "predictions", "curves")
    from_store = True

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Write the table that was asked for."""
        table = table_of(project, options)
        classes = {record.id: record.name for record in project.store.classes.all(include_retired=True)}
        ids, then = list(classes), dict[str, str]()
        if options.what in {"predictions", "curves"}:
            record = project.store.rounds.get(round_of(project, options))
            ids, named = list(record.class_ids), project.store.classes.then_and_now(record)[0]
            then = {
                "tidal_classes_then": json.dumps([named[class_id].name for class_id in ids]),
                "tidal_classes_note": project.store.classes.names_told(record),
            }
        metadata = {
            **then,
            "tidal_classes": json.dumps([classes[class_id] for class_id in ids]),
            "tidal_class_ids": json.dumps(ids),
            **(table.schema.metadata or {}),
        }
        with addressed(project, target, options, rows_with_images(options, table)) as addresses:
            table = addresses.in_table(table).replace_schema_metadata(metadata)
            with replaced(target) as beside:
                pq.write_table(table, beside, compression="zstd")
        notes = (addresses.note, note_on(project, options, table))
        return ExportReport(target, table.num_rows, tuple(addresses.problems), " ".join(filter(None, notes)))
