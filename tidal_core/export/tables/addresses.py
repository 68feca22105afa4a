"""What a file of labels calls its images: the path or the address that other programs open.

Images within a Parquet file or a data set have an address that only this studio opens. They are written into a folder
beside the file (``labels_images/`` beside ``labels.csv``), and the file names them there. Where only the file can go
(a download, an export that a running studio makes), their addresses stay, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.export.tables.base import ExportOptions
from tidal_core.export.tables.trees import file_name
from tidal_core.files import replaced, write
from tidal_core.images.reading import kind_of
from tidal_core.images.sources import has_file_of_its_own, read_original
from tidal_core.projects import Project
from tidal_core.records import ImportProblem

FOLDER_ENDING = "_images"


@dataclass
class Addresses:
    """The name of each image in a file that is being written, and what people should know of it."""

    folder: str  # of the images that were written beside the file
    named: dict[int, str] = field(default_factory=dict)  # image id to its path below the file's folder
    problems: list[ImportProblem] = field(default_factory=list)  # images that could not be written
    without: int = 0  # images whose address no other program opens

    def of(self, image_id: int, uri: str) -> str:
        """What the file calls an image: a path below its own folder, else the URI."""
        return self.named.get(image_id, uri)

    def in_table(self, table: pa.Table) -> pa.Table:
        """A table of image_id and path with the names of the images as its paths."""
        if not self.named:
            return table
        pairs = zip(table.column("image_id").to_pylist(), table.column("path").to_pylist(), strict=True)
        paths = pa.array([self.of(image_id, uri) for image_id, uri in pairs], pa.string())
        return table.set_column(table.column_names.index("path"), "path", paths)

    @property
    def note(self) -> str:
        """One or two sentences, "" where every image has a file or an address of its own."""
        sentences = []
        if self.named:
            sentences.append(
                f"{len(self.named):,} of the images lie within a Parquet file or a data set: they were written into "
                f"{self.folder}/ beside the file, which names them there."
            )
        if self.without:
            sentences.append(
                f"{self.without:,} of the images lie within a Parquet file or a data set, and no other program opens "
                "their address; for files of them export while the studio is closed, or export a folder of images."
            )
        return " ".join(sentences)


def rows_with_images(options: ExportOptions, table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table whose images other programs want to open: of labels; other tables are read with them."""
    if options.what != "labels":
        return []
    return cast("list[dict[str, Any]]", table.select(["image_id", "path", "name", "sha256"]).to_pylist())


@contextmanager
def addressed(
    project: Project, target: Path, options: ExportOptions, images: Iterable[Mapping[str, Any]]
) -> Iterator[Addresses]:
    """Names for images (``image_id``, ``path``, ``name``, ``sha256``) of the file ``target``.

    A new folder beside it stays only where the block ends well; in one that is replaced, files of other names stay.
    Raises InputError where that folder is there and must not be replaced.
    """
    stem = target.name.partition(".")[0] or target.name.strip(".")
    addresses = Addresses(f"{stem}{FOLDER_ENDING}")
    inside = [image for image in images if not has_file_of_its_own(image["path"])]
    if not inside or not options.beside:
        addresses.without = len(inside)
        yield addresses
        return
    folder = target.with_name(addresses.folder)
    if folder.exists() and not options.overwrite:
        raise InputError(
            f"{folder} already exists, and images would be written there; choose another name, or replace it with "
            "--overwrite."
        )
    with nullcontext(folder) if folder.exists() else replaced(folder) as beside:
        beside.mkdir(exist_ok=True)
        for image in inside:
            try:
                data = read_original(project.folder, image["path"], image["name"], image["sha256"])
            except ImageUnreadable as error:
                addresses.problems.append(ImportProblem(image["name"], error.reason, error.remedy))
                addresses.without += 1
                continue
            name = file_name(image["image_id"], image["name"], kind_of(data))
            write(beside / name, data)
            addresses.named[image["image_id"]] = f"{addresses.folder}/{name}"
        yield addresses
