"""What an importer found, sorted into images and problems."""

from pathlib import Path

from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions
from tidal_core.records import ImportProblem


def listed(source: Path, columns: Columns | None = None) -> tuple[list[FoundImage], list[ImportProblem]]:
    options = ImportOptions(workspace=source.parent / "workspace", columns=columns or Columns())
    items = list(scan(str(source), options).items)
    images = [item for item in items if isinstance(item, FoundImage)]
    return images, [item for item in items if isinstance(item, ImportProblem)]
