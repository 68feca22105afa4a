"""A tree that torchvision's ImageFolder, Keras and most tools read: ``train/CLASS/IMAGE`` and ``test/CLASS/IMAGE``.

As a folder or as its zip. These readers number the folders that they find, so every class that has an image anywhere
has a folder in train and in test, if need be an empty one: a number is the same class in both. Keras takes that as it
is, torchvision with ``ImageFolder(..., allow_empty=True)``. Class names that no folder can have are percent-encoded;
``.tidal-classes.json`` beside the folders holds the names as they are, for this studio's own import,
``.tidal-labelled-by.csv`` whose classes they are.
"""

from __future__ import annotations

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import (
    Content,
    Contents,
    LabelledImage,
    class_names,
    folder_names,
    labelled_images,
    put_image,
    who_labelled,
)
from tidal_core.files import replaced
from tidal_core.images.importers.folder import CLASS_NAMES_FILE, LABELLED_BY_FILE
from tidal_core.projects import Project

_READ = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})  # by torchvision
_READ_BY_KERAS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png"})
_NAMED = 3  # empty folders in a note


class _Tree(ABC):
    """Where the tree is written to."""

    @abstractmethod
    def put(self, content: Content, name: str) -> None:
        """One image."""

    @abstractmethod
    def put_text(self, name: str, text: str) -> None:
        """One more file."""

    @abstractmethod
    def put_folder(self, name: str) -> None:
        """An empty folder."""


class _Folder(_Tree):
    def __init__(self, root: Path, link: bool) -> None:
        self._root, self._link = root, link
        root.mkdir()

    def put(self, content: Content, name: str) -> None:
        put_image(content, self._root / name, self._link)

    def put_text(self, name: str, text: str) -> None:
        (self._root / name).write_text(text, encoding="utf-8")

    def put_folder(self, name: str) -> None:
        (self._root / name).mkdir(parents=True)


class _Zip(_Tree):
    """Files as they are: photos do not get smaller by packing them again."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def put(self, content: Content, name: str) -> None:
        self._archive.writestr(name, content.data)

    def put_text(self, name: str, text: str) -> None:
        self._archive.writestr(name, text)

    def put_folder(self, name: str) -> None:
        self._archive.mkdir(name)


class ImageFolderExporter:
    """The tree as a folder."""

    name = "imagefolder"
    title = "Folder per class (torchvision, Keras)"
    for_whom = "For training with torchvision, Keras or fastai: a folder of copies for each class."
    suffix = ""
    whats: tuple[What, ...] = ("labels",)
    from_store = False

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Copy, or link, every labelled image."""
        with replaced(target) as beside:
            return _write(project, target, options, _Folder(beside, options.link))


class ZipExporter:
    """The tree as a zip file."""

    name = "zip"
    title = "Zip of a folder per class"
    for_whom = "For sending images and labels to somebody: the same folders in one file."
    suffix = ".zip"
    whats: tuple[What, ...] = ("labels",)
    from_store = False

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Store every labelled image."""
        with replaced(target) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            return _write(project, target, options, _Zip(archive))


def _write(project: Project, target: Path, options: ExportOptions, tree: _Tree) -> ExportReport:
    images = labelled_images(project, options)
    folders = folder_names(class_names(project, images))
    contents = Contents(project, images, _READ)
    written: dict[str, LabelledImage] = {}
    for content in contents:
        name = f"{content.image.folder}/{folders[content.image.label]}/{content.name}"
        tree.put(content, name)
        written[name] = content.image
    empty = _empty_folders(written.values(), folders)
    for name in empty:
        tree.put_folder(name)
    tree.put_text(LABELLED_BY_FILE, who_labelled(written))
    names = {folder: name for name, folder in folders.items()}
    tree.put_text(CLASS_NAMES_FILE, json.dumps(names, ensure_ascii=False, indent=1))
    notes = (
        contents.note("torchvision"),
        _about_keras(contents),
        _about_empty(empty),
        note_on_model(project, options, hidden=True),
    )
    return ExportReport(target, len(written), tuple(contents.problems), " ".join(filter(None, notes)))


def _empty_folders(images: Collection[LabelledImage], folders: dict[str, str]) -> list[str]:
    """Folders that a class with images in one split only needs in the other, so that both have the same numbers."""
    there = {(image.folder, image.label) for image in images}
    splits = sorted({split for split, _ in there})
    labels = [name for name in folders if any(label == name for _, label in there)]
    return [f"{split}/{folders[label]}" for split in splits for label in labels if (split, label) not in there]


def _about_keras(contents: Contents) -> str:
    passed_over = {ending: count for ending, count in contents.endings.items() if ending not in _READ_BY_KERAS}
    if not passed_over:
        return ""
    return (
        f"Keras passes over files that end with {', '.join(sorted(passed_over))}: {sum(passed_over.values()):,} images."
    )


def _about_empty(empty: list[str]) -> str:
    if not empty:
        return ""
    named = ", ".join(empty[:_NAMED]) + (f" and {len(empty) - _NAMED:,} more" if len(empty) > _NAMED else "")
    folders = "This folder is" if len(empty) == 1 else "These folders are"
    return (
        f"{folders} empty: {named}. They keep the numbers of the classes the same in train and test; torchvision takes "
        "them with ImageFolder(..., allow_empty=True)."
    )
