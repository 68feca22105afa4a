"""Folders of images with a file that describes them: Hugging Face's imagefolder, CVAT for images, FiftyOne.

- ``metadata.csv`` or ``metadata.jsonl`` beside the images (or in train/ and test/): a row per ``file_name``;
- ``annotations.xml`` (CVAT for images 1.1) with the images beside it or in ``images/``: tags are labels;
- ``labels.json`` with the images in ``data/`` (FiftyOne's image classification, also in train/ and test/).

The folder is read like any other; the description says label, split and annotator. What it describes and is not there
is reported, and so is what is there and not described (it comes in without a label).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from tidal_core.errors import InputError
from tidal_core.images.importers.base import Columns, FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.folder import SPLIT_FOLDERS, FolderImporter
from tidal_core.images.importers.guess import guess_columns, split_of
from tidal_core.images.importers.json_file import load_json
from tidal_core.images.importers.rows import clean, read_rows
from tidal_core.images.importers.table import label_of
from tidal_core.records import ImportProblem, Split

_ANY_SUFFIX = ".*"  # FiftyOne names images without their suffix
_METADATA = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True)
class _Said:
    """What the description says of one image."""

    label: str | None = None
    split: Split | None = None
    annotator: str | None = None


@dataclass
class _Description:
    """All that the descriptions of a folder say, by the image's name below the folder."""

    images: dict[str, _Said] = field(default_factory=dict)
    problems: list[ImportProblem] = field(default_factory=list)
    classes: dict[str, None] = field(default_factory=dict)
    columns: Columns | None = None
    labelled: bool = True  # whether it says labels at all; if not, the folders do


class DescribedFolderImporter:
    """A folder with one of the descriptions that this module knows."""

    name = "described folder"

    def sniff(self, source: str) -> bool:
        """Whether the source is such a folder, or CVAT's ``annotations.xml`` itself."""
        path = Path(source).expanduser()
        return bool(_files(path)) or (path.name == "annotations.xml" and path.is_file())

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the descriptions, list the folder. Raises InputError when a description cannot be read."""
        root = Path(os.path.abspath(os.path.expanduser(source)))
        root = root if root.is_dir() else root.parent
        said = _Description()
        files = _files(root)
        for path, reader in files:
            reader(path, path.parent.relative_to(root).as_posix(), said, options)
        inner = FolderImporter().scan(str(root), options)
        described = {path.relative_to(root).as_posix() for path, _ in files}
        classes = tuple(FoundClass(name) for name in said.classes)
        return Scan(
            str(root), self.name, _merged(inner, said, described), classes, title=root.name, columns=said.columns
        )


def _files(root: Path) -> list[tuple[Path, Callable[[Path, str, _Description, ImportOptions], None]]]:
    """The descriptions in a folder and in its train and test folders."""
    if not root.is_dir():
        return []
    try:
        splits = [one for one in sorted(root.iterdir()) if one.name.lower() in SPLIT_FOLDERS and one.is_dir()]
    except OSError:
        return []
    found: list[tuple[Path, Callable[[Path, str, _Description, ImportOptions], None]]] = []
    for folder in (root, *splits):
        found += [(folder / name, _metadata) for name in _METADATA if (folder / name).is_file()]
        if (folder / "labels.json").is_file() and (folder / "data").is_dir():
            found.append((folder / "labels.json", _fiftyone))
    if (root / "annotations.xml").is_file():
        found.append((root / "annotations.xml", _cvat))
    return found


def _merged(inner: Scan, said: _Description, described: set[str]) -> Iterator[FoundImage | ImportProblem]:
    """The folder's images with what is said of them."""
    yield from said.problems
    left = dict(said.images)
    stems = {name.removesuffix(_ANY_SUFFIX): name for name in said.images if name.endswith(_ANY_SUFFIX)}
    for item in inner.items:
        if isinstance(item, ImportProblem):
            if item.name not in described:
                yield item
            continue
        key = item.name
        if key not in said.images:
            key = stems.get(str(PurePosixPath(item.name).with_suffix("")), item.name)
        one = said.images.get(key)
        left.pop(key, None)
        if one is None:
            yield ImportProblem(item.name, "it is not described", "it was read without a label")
            one = _Said()
        yield replace(
            item,
            label=one.label if said.labelled else item.label,
            split=one.split or item.split,
            annotator=one.annotator,
        )
    for name in left:
        yield ImportProblem(
            name.removesuffix(_ANY_SUFFIX), "it is described and not there", "put it back, or import again later"
        )


