"""A folder tree of images.

Names come in the order a person expects (img2 before img10). The first-level folder is the label: ``daisy/1.jpg`` is
a daisy. Where the first level is train, val or test, it says the split and the second level is the label. Hidden
files and folders are left out; a link that leads back to where one came from is followed once; a file that is no
image is named in the report.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from tidal_core.errors import InputError
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.reading import SUFFIXES, looks_like_an_image
from tidal_core.images.sources.file import file_uri, shown_name
from tidal_core.records import ImportProblem, Split

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
CLASS_NAMES_FILE = ".tidal-classes.json"  # this studio's own exports: folder name to class name
LABELLED_BY_FILE = ".tidal-labelled-by.csv"  # there, too: whose class a file has, a person's or the model's
SKIPPED = "skipped; nothing to do unless it should be an image"  # the remedy for a file that is none
_LEFT_OUT = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found"}  # made by systems, not by people
_MAX_DEPTH = 64
_MAX_CLASS_NAMES_BYTES = 10_000_000
_MAX_LABELLED_BY_BYTES = 500_000_000


class FolderImporter:
    """Images in a folder and the folders below it."""

    name = "folder"

    def sniff(self, source: str) -> bool:
        """Whether the source is a folder."""
        return os.path.isdir(os.path.expanduser(source))

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """List the tree lazily; the classes are the names of the label folders."""
        root = Path(os.path.abspath(os.path.expanduser(source)))
        try:
            top = sorted(_entries(root), key=natural_key)
        except OSError as error:
            raise InputError(
                f"the folder {source} cannot be read ({error.strerror}); check its name and permissions."
            ) from error
        folders = [name for name in top if os.path.isdir(root / name)]
        splits = {name: SPLIT_FOLDERS[name.lower()] for name in folders if name.lower() in SPLIT_FOLDERS}
        labels = [name for name in folders if name not in splits]
        for name in splits:
            below = root / name
            labels += (
                [inner for inner in _entries(below) if os.path.isdir(below / inner)]
                if os.access(below, os.R_OK)
                else []
            )
        names = _class_names(root)
        ordered = [*names, *sorted(set(labels) - set(names), key=natural_key)]
        classes = tuple(FoundClass(names.get(name, shown_name(name))) for name in ordered)
        kinds = split_folders(splits, only=len(splits) == len(folders))
        of_model = files_of_model(root)
        items = (_named(item, names, of_model) for item in _walk(root, kinds))
        return Scan(str(root), self.name, items, classes=classes, title=shown_name(root.name))


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as people do: numbers within them by value, letters whatever their case."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part)


def image_of(root: Path, relative: PurePath, splits: dict[str, Split]) -> FoundImage:
    """The image at ``root / relative`` with the label and split that its folders say."""
    folders = list(relative.parts[:-1])
    split = splits.get(folders[0]) if folders else None
    if split is not None:
        folders = folders[1:]
    return FoundImage(
        name=shown_name(relative.as_posix()),
        uri=file_uri(root / relative),
        label=shown_name(folders[0]) if folders else None,
        split=split,
    )


def split_folders(splits: dict[str, str], only: bool) -> dict[str, Split]:
    """Which split each folder is, by its kind (train, val or test).

    Validation images are the test split where there is no other. A test folder with nothing beside it (``only``) is
    the pool: images that are all for testing leave none to label.
    """
    kinds = set(splits.values())
    if only and len(kinds) == 1:
        return dict.fromkeys(splits, Split.POOL)
    test = "test" if "test" in kinds else "val"
    return {name: Split.TEST if kind == test else Split.POOL for name, kind in splits.items()}


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was made by a system."""
    return name.startswith(".") or name.lower() in _LEFT_OUT


