"""What an import must say loudly: labels were asked for and none came, or some came and were not asked for."""

from __future__ import annotations

import os
from pathlib import Path

from tidal_core.images.importers.base import Scan
from tidal_core.images.importers.folder_table import offered_tables

_COLUMNS_NAMED = 8


def label_notices(scan: Scan, *, asked: bool, images: int, labelled: int) -> tuple[str, ...]:
    """The loud lines of an import of ``images`` of which the source gave ``labelled`` a label."""
    if asked and images and not labelled:
        return (f"Labels were asked for, and none came: {_why_none(scan)}",)
    if not asked and labelled and (scan.columns is not None or scan.importer in ("json", "described folder")):
        where = scan.columns.labels_in_words if scan.columns is not None else ""
        return (
            f"{labelled:,} {'label' if labelled == 1 else 'labels'} {f'in {where} ' if where else ''}"
            f"{'was' if labelled == 1 else 'were'} not imported, as they were to be ignored. To have them, import "
            "again with “Use them as labels” (--labels answers).",
        )
    return ()


def _why_none(scan: Scan) -> str:
    if scan.columns is not None and scan.table is not None:
        words = scan.columns.labels_in_words
        start = f"{words} has none" if words else "no column is called like labels"
        unused = unused_in_words(scan)
        which = f" Not used: {unused}." if unused else ""
        return f"{start}.{which} Name the one with the labels in the preview, or with --label-column."
    root = Path(scan.source)
    offers = [offer for offer in offered_tables(root) if offer.labels] if os.path.isdir(root) else []
    if offers:
        tables = "; ".join(offer.in_words(root) for offer in offers[:3])
        return (
            f"no folder is a class, but a table there names the images: {tables}. Choose it in the preview, or with "
            f"--table {offers[0].path.relative_to(root).as_posix()}."
        )
    return "nothing in it says which class an image has. Label the images here, or import a table that names them."


def unused_in_words(scan: Scan) -> str:
    """The columns that are not read, each with one of its values: "'site' (Rome), 'age' (65)"; offered ones first."""
    if scan.table is None:
        return ""
    offered = set(scan.table.offered)
    unused = sorted(scan.table.unused, key=lambda column: column[0] not in offered)
    words = ", ".join(f"{name!r} ({value or 'empty'})" for name, value in unused[:_COLUMNS_NAMED])
    return words + (f", and {len(unused) - _COLUMNS_NAMED} more" if len(unused) > _COLUMNS_NAMED else "")