def _metadata(path: Path, below: str, said: _Description, options: ImportOptions) -> None:
    """Hugging Face's imagefolder."""
    table = read_rows(path)
    columns = guess_columns(table.names, table.samples, options.columns)
    said.columns, said.labelled = columns, columns.label is not None
    for row in table.rows:
        if isinstance(row, ImportProblem):
            said.problems.append(row)
            continue
        where, values = row
        name = values.get(columns.image or "")
        if not isinstance(name, str) or not name.strip():
            said.problems.append(ImportProblem(where, f"it has no name in the column {columns.image!r}", "fill it in"))
            continue
        problem, label = label_of(values.get(columns.label) if columns.label else None)
        if problem:
            said.problems.append(ImportProblem(where, problem, "it was read without a label"))
        split, who = (values.get(one) if one else None for one in (columns.split, columns.annotator))
        said.images[_below(below, name.strip())] = _Said(
            label, split_of(split if isinstance(split, str) else None), str(who) if who else None
        )


def _fiftyone(path: Path, below: str, said: _Description, options: ImportOptions) -> None:
    """FiftyOne's image classification: ``{"classes": [...], "labels": {"stem": name or position}}``."""
    value = load_json(path)
    labels = value.get("labels") if isinstance(value, dict) else None
    if not isinstance(labels, dict):
        raise InputError(f'{path} has no "labels"; export the data set again.')
    names = value.get("classes")
    names = [str(clean(name)) for name in names] if isinstance(names, list) else []
    said.classes.update(dict.fromkeys(names))
    for stem, cell in labels.items():
        problem, label = label_of(cell, names)
        if problem:
            said.problems.append(ImportProblem(f"{path.name} {clean(stem)}", problem, "it was read without a label"))
        said.images[_below(below, f"data/{clean(stem)}{_ANY_SUFFIX}")] = _Said(label)


def _cvat(path: Path, below: str, said: _Description, options: ImportOptions) -> None:
    """CVAT for images 1.1: ``<image name=...><tag label=.../></image>``."""
    with path.open("rb") as file:
        start = file.read(65_536)
    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
        raise InputError(f"{path} defines entities, which CVAT never does; export it again.")
    images = path.parent / "images"
    try:
        for _, element in ElementTree.iterparse(path):
            if element.tag == "label" and (name := element.findtext("name")):
                said.classes[" ".join(name.split())] = None
            elif element.tag == "image":
                name = element.get("name", "")
                tags = list(dict.fromkeys(tag.get("label", "") for tag in element.iter("tag")))
                problem, label = label_of([tag for tag in tags if tag.strip()])
                if problem:
                    said.problems.append(ImportProblem(name, problem, "it was read without a label"))
                place = next((one for one in _cvat_places(element, name) if (path.parent / one).is_file()), None)
                key = place or (f"images/{name}" if images.is_dir() else name)
                said.images[key] = _Said(label, split_of(element.get("subset")))
                element.clear()
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is damaged ({error}); export it again.") from error


def _cvat_places(element: Any, name: str) -> list[str]:
    subset = element.get("subset") or ""
    return [f"images/{subset}/{name}", f"images/{name}", name] if subset else [f"images/{name}", name]


def _below(folder: str, name: str) -> str:
    return PurePosixPath(folder, name.replace("\\", "/")).as_posix()
