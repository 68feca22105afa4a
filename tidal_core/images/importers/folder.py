"""A folder tree of images.

Names come in the order a person expects (img2 before img10). Which folders are classes, and which say the split,
``tree`` reads from all of them. Hidden files and folders are left out; a link that leads back to where one came from
is followed once; a file that is no image is named in the report.
"""

from __future__ import annotations

import csv
import filecmp
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath

from tidal_core.errors import InputError
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.tree import Folder, Meaning, natural_key, plain, read_tree
from tidal_core.images.reading import SUFFIXES, looks_like_an_image
from tidal_core.images.sources.file import file_uri, shown_name
from tidal_core.records import ImportProblem

CLASS_NAMES_FILE = ".tidal-classes.json"  # this studio's own exports: folder name to class name
LABELLED_BY_FILE = ".tidal-labelled-by.csv"  # there, too: whose class a file has, a person's or the model's
SKIPPED = "skipped; nothing to do unless it should be an image"  # the remedy for a file that is none
_LEFT_OUT = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found"}  # made by systems, not by people
_MAX_DEPTH = 64
_MAX_CLASS_NAMES_BYTES = 10_000_000
_COMPARED = 20  # files of a folder that may be a copy
_LOOKED_INTO = 20  # files without an image's suffix in one folder, to find out whether it holds images
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
            os.listdir(root)
        except OSError as error:
            raise InputError(
                f"the folder {source} cannot be read ({error.strerror}); check its name and permissions."
            ) from error
        names = class_names_in(root)
        meaning = read_tree(
            _survey(root), options.class_level, lambda copy, original: _same_files(root, copy, original), names
        )
        of_model = FilesOfModel(root)
        items = chain(meaning.copies, (_named(item, names, of_model) for item in _walk(root, meaning)))
        classes, title = ordered_classes(meaning, names), shown_name(root.name)
        return Scan(str(root), self.name, items, classes, title=title, label_remarks=meaning.label_remarks)


def image_of(root: Path, relative: PurePath, meaning: Meaning) -> FoundImage:
    """The image at ``root / relative`` with the label and split that its folders say."""
    label, split = meaning.of(relative.parts[:-1])
    return FoundImage(name=shown_name(relative.as_posix()), uri=file_uri(root / relative), label=label, split=split)


def ordered_classes(meaning: Meaning, names: dict[str, str]) -> tuple[FoundClass, ...]:
    """The classes of a tree, first those of an export of this studio (``names``: folder to class) in its order."""
    others = [name for name in meaning.classes if name not in names]
    return tuple(FoundClass(name) for name in dict.fromkeys([*names.values(), *others]))


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was made by a system."""
    return name.startswith(".") or name.lower() in _LEFT_OUT


def class_names_in(root: Path) -> dict[str, str]:
    """Folder name to class name, where an export of this studio says so."""
    try:
        with (root / CLASS_NAMES_FILE).open("rb") as file:
            value = json.loads(file.read(_MAX_CLASS_NAMES_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = value.items() if isinstance(value, dict) else ()
    return {plain(folder): name for folder, name in pairs if isinstance(name, str) and name.strip()}


class FilesOfModel:
    """Files below a folder whose class the model gave, where exports of this studio in it say so.

    The folder may lie above such an export, or be a part of it, its ``train``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        start = f"{shown_name(root.name)}/"
        self._names = {name.removeprefix(start) for name in _files_of_model_in(root.parent) if name.startswith(start)}
        self._looked_in: set[PurePath] = set()

    def __contains__(self, name: str) -> bool:
        """Whether the file of this name below the folder, as it is shown, is one."""
        path = PurePath(name)
        if path.parent not in self._looked_in:
            for folder in set(path.parents) - self._looked_in:
                self._looked_in.add(folder)
                self._names.update((folder / file).as_posix() for file in _files_of_model_in(self._root / folder))
        return name in self._names


def _files_of_model_in(folder: Path) -> list[str]:
    """What the table of an export says, paths below its folder; none where there is no such table."""
    try:
        with (folder / LABELLED_BY_FILE).open("rb") as file:
            text = file.read(_MAX_LABELLED_BY_BYTES).decode()
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return [row["file"] for row in rows if row["labelled_by"] == "model" and row["file"]]
    except (OSError, ValueError, KeyError, csv.Error):
        return []


