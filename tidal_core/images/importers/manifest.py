"""SageMaker's augmented manifests: a JSON object a line, with ``source-ref`` and the label of a labelling job.

Of ``{"source-ref": "s3://bucket/1.jpg", "kind": 0, "kind-metadata": {"class-name": "cat", ...}}`` the class name is the
label; what a model labelled (``"human-annotated": "no"``) is nobody's label. Images that lie beside the manifest, or
below it, are read from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tidal_core.errors import InputError
from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import Labels
from tidal_core.images.importers.guess import LABELLED_BY
from tidal_core.images.importers.names import FileResolver
from tidal_core.images.importers.rows import Row, read_rows
from tidal_core.images.importers.table import images_of_rows
from tidal_core.records import ImportProblem

SOURCE = "source-ref"
_METADATA = "-metadata"
_SUFFIXES = {".manifest", ".jsonl"}
_LONGEST_LINE = 1 << 20
_LABEL = "label"


class ManifestImporter:
    """A manifest of SageMaker Ground Truth."""

    name = "manifest"

    def sniff(self, source: str) -> bool:
        """Whether the first line of the file names an image as a manifest does."""
        path = Path(source).expanduser()
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            return False
        try:
            with path.open("rb") as file:
                first = json.loads(file.readline(_LONGEST_LINE))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(first, dict) and SOURCE in first

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """List the lines. Raises InputError when the manifest cannot be read, or a column is named that it lacks."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        table = read_rows(path, options.encoding)
        attributes = _attributes(table.samples)
        chosen = options.columns.label
        if chosen and chosen not in attributes:
            raise InputError(
                f"there is no label {chosen!r} in {path}; its labels are: {', '.join(map(repr, attributes)) or 'none'}."
            )
        attribute = chosen if chosen is not None else next(iter(attributes), "")
        columns = Columns(image=SOURCE, label=_LABEL)
        resolver = FileResolver(path.parent, options.images)
        labels = Labels(options.cells)
        rows = (
            entry if isinstance(entry, ImportProblem) else _row(entry, attribute, resolver) for entry in table.each()
        )
        items: Iterator[FoundImage | ImportProblem] = chain(
            images_of_rows(rows, columns, resolver, labels), _remarks(labels, path)
        )
        return Scan(
            str(path), self.name, items, title=path.stem, columns=Columns(image=SOURCE, label=attribute or None)
        )


def _remarks(labels: Labels, path: Path) -> Iterator[ImportProblem]:
    """What the labels have to say once all are read."""
    yield from labels.remarks(path.name)


def _attributes(samples: tuple[Row, ...]) -> list[str]:
    """The names of the labelling jobs whose labels are classes, in the order in which they come."""
    names: dict[str, None] = {}
    for row in islice(samples, 50):
        for key, value in row.items():
            if key.endswith(_METADATA) and isinstance(value, dict) and ("class-name" in value or "class-map" in value):
                names[key.removesuffix(_METADATA)] = None
    return list(names)


def _row(entry: tuple[str, Row], attribute: str, resolver: FileResolver) -> tuple[str, Row]:
    """A line as the row of a table with an image and a label."""
    where, line = entry
    image = line.get(SOURCE)
    beside = resolver.find(image)[0] if isinstance(image, str) and "://" in image else None
    facts = line.get(attribute + _METADATA) if attribute else None
    row: Row = {SOURCE: beside or image, _LABEL: _label(facts)}
    if isinstance(facts, dict) and facts.get("human-annotated") == "no":
        row[LABELLED_BY] = "model"
    return where, row


def _label(facts: Any) -> Any:
    """The class that a job's metadata name; a list where they name several."""
    if not isinstance(facts, dict):
        return None
    classes = facts.get("class-map")
    return facts.get("class-name") or (list(classes.values()) if isinstance(classes, dict) else None)
