"""A tree that torchvision's ImageFolder, Keras and most tools read: ``train/CLASS/IMAGE`` and ``test/CLASS/IMAGE``.

As a folder or as its zip. Class names that no folder can have are percent-encoded; ``.tidal-classes.json`` beside the
folders holds the names as they are, for this studio's own import, ``.tidal-labelled-by.csv`` whose classes they are.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import (
    LabelledImage,
    class_names,
    contents,
    file_name,
    folder_names,
    labelled_images,
    put_image,
    who_labelled,
)
from tidal_core.files import replaced
from tidal_core.images.importers.folder import CLASS_NAMES_FILE, LABELLED_BY_FILE
from tidal_core.projects import Project
from tidal_core.records import ImportProblem


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
        images = labelled_images(project, options)
        folders = folder_names(class_names(project, images))
        problems: list[ImportProblem] = []
        with replaced(target) as beside:
            beside.mkdir()
            written: dict[str, LabelledImage] = {}
            for image, data in contents(project, images, problems):
                name = f"{image.folder}/{folders[image.label]}/{file_name(image, data)}"
                put_image(image, data, beside / name, options.link)
                written[name] = image
            (beside / LABELLED_BY_FILE).write_text(who_labelled(written), encoding="utf-8")
            (beside / CLASS_NAMES_FILE).write_text(_names(folders), encoding="utf-8")
        return ExportReport(target, len(written), tuple(problems), note_on_model(project, options, hidden=True))


class ZipExporter:
    """The tree as a zip file."""

    name = "zip"
    title = "Zip of a folder per class"
    for_whom = "For sending images and labels to somebody: the same folders in one file."
    suffix = ".zip"
    whats: tuple[What, ...] = ("labels",)
    from_store = False

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Store every labelled image as it is: photos do not get smaller by packing them again."""
        images = labelled_images(project, options)
        folders = folder_names(class_names(project, images))
        problems: list[ImportProblem] = []
        written: dict[str, LabelledImage] = {}
        with replaced(target) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            for image, data in contents(project, images, problems):
                name = f"{image.folder}/{folders[image.label]}/{file_name(image, data)}"
                archive.writestr(name, data)
                written[name] = image
            archive.writestr(LABELLED_BY_FILE, who_labelled(written))
            archive.writestr(CLASS_NAMES_FILE, _names(folders))
        return ExportReport(target, len(written), tuple(problems), note_on_model(project, options, hidden=True))


def _names(folders: dict[str, str]) -> str:
    return json.dumps({folder: name for name, folder in folders.items()}, ensure_ascii=False, indent=1)
