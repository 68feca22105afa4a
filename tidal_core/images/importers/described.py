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

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.base import Columns, FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import CellRules, Labels, clean
from tidal_core.images.importers.folder import FolderImporter
from tidal_core.images.importers.guess import LABELLED_BY, guess_columns, is_of_model, one_hot_labels, split_of
from tidal_core.images.importers.json_file import load_json
from tidal_core.images.importers.rows import read_rows
from tidal_core.images.importers.table import no_label
from tidal_core.images.importers.tree import split_kind
from tidal_core.records import ImportProblem, Split

_ANY_SUFFIX = ".*"  # FiftyOne names images without their suffix
_MAX_XML_BYTES = 300_000_000
_METADATA = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True)
class _Described:
    """What the description says of one image."""

    label: str | None = None
    split: Split | None = None
    annotator: str | None = None


@dataclass
class _Description:
    """All that the descriptions of a folder say, by the image's name below the folder."""

    images: dict[str, _Described] = field(default_factory=dict)
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
        description = _Description()
        files = _files(root)
        for path, reader in files:
            reader(path, path.parent.relative_to(root).as_posix(), description, options)
        inner = FolderImporter().scan(str(root), options)
        names_of_files = {path.relative_to(root).as_posix() for path, _ in files}
        items = _merged(inner, description, names_of_files)
        classes = tuple(FoundClass(name) for name in description.classes)
        remarks = () if description.labelled else inner.label_remarks
        return Scan(
            str(root), self.name, items, classes, title=root.name, columns=description.columns, label_remarks=remarks
        )


_Reader = Callable[[Path, str, _Description, ImportOptions], None]
"""Reads one description, of the images in a folder below the source, into what is known of all."""


def _files(root: Path) -> list[tuple[Path, _Reader]]:
    """The descriptions in a folder and in its train and test folders, each with what reads it."""
    if not root.is_dir():
        return []
    try:
        splits = [path for path in sorted(root.iterdir()) if split_kind(path.name) is not None and path.is_dir()]
    except OSError:
        return []
    descriptions: list[tuple[Path, _Reader]] = []
    for folder in (root, *splits):
        descriptions += [(folder / name, _metadata) for name in _METADATA if (folder / name).is_file()]
        if (folder / "labels.json").is_file() and (folder / "data").is_dir():
            descriptions.append((folder / "labels.json", _fiftyone))
    if (root / "annotations.xml").is_file():
        descriptions.append((root / "annotations.xml", _cvat))
    return descriptions


def _merged(
    inner: Scan, description: _Description, description_files: set[str]
) -> Iterator[FoundImage | ImportProblem]:
    """The folder's images with what is said of them."""
    yield from description.problems
    unseen = dict(description.images)
    stems = {name.removesuffix(_ANY_SUFFIX): name for name in description.images if name.endswith(_ANY_SUFFIX)}
    for item in inner.items:
        if isinstance(item, ImportProblem):
            if item.name not in description_files:
                yield item
            continue
        key = item.name
        if key not in description.images:
            key = stems.get(str(PurePosixPath(item.name).with_suffix("")), item.name)
        facts = description.images.get(key)
        unseen.pop(key, None)
        if facts is None:
            yield ImportProblem(
                item.name,
                "the file with the labels does not mention it; it was read without a label",
                "add it to that file and import again, or label it here",
            )
            facts = _Described()
        yield replace(
            item,
            label=facts.label if description.labelled else item.label,
            split=facts.split or item.split,
            annotator=facts.annotator,
        )
    for name in unseen:
        yield ImportProblem(
            name.removesuffix(_ANY_SUFFIX),
            "the file with the labels names it, but it is not there",
            "put the image back and import again",
        )