def _named(
    item: FoundImage | ImportProblem, names: dict[str, str], of_model: FilesOfModel
) -> FoundImage | ImportProblem:
    if isinstance(item, FoundImage) and item.label is not None:
        return replace(item, label=None if item.name in of_model else names.get(item.label, item.label))
    return item


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder by name, also those that a link leads to; none where it cannot be read."""
    try:
        return [folder / name for name, is_folder in sorted(_entries(folder)) if is_folder]
    except OSError:  # the import itself names it
        return []


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Names in a folder, and whether each is one: as the folder's list tells, without a look at each file."""
    with os.scandir(folder) as entries:
        return [(entry.name, _is_folder(entry)) for entry in entries if not is_left_out(entry.name)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a folder that is shut
        return False


def _survey(root: Path) -> Folder:
    """The folders below ``root`` with the number of images in each; folders that cannot be read are left out."""
    top = Folder()
    facts = root.stat()
    seen = {(facts.st_dev, facts.st_ino)}
    waiting: list[tuple[PurePath, Folder]] = [(PurePath(), top)]
    while waiting:
        relative, folder = waiting.pop()
        names: list[str] = []
        unclear: list[str] = []  # files whose names do not tell
        try:
            with os.scandir(root / relative) as entries:
                for entry in entries:
                    if is_left_out(entry.name):
                        continue
                    if _is_folder(entry):
                        names.append(entry.name)
                    elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                        folder.add_image()
                    else:
                        unclear.append(entry.path)
        except OSError:  # named by the walk
            continue
        if not folder.images and any(map(_begins_like_an_image, unclear[:_LOOKED_INTO])):
            folder.add_image()
        below: list[tuple[PurePath, Folder]] = []
        for name in sorted(names, key=natural_key):  # in the order of the walk, so that both follow the same link
            with suppress(OSError):
                facts = os.stat(root / relative / name)
                if (facts.st_dev, facts.st_ino) not in seen and len(relative.parts) < _MAX_DEPTH:
                    seen.add((facts.st_dev, facts.st_ino))
                    below.append((relative / name, folder.folders.setdefault(name, Folder())))
        waiting.extend(reversed(below))
    return top


def _begins_like_an_image(path: str) -> bool:
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return looks_like_an_image(file.read(16))
    except OSError:
        return False


def _same_files(root: Path, copy: tuple[str, ...], original: tuple[str, ...]) -> bool:
    """Whether each file of one folder lies in another one, too, under the same name and of the same size.

    The first ones are compared byte by byte: pictures that are not compressed are all of one size.
    """
    start = Path(root, *copy)
    compared = 0
    for folder, folders, files in os.walk(start):
        folders[:] = [name for name in folders if not is_left_out(name)]
        for name in files:
            if is_left_out(name):
                continue
            path = Path(folder, name)
            other = Path(root, *original, path.relative_to(start))
            try:
                if path.stat().st_size != other.stat().st_size:
                    return False
                if compared < _COMPARED and not filecmp.cmp(path, other, shallow=False):
                    return False
            except OSError:
                return False
            compared += 1
    return True


def _walk(root: Path, meaning: Meaning) -> Iterator[FoundImage | ImportProblem]:
    """Depth first, files before folders, each in natural order; every real folder once, and copies not at all."""
    facts = root.stat()
    seen = {(facts.st_dev, facts.st_ino)}
    waiting: list[PurePath] = [PurePath()]
    while waiting:
        folder = waiting.pop()
        try:
            entries = sorted(_entries(root / folder), key=lambda entry: natural_key(entry[0]))
        except OSError as error:
            yield ImportProblem(
                shown_name(folder), f"the folder cannot be read ({error.strerror})", "change its permissions"
            )
            continue
        folders = []
        for name, is_folder in entries:
            if not is_folder:
                yield _file(root, folder / name, meaning)
                continue
            try:
                facts = (root / folder / name).stat()
            except OSError as error:
                yield ImportProblem(
                    shown_name(folder / name), f"the folder cannot be read ({error.strerror})", "change its permissions"
                )
                continue
            if meaning.is_copy((folder / name).parts):
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


def _file(root: Path, relative: PurePath, meaning: Meaning) -> FoundImage | ImportProblem:
    """A file by its suffix; where the suffix says nothing, by its first bytes."""
    suffix = relative.suffix.lower()
    if suffix in SUFFIXES:
        return image_of(root, relative, meaning)
    path, name = root / relative, shown_name(relative.as_posix())
    try:
        if not path.is_file():
            return ImportProblem(name, "it is a broken link or not a regular file", "remove it, or restore its target")
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        return ImportProblem(name, f"it cannot be read ({error.strerror})", "change its permissions")
    if looks_like_an_image(start):
        return image_of(root, relative, meaning)
    kind = f"a {suffix} file" if suffix else "a file without a suffix"
    return ImportProblem(name, f"{kind} is not an image", SKIPPED)