def _class_names(root: Path) -> dict[str, str]:
    """Folder name to class name, where an export of this studio says so."""
    try:
        with (root / CLASS_NAMES_FILE).open("rb") as file:
            value = json.loads(file.read(_MAX_CLASS_NAMES_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = value.items() if isinstance(value, dict) else ()
    return {folder: name for folder, name in pairs if isinstance(name, str) and name.strip()}


def files_of_model(root: Path) -> frozenset[str]:
    """Files below a folder, by their path in it, whose class the model gave, where an export of this studio says so.

    Also where the folder is a part of that export, its ``train``.
    """
    for folder, prefix in ((root, ""), (root.parent, f"{root.name}/")):
        try:
            with (folder / LABELLED_BY_FILE).open("rb") as file:
                text = file.read(_MAX_LABELLED_BY_BYTES).decode()
            rows = csv.DictReader(io.StringIO(text, newline=""))
            of_model = [row["file"] for row in rows if row["labelled_by"] == "model" and row["file"]]
        except (OSError, ValueError, KeyError, csv.Error):
            continue
        return frozenset(name.removeprefix(prefix) for name in of_model if name.startswith(prefix))
    return frozenset()


def _named(
    item: FoundImage | ImportProblem, names: dict[str, str], of_model: frozenset[str]
) -> FoundImage | ImportProblem:
    if isinstance(item, FoundImage) and item.name in of_model:  # nobody's label
        return replace(item, label=None)
    if isinstance(item, FoundImage) and item.label in names:
        return replace(item, label=names[item.label])
    return item


def _entries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if not is_left_out(name)]


def _walk(root: Path, splits: dict[str, Split]) -> Iterator[FoundImage | ImportProblem]:
    """Depth first, files before folders, each in natural order; every real folder once."""
    facts = root.stat()
    seen = {(facts.st_dev, facts.st_ino)}
    waiting: list[PurePath] = [PurePath()]
    while waiting:
        folder = waiting.pop()
        try:
            names = sorted(_entries(root / folder), key=natural_key)
        except OSError as error:
            yield ImportProblem(
                shown_name(folder), f"the folder cannot be read ({error.strerror})", "change its permissions"
            )
            continue
        folders = []
        for name in names:
            path = root / folder / name
            if not os.path.isdir(path):  # unlike Path.is_dir never an error: a folder may be shut, a path too long
                yield _file(root, folder / name, splits)
                continue
            try:
                facts = path.stat()
            except OSError as error:
                yield ImportProblem(
                    shown_name(folder / name), f"the folder cannot be read ({error.strerror})", "change its permissions"
                )
                continue
            if (facts.st_dev, facts.st_ino) in seen:
                yield ImportProblem(
                    shown_name(folder / name),
                    "it links to a folder that is read already",
                    "nothing to do, or remove the link",
                )
            elif len(folder.parts) >= _MAX_DEPTH:
                yield ImportProblem(
                    shown_name(folder / name),
                    f"it is more than {_MAX_DEPTH} folders deep",
                    "move it to a higher folder",
                )
            else:
                seen.add((facts.st_dev, facts.st_ino))
                if PurePath(name).suffix.lower() in SUFFIXES:
                    yield ImportProblem(
                        shown_name(folder / name), "it is a folder named like an image; the files in it are read"
                    )
                folders.append(folder / name)
        waiting.extend(reversed(folders))


def _file(root: Path, relative: PurePath, splits: dict[str, Split]) -> FoundImage | ImportProblem:
    """A file by its suffix; where the suffix says nothing, by its first bytes."""
    suffix = relative.suffix.lower()
    if suffix in SUFFIXES:
        return image_of(root, relative, splits)
    path, name = root / relative, shown_name(relative.as_posix())
    try:
        if not path.is_file():
            return ImportProblem(name, "it is a broken link or not a regular file", "remove it, or restore its target")
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        return ImportProblem(name, f"it cannot be read ({error.strerror})", "change its permissions")
    if looks_like_an_image(start):
        return image_of(root, relative, splits)
    kind = f"a {suffix} file" if suffix else "a file without a suffix"
    return ImportProblem(name, f"{kind} is not an image", SKIPPED)
