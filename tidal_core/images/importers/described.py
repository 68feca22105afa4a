"""Folders of images with a file that describes them: Hugging Face's imagefolder, CVAT for images, FiftyOne.

- ``metadata.csv`` or ``metadata.jsonl`` beside the images (or in train/ and test/): a row per ``file_name``;
- ``annotations.xml`` (CVAT for images 1.1) with the images beside it or in ``images/``: tags are labels;
- ``labels.json`` with the images in ``data/`` (FiftyOne's image classification, also in train/ and test/).

A description is one that names images of its folder; another file of the same name is an ordinary file, and the report
says so. The folder is read like any other; the description says label, split and annotator. What it describes and is
not there is reported, and so is what is there and has no label in it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.base import Columns, FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import CellRules, Labels, clean
from tidal_core.images.importers.folder import FilesOfModel, FolderImporter, folders_in
from tidal_core.images.importers.guess import LABELLED_BY, guess_columns, is_of_model, one_hot_labels, split_of
from tidal_core.images.importers.json_file import load_json
from tidal_core.images.importers.names import NameIndex, files_below
from tidal_core.images.importers.rows import read_rows
from tidal_core.images.importers.table import no_label
from tidal_core.images.importers.tree import split_kind
from tidal_core.images.sources.file import shown_name
from tidal_core.records import ImportProblem, Split

_ANY_SUFFIX = ".*"  # FiftyOne names images without their suffix
_MAX_XML_BYTES = 300_000_000
_WRAPPERS = 3  # folders that are alone in one another, above a description
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
    labelled: bool = False  # whether it says labels at all; if not, the folders do
    has_folder_labels: bool = False

    def meet(self, files: NameIndex, below: str) -> bool:
        """Find the files that the names mean, those in the folder ``below``; returns whether there is any.

        A file that is named as it is called goes before one that only looks like what is named.
        """
        start = "" if below == "." else f"{below}/"
        meant: dict[str, _Described] = {}
        loosely: list[tuple[str, _Described]] = []
        for name, facts in self.images.items():
            inside = unicodedata.normalize("NFC", name.removeprefix(start))
            if inside in files:
                meant[start + inside] = facts
            else:
                loosely.append((name, facts))
        found_any = bool(meant)
        for name, facts in loosely:
            match = files.find(name.removeprefix(start).removesuffix(_ANY_SUFFIX))
            is_free = match.path is not None and start + match.path not in meant
            found_any = found_any or is_free
            meant[f"{start}{match.path}" if is_free else name] = facts
        self.images = meant
        return found_any

    def add(self, other: _Description) -> None:
        """Take in what another description says."""
        self.images.update(other.images)
        self.problems += other.problems
        self.classes.update(other.classes)
        self.columns = other.columns or self.columns
        self.labelled = self.labelled or other.labelled


class DescribedFolderImporter:
    """A folder with one of the descriptions that this module knows."""

    name = "described folder"

    def sniff(self, source: str) -> bool:
        """Whether the source is a folder with a file of such a name, or CVAT's ``annotations.xml`` itself."""
        path = Path(source).expanduser()
        return bool(_files(path)) or (path.name == "annotations.xml" and path.is_file())

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the descriptions, list the folder.

        Raises InputError when a description that was named itself cannot be read.
        """
        root = Path(os.path.abspath(os.path.expanduser(source)))
        named = root if not root.is_dir() else None
        root = root if named is None else root.parent
        inner = FolderImporter().scan(str(root), options)
        description = _Description()
        names_of_files: set[str] = set()
        is_used = False
        for path, reader in _files(root):
            names_of_files.add(shown_name(path.relative_to(root)))
            below = shown_name(path.parent.relative_to(root))
            one = _Description(has_folder_labels=bool(inner.classes))
            try:
                reader(path, below, one, options)
            except InputError as error:
                if path == named:
                    raise
                description.problems.append(
                    _not_used(path, root, str(error).removeprefix(f"{path} ").partition(";")[0])
                )
                continue
            files = NameIndex([shown_name(name) for name in files_below(path.parent)])
            if not one.meet(files, below) and path != named:
                example = next((name.removesuffix(_ANY_SUFFIX) for name in one.images), "")
                reason = f"it names none of the images here (but {example[:100]!r})" if example else "it names no image"
                description.problems.append(_not_used(path, root, reason))
                continue
            is_used = True
            description.add(one)
        items = _merged(inner, description, names_of_files, FilesOfModel(root))
        if not is_used:
            return replace(inner, importer=self.name, items=items)
        classes = tuple(FoundClass(name) for name in description.classes) if description.labelled else inner.classes
        remarks = () if description.labelled else inner.label_remarks
        return Scan(
            str(root), self.name, items, classes, title=root.name, columns=description.columns, label_remarks=remarks
        )


def _not_used(path: Path, root: Path, reason: str) -> ImportProblem:
    return ImportProblem(
        shown_name(path.relative_to(root)),
        f"{reason.rstrip('.')}: no labels were read from it",
        "nothing to do unless it should say the labels",
    )


_Reader = Callable[[Path, str, _Description, ImportOptions], None]
"""Reads one description, of the images in a folder below the source, into what is known of all."""


def _files(root: Path) -> list[tuple[Path, _Reader]]:
    """Files called like descriptions in a folder, in its only folder, and in train and test; each with its reader."""
    if not root.is_dir():
        return []
    top, folders = root, [root]
    while len(folders) <= _WRAPPERS and len(inside := folders_in(top)) == 1:
        top = inside[0]
        folders.append(top)
    folders += [folder for folder in folders_in(top) if split_kind(folder.name) is not None]
    descriptions: list[tuple[Path, _Reader]] = []
    for folder in folders:
        descriptions += [(folder / name, _metadata) for name in _METADATA if (folder / name).is_file()]
        if (folder / "labels.json").is_file() and (folder / "data").is_dir():
            descriptions.append((folder / "labels.json", _fiftyone))
        if (folder / "annotations.xml").is_file():
            descriptions.append((folder / "annotations.xml", _cvat))
    return descriptions


def _merged(
    inner: Scan, description: _Description, description_files: set[str], of_model: FilesOfModel
) -> Iterator[FoundImage | ImportProblem]:
    """The folder's images with what is said of them."""
    yield from description.problems
    unseen = dict(description.images)
    for item in inner.items:
        if isinstance(item, ImportProblem):
            if item.name not in description_files:
                yield item
            continue
        facts = description.images.get(item.name)
        unseen.pop(item.name, None)
        if facts is None and description.labelled:
            yield ImportProblem(
                item.name,
                "the file with the labels does not mention it; it was read without a label",
                "add it to that file and import again, or label it here",
            )
        facts = facts or _Described()
        yield replace(
            item,
            label=None if item.name in of_model else facts.label if description.labelled else item.label,
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
    columns = guess_columns(table.names, table.samples, options.columns, by_name_alone=description.has_folder_labels)
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
    description.labelled = True
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
    description.labelled = True
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
