"""A folder of images with tables that name them: the tables say the labels, the folder says what there is.

Such a table is taken by itself where the folders say no classes, and where tables that name the same images agree; else
it is offered, and a person chooses. Images that no table names come in without a label, and one line says how many.
Kaggle's sample submissions, which name images and hold no answers, are passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tidal_core.errors import InputError
from tidal_core.images.importers.base import FoundImage, ImportOptions, Scan
from tidal_core.images.importers.folder import FolderImporter, folders_in
from tidal_core.images.importers.guess import looks_like_a_path
from tidal_core.images.importers.table import SUFFIXES, Table, open_table
from tidal_core.records import ImportProblem

_MOST_TABLES = 50  # looked at in one folder
_NO_CLASS = re.compile(
    r"(?:^|[\W_\d])(train|training|test|testing|val|valid|validation|eval|dev|images?|imgs?|photos?|pictures|data|"
    r"jpe?gs?|pngs?|csv|labels?|annotations?|unlabell?ed)(?:$|[\W_\d])",
    re.IGNORECASE,
)
_NO_ANSWERS = ("submission", "sample_sub")


@dataclass(frozen=True)
class TableOffer:
    """A table in a folder whose first rows name images of it."""

    path: Path
    found: int  # of the rows that were looked at, those whose image is there
    looked_at: int
    labels: str  # where its labels are, in words; "" where it has none

    def in_words(self, root: Path) -> str:
        """ "labels.csv (12 of 12 names found; labels: the column 'breed')"."""
        name = self.path.relative_to(root).as_posix() if self.path.is_relative_to(root) else self.path.name
        return f"{name} ({self.found:,} of {self.looked_at:,} names found; labels: {self.labels or 'none'})"


class FolderTableImporter:
    """A folder whose labels are in tables that lie in it."""

    name = "folder with a table"

    def sniff(self, source: str) -> bool:
        """Whether the folders say no classes and tables in it do."""
        root = Path(os.path.abspath(os.path.expanduser(source)))
        if not root.is_dir():
            return False
        offers = [offer for offer in offered_tables(root) if offer.labels]
        return bool(offers) and not _has_class_folders(root) and _agreeing(offers, ImportOptions()) is not None

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the tables. Raises InputError when the table that a person named is not there or cannot be read."""
        root = Path(os.path.abspath(os.path.expanduser(source)))
        if options.table:
            path = root / options.table
            if not path.is_file():
                raise InputError(f"there is no table {options.table!r} in {root}; give its name within the folder.")
            tables = {path: _opened(path, root, options)}
        else:
            offers = [offer for offer in offered_tables(root, options) if offer.labels]
            tables = _agreeing(offers, options) or {}
        first = next(iter(tables.values()), None)
        if first is None:
            raise InputError(
                f"the tables in {root} do not agree on labels; choose one in the preview, or with --table."
            )
        items = _merged(root, tables, options)
        return Scan(str(root), self.name, items, title=root.name, columns=first.columns, table=first.facts)


def offered_tables(root: Path, options: ImportOptions | None = None) -> list[TableOffer]:
    """The tables in a folder, and in its folders, of whose first rows at least half name images that are there."""
    options = options or ImportOptions()
    offers = []
    for path in _tables(root):
        try:
            table = _opened(path, root, options)
        except InputError:
            continue
        cells = [str(row.get(table.columns.image or "") or "").strip() for row in table.rows.samples]
        there = sum(table.resolver.find(cell)[0] is not None for cell in cells if cell)
        if there and 2 * there >= len(cells):
            offers.append(TableOffer(path, there, len(cells), table.columns.labels_in_words))
    return offers


def _tables(root: Path) -> list[Path]:
    """Text tables in a folder and one level below, those nearer to it first."""
    folders = [root, *folders_in(root)]
    tables: list[Path] = []
    for folder in folders[:_MOST_TABLES]:
        try:
            tables += sorted(
                path
                for path in folder.iterdir()
                if path.suffix.lower() in SUFFIXES
                and path.is_file()
                and not path.name.startswith(".")
                and not any(word in path.name.lower() for word in _NO_ANSWERS)
            )
        except OSError:
            continue  # the folder importer names it
    return tables[:_MOST_TABLES]


def _opened(path: Path, root: Path, options: ImportOptions) -> Table:
    """A table of the folder; its images are in the folder of a split that it lies in, else anywhere in the folder."""
    apart = options.images is None and path.parent != root
    table = open_table(path, options)
    if apart and not any(looks_like_a_path(name) for name in table.resolver.index.paths):
        return open_table(path, replace(options, images=root))
    return table


def _has_class_folders(root: Path) -> bool:
    """Whether at least two folders of the first level, or below splits, are called like classes."""
    try:
        classes = FolderImporter().scan(str(root), ImportOptions()).classes
    except InputError:
        return False
    return sum(_NO_CLASS.search(found_class.name) is None for found_class in classes) > 1


def _agreeing(offers: list[TableOffer], options: ImportOptions) -> dict[Path, Table] | None:
    """Tables that name different images, or the same with the same labels; None where two contradict each other."""
    if len(offers) == 1:
        return {offers[0].path: open_table(offers[0].path, options)}
    said: dict[str, str | None] = {}
    tables: dict[Path, Table] = {}
    for offer in sorted(offers, key=lambda offer: len(offer.path.parts)):
        table = open_table(offer.path, options)
        images = {item.uri: item.label for item in table.items() if isinstance(item, FoundImage)}
        if any(uri in said and said[uri] != label for uri, label in images.items()):
            return None
        if images.keys() - said.keys():
            tables[offer.path] = open_table(offer.path, options)  # counts what it finds anew
        said |= images
    return tables or None


def _merged(root: Path, tables: dict[Path, Table], options: ImportOptions) -> Iterator[FoundImage | ImportProblem]:
    """What the tables name, then the images of the folder that they do not name."""
    names = {path.relative_to(root).as_posix() for path in tables}
    found = list(FolderImporter().scan(str(root), options).items)
    there = {item.uri: item for item in found if isinstance(item, FoundImage)}
    named: set[str] = set()
    for table in tables.values():
        for item in table.items():
            if isinstance(item, FoundImage) and item.uri in there:
                named.add(item.uri)
                of_folder = there[item.uri]
                item = replace(item, name=of_folder.name, split=item.split or of_folder.split)
            yield item
    if len(named) < len(there):
        yield ImportProblem(
            ", ".join(path.name for path in tables),
            f"{len(named):,} of the {len(there):,} images there are named; the others were read without a label",
            "add them to the table and import again, or label them here",
        )
    for entry in found:
        if isinstance(entry, ImportProblem):
            if entry.name not in names:
                yield entry
        elif entry.uri not in named:
            yield replace(entry, label=None)
