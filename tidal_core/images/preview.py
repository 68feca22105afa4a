"""What an import would bring, before anything is imported: the first rows, how many images, which classes, what is odd.

The source is listed as the import lists it, with nothing decoded and nothing stored; an archive is looked into without
being unpacked where it holds no table. Pages and ``import --dry-run`` show the same.
"""

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tidal_core import files
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns, ImportOptions, TableFacts
from tidal_core.images.importers.folder_table import TableOffer, offered_tables
from tidal_core.images.importers.rows import read_rows
from tidal_core.images.importers.table import SUFFIXES
from tidal_core.images.importers.torchvision_sets import TorchvisionImporter
from tidal_core.images.importers.typed import source_as_typed
from tidal_core.images.notices import label_notices
from tidal_core.images.reading import open_image
from tidal_core.images.sources import read_uri, uri_path
from tidal_core.records import ImportProblem, Split

ROWS = 10
MOST_LISTED = 200_000  # images; a preview of more says "at least"
MOST_LISTED_FAR = 1_000  # where each folder is asked for over a network
_CLASSES_NAMED = 20
_PROBLEMS_NAMED = 10
_THUMBNAIL = 64  # pixels


@dataclass(frozen=True)
class PreviewRow:
    """One image as it would come in."""

    name: str
    file: str  # where it is, "" where nothing is there
    label: str | None
    split: Split | None
    annotator: str | None


@dataclass(frozen=True)
class Preview:
    """What a source would bring."""

    importer: str
    rows: tuple[PreviewRow, ...]
    images: int  # that are there, or lie elsewhere
    missing: int  # that are named and not there
    classes: tuple[tuple[str, int], ...]  # name and images, the source's order first
    unlabelled: int
    test: int  # images of the test split
    problems: tuple[ImportProblem, ...]
    notices: tuple[str, ...]  # what would be said loudly
    is_whole: bool  # False: there is more than was listed
    how_read: str = ""
    columns: Columns | None = None
    table: TableFacts | None = None
    tables: tuple[TableOffer, ...] = ()  # in a folder, the tables that name its images


def preview(source: str, options: ImportOptions | None = None, *, labels_asked: bool = True) -> Preview:
    """Look at a source as an import would. Raises InputError when it cannot be read."""
    options = options or ImportOptions()
    source = source_as_typed(source)
    if options.workspace is None:
        with files.scratch("preview") as folder:
            return _preview(source, replace(options, workspace=folder), labels_asked)
    return _preview(source, options, labels_asked)


def _preview(source: str, options: ImportOptions, labels_asked: bool) -> Preview:
    if TorchvisionImporter().sniff(source):
        raise InputError(f"{source} would have to be downloaded for a preview; import it without one.")
    listed = scan(source, options)
    rows: list[PreviewRow] = []
    problems = list(listed.label_remarks) if labels_asked else []
    classes = Counter[str]({known.name: 0 for known in listed.classes})
    there, missing = set[str](), 0
    labelled = unlabelled = test = 0
    items = iter(listed.items)
    most = MOST_LISTED if os.path.exists(source) else MOST_LISTED_FAR
    for item in islice(items, most):
        if isinstance(item, ImportProblem):
            problems.append(item)
            continue
        path = uri_path(item.uri)
        is_there = path is None or "://" in item.uri or path.is_file()
        if len(rows) < ROWS:
            rows.append(PreviewRow(item.name, item.uri if is_there else "", item.label, item.split, item.annotator))
        if not is_there:
            missing += 1
            continue
        is_new = item.uri not in there
        there.add(item.uri)
        labelled += item.label is not None
        unlabelled += is_new and item.label is None
        test += is_new and item.split is Split.TEST
        if item.label is not None:
            classes[item.label] += 1
    is_folder = os.path.isdir(source)
    return Preview(
        importer=listed.importer,
        rows=tuple(rows),
        images=len(there),
        missing=missing,
        classes=tuple(classes.items()),
        unlabelled=unlabelled,
        test=test,
        problems=tuple(problems),
        notices=label_notices(listed, asked=labels_asked, images=len(there), labelled=labelled),
        is_whole=next(items, None) is None,
        how_read=listed.how_read,
        columns=listed.columns,
        table=listed.table,
        tables=tuple(offered_tables(Path(source), options)) if is_folder else (),
    )


def preview_in_words(shown: Preview, source: str) -> list[str]:
    """The lines of a preview, for a terminal and above the rows of a page."""
    more = "" if shown.is_whole else " at least"
    lines = [f"{_count(shown.images, 'image')}{more}" + (f"; {shown.missing:,} not there" if shown.missing else "")]
    if shown.test:
        lines[0] += f"; {shown.test:,} of them test images"
    if shown.how_read:
        lines.append(shown.how_read)
    named = [f"{name} {n:,}" for name, n in shown.classes[:_CLASSES_NAMED]]
    rest = f", and {len(shown.classes) - _CLASSES_NAMED:,} more" if len(shown.classes) > _CLASSES_NAMED else ""
    without = f"; {_count(shown.unlabelled, 'image')} without a label" if shown.unlabelled else ""
    counted = f"{_count(len(shown.classes), 'class', 'classes')}: {', '.join(named)}{rest}" if named else "No classes"
    lines.append(f"{counted}{without}.")
    if shown.tables:
        root = Path(source_as_typed(source))
        lines.append(f"Tables in the folder that name its images: {_joined(shown.tables, root)}.")
    return lines


def problems_in_words(problems: Sequence[ImportProblem]) -> list[str]:
    """The first problems, a line each."""
    lines = [
        f"{problem.name}: {problem.reason}{f'; {problem.remedy}' if problem.remedy else ''}"
        for problem in problems[:_PROBLEMS_NAMED]
    ]
    if len(problems) > _PROBLEMS_NAMED:
        lines.append(f"... and {len(problems) - _PROBLEMS_NAMED:,} more")
    return lines


def _joined(offers: Sequence[TableOffer], root: Path) -> str:
    return "; ".join(offer.in_words(root) for offer in offers)


def _count(n: int, singular: str, plural: str | None = None) -> str:
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def column_names(source: str, options: ImportOptions) -> tuple[str, ...]:
    """The columns of a text table, whether or not its images can be found; none for what is no such table."""
    path = Path(source_as_typed(source))
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return ()
    try:
        return read_rows(path, options.encoding).names
    except InputError:
        return ()


def thumbnail(uri: str) -> str:
    """A small picture of an image of this machine as a data address; "" for what cannot be opened or lies elsewhere."""
    if not uri or "://" in uri:
        return ""
    try:
        image, _ = open_image(read_uri(uri), uri, at_least=_THUMBNAIL)
    except ImageUnreadable:
        return ""
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
