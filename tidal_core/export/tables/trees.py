"""What the exporters that write images have in common: which images, under which names, with which bytes.

The images are those with a current label, where asked for those whose class of the model was accepted, and test images
with a known class. Files keep their bytes: a copy in the export is the original, bit for bit, unless it is of a kind
that the reader of the export passes over; then it is written as PNG, and the report says so. Names begin with the
image's number, so that no two collide, and end as what the file is, whatever it was called.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tidal_core.errors import ImageUnreadable
from tidal_core.export.tables.base import ExportOptions, only_chosen
from tidal_core.images.importers.folder import is_left_out
from tidal_core.images.reading import SUFFIXES, kind_of, open_image
from tidal_core.images.sources import read_original, uri_path
from tidal_core.images.squares import png_bytes
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Split
from tidal_core.text import SpreadsheetRows

_ENDINGS = {  # of each kind of file, those that readers know; the first where the name has another
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
    "TGA": (".tga",),
    "JPEG2000": (".jp2", ".j2k"),
    "ICO": (".ico",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
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
    table = project.store.exports.images(with_model=options.with_model)
    for row in only_chosen(project, options, table).to_pylist():
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


def file_name(image_id: int, image_name: str, kind: str | None) -> str:
    """A file name of its own: the number, then what is left of the image's name, then the ending of what it is."""
    path = PurePosixPath(image_name)
    suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ""
    stem = path.stem if suffix else path.name
    endings = _ENDINGS.get(kind or "", (suffix or ".png",))
    plain = re.sub(r"[^\w.-]+", "_", stem, flags=re.ASCII)[:80].strip("._")
    return f"{image_id:06d}{'_' + plain if plain else ''}{suffix if suffix in endings else endings[0]}"


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


@dataclass(frozen=True)
class Content:
    """One image as it is written."""

    image: LabelledImage
    data: bytes
    name: str  # of its file
    is_original: bool = True  # not converted


@dataclass
class Contents:
    """Images with their bytes, one after another, and what people should know of them in the end.

    ``takes`` are the endings that the reader of the export knows, None for all; images of other kinds become PNG.
    """

    project: Project
    images: Sequence[LabelledImage]
    takes: frozenset[str] | None = None
    problems: list[ImportProblem] = field(default_factory=list)  # images that cannot be read any more
    converted: Counter[str] = field(default_factory=Counter)  # kinds that became PNG
    endings: Counter[str] = field(default_factory=Counter)  # of the files

    def __iter__(self) -> Iterator[Content]:
        for image in self.images:
            try:
                content = self._content(image)
            except ImageUnreadable as error:
                self.problems.append(ImportProblem(image.name, error.reason, error.remedy))
                continue
            self.endings[PurePosixPath(content.name).suffix] += 1
            yield content

    def _content(self, image: LabelledImage) -> Content:
        data = read_original(self.project.folder, image.uri, image.name, image.sha256)
        kind = kind_of(data)
        name = file_name(image.id, image.name, kind)
        ending = PurePosixPath(name).suffix
        if self.takes is None or ending in self.takes:
            return Content(image, data, name)
        picture, _ = open_image(data, image.name)
        self.converted[kind or ending] += 1
        return Content(image, png_bytes(picture), PurePosixPath(name).stem + ".png", is_original=False)

    def note(self, reader: str) -> str:
        """Which images were converted for a reader, in a sentence; "" for none."""
        if not self.converted:
            return ""
        kinds = ", ".join(sorted(self.converted))
        return (
            f"{self.converted.total():,} of the images are of kinds that {reader} passes over ({kinds}): they were "
            "written as PNG, as the studio shows them."
        )


def who_labelled(names: Mapping[str, LabelledImage]) -> str:
    """A table of whose class each file has, by its path in a tree that has no room for that."""
    text = io.StringIO()
    rows = SpreadsheetRows(text)
    rows.writerow(("file", "label", "labelled_by", "annotator"))
    rows.writerows((name, image.label, image.labelled_by, image.annotator) for name, image in names.items())
    return text.getvalue()


def put_image(content: Content, target: Path, link: bool) -> None:
    """Put one image at ``target``: a link to the original where that is asked for and there is one, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    original = uri_path(content.image.uri)
    if link and content.is_original and original is not None:
        os.symlink(original, target)
    else:
        target.write_bytes(content.data)
