"""Labels and predictions as files of other programs: one exporter per file.

Add here: a format as a file of its own, and a line in ``EXPORTERS``.
"""

from __future__ import annotations

import os
from pathlib import Path

from tidal_core.errors import InputError
from tidal_core.export.tables.base import Exporter, ExportOptions, ExportReport
from tidal_core.export.tables.coco import CocoExporter
from tidal_core.export.tables.csv import CsvExporter
from tidal_core.export.tables.fiftyone import FiftyOneExporter
from tidal_core.export.tables.hugging_face import HuggingFaceExporter
from tidal_core.export.tables.image_folder import ImageFolderExporter, ZipExporter
from tidal_core.export.tables.label_studio import LabelStudioExporter
from tidal_core.export.tables.parquet import ParquetExporter
from tidal_core.projects import Project

EXPORTERS: tuple[Exporter, ...] = (
    CsvExporter(),
    ParquetExporter(),
    ImageFolderExporter(),
    ZipExporter(),
    HuggingFaceExporter(),
    CocoExporter(),
    LabelStudioExporter(),
    FiftyOneExporter(),
)


def find_exporter(target: Path, name: str | None = None) -> Exporter:
    """The exporter of a name, else of the target's suffix. Raises InputError with those that there are.

    Raises it also where the target ends like another format: a file never holds what its name does not say.
    """
    ends_like = next((kind for kind in EXPORTERS if kind.suffix and target.name.lower().endswith(kind.suffix)), None)
    chosen = ends_like if name is None else next((exporter for exporter in EXPORTERS if exporter.name == name), None)
    if chosen is not None:
        if ends_like not in (None, chosen):
            asked = f"the format asked for is {chosen.name}" if chosen.suffix else f"{chosen.name} is a folder"
            ending = f"that ends with {chosen.suffix}" if chosen.suffix else "without an ending"
            raise InputError(
                f"{target.name!r} ends like {ends_like.name}, and {asked}; choose a name {ending}, or omit --format."
            )
        return chosen
    known = ", ".join(exporter.name for exporter in EXPORTERS)
    if name is not None:
        raise InputError(f"there is no export format {name!r}; choose one of: {known}.")
    raise InputError(f"{target.name!r} does not end like a known format; add --format with one of: {known}.")


def export(
    project: Project, target: Path, name: str | None = None, options: ExportOptions | None = None
) -> ExportReport:
    """Write the project's labels to ``target``. Raises InputError for what cannot be written, or exists already."""
    options = options or ExportOptions()
    exporter, target = checked(target, name, options)
    return exporter.write(project, target, options)


def checked(target: Path, name: str | None, options: ExportOptions) -> tuple[Exporter, Path]:
    """The exporter for ``target`` and its full path. Raises InputError for what cannot be written, or exists."""
    exporter = find_exporter(target, name)
    if options.what not in exporter.whats:
        able = ", ".join(candidate.name for candidate in EXPORTERS if options.what in candidate.whats)
        raise InputError(f"{exporter.name} cannot hold {options.what}; choose one of: {able}.")
    target = Path(target).expanduser().absolute()
    is_folder = os.path.isdir(target)  # unlike Path.is_dir never an error, whatever the name
    if is_folder and (exporter.suffix or any(target.iterdir())):
        raise InputError(f"{target} is a folder that exists already; choose another name.")
    if os.path.exists(target) and not is_folder and not options.overwrite:
        raise InputError(f"{target} already exists; choose another name, or replace it with --overwrite.")
    return exporter, target
