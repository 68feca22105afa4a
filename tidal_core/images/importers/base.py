"""What every importer gives: images and problems, one after another, nothing decoded yet.

An importer knows one kind of source. ``sniff`` looks at a source and says whether it is of this kind, without reading
much of it; ``scan`` lists it. Importers never touch the store, decode no image and hold no image's bytes for longer
than one step of the iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tidal_core.images.importers.cells import CellRules
from tidal_core.images.sources import read_uri
from tidal_core.records import ImportProblem, Split


@dataclass(frozen=True)
class FoundImage:
    """One image of a source, not opened yet."""

    name: str  # what people call it: the path below the source's root
    uri: str  # opens it again later, see ``images.sources``
    label: str | None = None  # a class name that came along
    split: Split | None = None  # None where the source does not say
    annotator: str | None = None  # who gave the label, where the source says so
    sha256: str | None = None  # of its content, where the source says so: finds images that lie elsewhere now
    opener: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)

    def read(self) -> bytes:
        """The file's bytes. Raises ImageUnreadable."""
        return self.opener() if self.opener is not None else read_uri(self.uri, self.name)


@dataclass(frozen=True)
class FoundClass:
    """A class that the source names, whether or not an image carries it."""

    name: str
    key: str = ""  # the key that answers it, "" where the source does not say


@dataclass(frozen=True)
class Columns:
    """Which columns of a table say what; None where the table does not have it or it is still to be guessed."""

    image: str | None = None
    label: str | None = None  # "" where a person says that there is none
    one_hot: tuple[str, ...] = ()  # a column for each class, with 1 in that of the image's; then ``label`` is None
    split: str | None = None
    annotator: str | None = None
    sha256: str | None = None  # of the image's content, in tables that this studio wrote

    @property
    def labels_in_words(self) -> str:
        """Where the labels are: "the column 'breed'"; "" where there are none."""
        if self.one_hot:
            return (
                f"one column for each class ({', '.join(self.one_hot[:5])}{', ...' if len(self.one_hot) > 5 else ''})"
            )
        return f"the column {self.label!r}" if self.label else ""

    @property
    def in_words(self) -> str:
        """ "Columns read: images in 'id', labels in the column 'breed'." """
        roles = [f"images in {self.image!r}"]
        roles += [f"labels in {self.labels_in_words}"] if self.labels_in_words else ["no labels"]
        roles += [f"splits in {self.split!r}"] if self.split else []
        roles += [f"annotators in {self.annotator!r}"] if self.annotator else []
        return f"Columns read: {', '.join(roles)}."


@dataclass(frozen=True)
class ImportOptions:
    """What a person may say about a source."""

    workspace: Path | None = None  # a folder of the project's own, for what must be unpacked to be read again
    columns: Columns = field(default_factory=Columns)  # tables only; None is guessed
    images: Path | None = None  # the folder of the images that a table names; None: beside and below the table
    encoding: str | None = None  # of a text table; None is found out
    cells: CellRules = field(default_factory=CellRules)  # how cells with labels are read
    class_names: str | None = None  # a file with names for numbers; None: one beside the table that fits, "": none
    table: str | None = None  # in a folder, the table that has its labels; None: one that fits, "": none
    class_level: int | None = None  # trees of folders: the level that is the class, from 1; None is read from the tree


@dataclass(frozen=True)
class TableFacts:
    """What a table has besides the columns that are read."""

    names: tuple[str, ...] = ()  # of all its columns
    unused: tuple[tuple[str, str], ...] = ()  # those that are not read, each with one of its values
    offered: tuple[str, ...] = ()  # of the unused ones, those with few different values: may be labels
    named_by: str = ""  # the file that names the numbers of the classes, in words
    name_files: tuple[Path, ...] = ()  # those that could


@dataclass(frozen=True)
class Scan:
    """What a source holds. ``items`` can be gone through once."""

    source: str
    importer: str
    items: Iterable[FoundImage | ImportProblem]
    classes: tuple[FoundClass, ...] = ()  # in the source's order; more may come with the images
    total: int | None = None  # images, None where only listing them would tell
    title: str = ""  # what to call a project made of it
    columns: Columns | None = None  # tables only: what was guessed or given
    table: TableFacts | None = None  # tables only: what else a person may choose from
    label_remarks: tuple[ImportProblem, ...] = ()  # where labels may not be what a person means, if they are asked for

    @property
    def how_read(self) -> str:
        """By which columns a table is read, for people; "" for what is no table."""
        words = self.columns.in_words if self.columns is not None else ""
        named_by = f" Numbers get their names from {self.table.named_by}." if self.table and self.table.named_by else ""
        return words + named_by


class Importer(Protocol):
    """One kind of source."""

    name: str

    def sniff(self, source: str) -> bool:
        """Whether this importer can read the source: a path, or a URI."""
        ...

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """List the source. Raises InputError when nothing of it can be used."""
        ...
