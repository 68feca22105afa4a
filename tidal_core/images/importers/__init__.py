"""Where images come from: one importer per file, found by sniffing.

Add here: an importer as a file of its own, and a line in ``IMPORTERS``, before those that take more kinds of sources.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from tidal_core.errors import DISK_FULL, InputError, TidalError, reason_of
from tidal_core.images.importers.archive import ArchiveImporter
from tidal_core.images.importers.base import FoundImage, Importer, ImportOptions, Scan
from tidal_core.images.importers.described import DescribedFolderImporter
from tidal_core.images.importers.digits import DigitsImporter
from tidal_core.images.importers.folder import FolderImporter
from tidal_core.images.importers.folder_table import FolderTableImporter
from tidal_core.images.importers.json_file import JsonImporter
from tidal_core.images.importers.manifest import ManifestImporter
from tidal_core.images.importers.parquet import ParquetImporter
from tidal_core.images.importers.remote import RemoteImporter
from tidal_core.images.importers.table import TableImporter
from tidal_core.images.importers.torchvision_sets import TorchvisionImporter
from tidal_core.images.importers.typed import source_as_typed
from tidal_core.records import ImportProblem

logger = logging.getLogger(__name__)

_DATA_SETS: tuple[Importer, ...] = (ParquetImporter(), DescribedFolderImporter())
_TORCHVISION = TorchvisionImporter()
_FOLDER_TABLE = FolderTableImporter()
_ARCHIVE = ArchiveImporter((*_DATA_SETS, _FOLDER_TABLE))
IMPORTERS: tuple[Importer, ...] = (
    DigitsImporter(),
    RemoteImporter(),
    _TORCHVISION,
    *_DATA_SETS,
    ManifestImporter(),
    TableImporter(),
    JsonImporter(),
    _ARCHIVE,
    _FOLDER_TABLE,
    FolderImporter(),
)
"""In the order in which they are asked: the particular before the general."""

WHAT_CAN_BE_READ = (
    "a folder of images, a zip or tar archive of them, a table that names them (CSV, TSV, JSON, Parquet), or the "
    "address of a folder that begins with s3://, gs:// or https://"
)


def find_importer(source: str, options: ImportOptions | None = None) -> Importer:
    """The importer for a source as ``source_as_typed`` gives it. Raises InputError when there is none."""
    table = options.table if options is not None else None
    try:
        if table and os.path.isdir(source):
            return _FOLDER_TABLE
        for importer in IMPORTERS:
            if importer is _FOLDER_TABLE and table == "":
                continue
            if importer.sniff(source):
                return importer
    except (OSError, RuntimeError) as error:  # longer than any name, of a user that there is not, behind a shut door
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{source[:200]!r} cannot be opened ({reason}); check the name, or give the full path."
        ) from error
    if not os.path.exists(source) and "://" not in source:
        raise InputError(f"there is no file or folder {source!r}; check the name, or give the full path.")
    raise InputError(f"images cannot be read from {source!r}; give {WHAT_CAN_BE_READ}.")


def scan(source: str, options: ImportOptions | None = None) -> Scan:
    """List what a source holds. Raises InputError when it cannot be read at all."""
    source = source_as_typed(source)
    return _scan(find_importer(source, options), source, options)


def _scan(importer: Importer, source: str, options: ImportOptions | None) -> Scan:
    """What an importer lists; whatever its reader meets in a file from elsewhere is an InputError."""
    try:
        return importer.scan(source, options or ImportOptions())
    except TidalError:
        raise
    except Exception as error:  # readers of tables raise nearly everything on broken data
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        logger.warning("A source could not be listed", exc_info=True)
        raise InputError(
            f"{source} cannot be read: it is damaged ({reason_of(error)}); copy or export it again."
        ) from error


def peek(source: str, options: ImportOptions | None = None) -> Iterable[FoundImage | ImportProblem]:
    """The first images of a source, with nothing unpacked to the disk. Raises InputError as ``scan`` does."""
    source = source_as_typed(source)
    importer = find_importer(source, options)
    if importer is _ARCHIVE:
        return _ARCHIVE.peek(source)
    if importer is _TORCHVISION:
        return ()  # a look would cost the download
    return scan(source, options).items
