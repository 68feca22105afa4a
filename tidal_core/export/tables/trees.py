"""What the exporters that write images have in common: which images, under which names, with which bytes.

The images are those with a current label, where asked for those whose class of the model was accepted, and test images
with a known class. Files keep their bytes: a copy in the export is the original, bit for bit. Names begin with the
image's number, so that no two collide.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tidal_core.errors import ImageUnreadable
from tidal_core.export.tables.base import ExportOptions, only_chosen
from tidal_core.images.importers.folder import is_left_out
from tidal_core.images.reading import SUFFIXES
from tidal_core.images.sources import read_original, uri_path
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Split
from tidal_core.text import SpreadsheetRows

_MAGIC = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
_FOLDERS = {Split.POOL: "train", Split.TEST: "test"}


@dataclass(frozen=True)
class LabelledImage:
    """One image with what is known of it."""

    id: int
    uri: str
    name: str
    sha256: str
    width: int
    height: int
    split: Split
    label: str
    annotator: str | None  # None where the label is the known class of a test image
    labelled_by: str  # "person", "model", or "none" where the label is the known class of a test image

    @property
    def folder(self) -> str:
        """``train`` or ``test``."""
        return _FOLDERS[self.split]


def labelled_images(project: Project, options: ExportOptions) -> list[LabelledImage]:
    """Images with a label (the model's where asked for), and test images with a known class, by id; of those chosen."""
    images = []
    for row in only_chosen(project, options, project.store.exports.images()).to_pylist():
        if row["labelled_by"] == "model" and not options.with_model:
            continue
        split = Split(row["split"])
        label = row["label"] or (row["known_label"] if split is Split.TEST else None)
        if label is not None:
            images.append(
                LabelledImage(
                    row["image_id"],
                    row["path"],
                    row["name"],
                    row["sha256"],
                    row["width"],
                    row["height"],
                    split,
                    label,
                    row["annotator"],
                    row["labelled_by"],
                )
            )
    return images


def class_names(project: Project, images: list[LabelledImage]) -> list[str]:
    """Names of the classes in the project's order, those without an image included."""
    names = [record.name for record in project.store.classes.all()]
    return list(dict.fromkeys([*names, *(image.label for image in images)]))


def file_name(image: LabelledImage, data: bytes | None = None) -> str:
    """A file name of its own: the number, then what is left of the image's name, then its suffix."""
    path = PurePosixPath(image.name)
    suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ""
    stem = path.stem if suffix else path.name
    if not suffix and data is not None:
        suffix = next((known_suffix for magic, known_suffix in _MAGIC.items() if data.startswith(magic)), ".png")
    plain = re.sub(r"[^\w.-]+", "_", stem, flags=re.ASCII)[:80].strip("._")
    return f"{image.id:06d}{'_' + plain if plain else ''}{suffix}"


def folder_names(names: list[str]) -> dict[str, str]:
    """A folder name for each class: what no file system can hold is percent-encoded, and no two are alike."""
    chosen: dict[str, str] = {}
    for name in names:
        safe = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|%]', lambda match: f"%{ord(match.group()):02X}", name)
        if is_left_out(safe):
            safe = f"%{ord(safe[0]):02X}{safe[1:]}"
        if safe.endswith((".", " ")):
            safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
        safe = safe.encode()[:180].decode(errors="ignore")
        taken = {folder.casefold() for folder in chosen.values()}
        number = 2
        free = safe
        while free.casefold() in taken:  # Daisy and daisy are one folder on some systems
            free = f"{safe}~{number}"
            number += 1
        chosen[name] = free
    return chosen


def contents(
    project: Project, images: list[LabelledImage], problems: list[ImportProblem]
) -> Iterator[tuple[LabelledImage, bytes]]:
    """Images with their bytes; those that cannot be read any more are noted in ``problems``."""
    for image in images:
        try:
            yield image, read_original(project.folder, image.uri, image.name, image.sha256)
        except ImageUnreadable as error:
            problems.append(ImportProblem(image.name, error.reason, error.remedy))


def who_labelled(names: Mapping[str, LabelledImage]) -> str:
    """A table of whose class each file has, by its path in a tree that has no room for that."""
    text = io.StringIO()
    rows = SpreadsheetRows(text)
    rows.writerow(("file", "label", "labelled_by", "annotator"))
    rows.writerows((name, image.label, image.labelled_by, image.annotator) for name, image in names.items())
    return text.getvalue()


def put_image(image: LabelledImage, data: bytes, target: Path, link: bool) -> None:
    """Put one image at ``target``: a link to the original where that is asked for and there is one, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    original = uri_path(image.uri)
    if link and original is not None:
        os.symlink(original, target)
    else:
        target.write_bytes(data)