def _metadata(path: Path, below: str, description: _Description, options: ImportOptions) -> None:
    """Hugging Face's imagefolder."""
    table = read_rows(path, options.encoding)
    columns = guess_columns(table.names, table.samples, options.columns, by_name_alone=True)
    labels = Labels(options.cells, literally=LABELLED_BY in table.names)
    labels.look(entry[1].get(columns.label or "") for entry in table.each() if not isinstance(entry, ImportProblem))
    description.columns, description.labelled = columns, bool(columns.label or columns.one_hot)
    for row in table.each():
        if isinstance(row, ImportProblem):
            description.problems.append(row)
            continue
        where, values = row
        name = values.get(columns.image or "")
        if not isinstance(name, str) or not name.strip():
            description.problems.append(ImportProblem(where, f"the column {columns.image!r} is empty", "fill it in"))
            continue
        problem, label = None, None
        if columns.one_hot:
            problem, label = labels.of_several(one_hot_labels(values, columns.one_hot))
        elif columns.label and not is_of_model(values):
            problem, label = labels.read(values.get(columns.label))
        if problem:
            description.problems.append(no_label(where, problem))
        split, annotator = (values.get(column) if column else None for column in (columns.split, columns.annotator))
        description.images[_below(below, name.strip())] = _Described(
            label, split_of(split if isinstance(split, str) else None), str(annotator) if annotator else None
        )
    description.problems += labels.remarks(path.name)


def _fiftyone(path: Path, below: str, description: _Description, options: ImportOptions) -> None:
    """FiftyOne's image classification: ``{"classes": [...], "labels": {"stem": name or position}}``."""
    value = load_json(path)
    labels = value.get("labels") if isinstance(value, dict) else None
    if not isinstance(labels, dict):
        raise InputError(f'{path} has no "labels"; export it again from FiftyOne.')
    names = value.get("classes")
    names = [str(clean(name)) for name in names] if isinstance(names, list) else []
    description.classes.update(dict.fromkeys(names))
    reader = Labels(options.cells, {str(number): name for number, name in enumerate(names)}, declared=set(names))
    for stem, cell in labels.items():
        problem, label = reader.read(cell)
        if problem:
            description.problems.append(no_label(f"{path.name} {clean(stem)}", problem))
        description.images[_below(below, f"data/{clean(stem)}{_ANY_SUFFIX}")] = _Described(label)


def _cvat(path: Path, below: str, description: _Description, options: ImportOptions) -> None:
    """CVAT for images 1.1: ``<image name=...><tag label=.../></image>``."""
    with path.open("rb") as file:
        start = file.read(65_536)
    if path.stat().st_size > _MAX_XML_BYTES:
        raise InputError(f"{path} is larger than {_MAX_XML_BYTES // 1_000_000} MB; export it from CVAT in parts.")
    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
        raise InputError(f"{path} defines XML entities, which CVAT never writes; export it again from CVAT.")
    images = path.parent / "images"
    reader = Labels(CellRules(options.cells.several, keep_missing=True))  # a tag is the name of a class
    try:
        for _, element in ElementTree.iterparse(path):
            if element.tag == "label" and (name := element.findtext("name")):
                description.classes[" ".join(name.split())] = None
            elif element.tag == "image":
                name = element.get("name", "")
                tags = list(dict.fromkeys(tag.get("label", "") for tag in element.iter("tag")))
                problem, label = reader.of_several([tag for tag in tags if tag.strip()])
                if problem:
                    description.problems.append(no_label(name, problem))
                likely = f"images/{name}" if images.is_dir() else name
                paths = (below for below in _cvat_paths(element, name) if (path.parent / below).is_file())
                description.images[next(paths, likely)] = _Described(label, split_of(element.get("subset")))
                element.clear()
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is damaged ({reason_of(error)}); export it again.") from error


def _cvat_paths(element: Any, name: str) -> list[str]:
    """Where an image of this name may lie below the folder, the most particular first."""
    subset = element.get("subset") or ""
    return [f"images/{subset}/{name}", f"images/{name}", name] if subset else [f"images/{name}", name]


def _below(folder: str, name: str) -> str:
    return PurePosixPath(folder, name.replace("\\", "/")).as_posix()
