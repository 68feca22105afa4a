"""Zip and tar archives of images, unpacked into the project's own folder as they are read.

Nothing is written outside that folder: absolute names, names with ``..`` and links are refused by name. Nothing is
unpacked without bound: a member may have 1 GB, all of them a hundred times the archive and what the disk has left;
what describes the members is read in bounded memory; archives within archives are named, not opened. What is inside is
then read like a folder of the same content, also when it is a data set that another importer knows (CVAT,
``metadata.csv``, Parquet).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from tidal_core.errors import DISK_FULL, InputError, reason_of
from tidal_core.files import atomic_file, sweep
from tidal_core.images.importers.base import FoundImage, Importer, ImportOptions, Scan
from tidal_core.images.importers.folder import (
    CLASS_NAMES_FILE,
    LABELLED_BY_FILE,
    SKIPPED,
    FolderImporter,
    image_of,
    is_left_out,
    ordered_classes,
)
from tidal_core.images.importers.folder_table import FolderTableImporter
from tidal_core.images.importers.table import SUFFIXES as TABLE_SUFFIXES
from tidal_core.images.importers.tree import Folder, Meaning, read_tree, split_kind
from tidal_core.images.importers.zip_names import names_in_zip
from tidal_core.images.reading import SUFFIXES, looks_like_an_image
from tidal_core.images.sources.file import MAX_FILE_BYTES, shown_name
from tidal_core.records import ImportProblem

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHER_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
MAX_EXPANSION = 100  # times the archive's size; photos hardly compress, drawings saved as BMP do
ALWAYS_ALLOWED_BYTES = 100_000_000  # whatever the archive's size
SPARE_BYTES = 500_000_000  # left free on the disk
MAX_MEMBERS = 2_000_000
OWN_FILES = (CLASS_NAMES_FILE, LABELLED_BY_FILE)  # hidden, and read
DATA_SET_FILES = {"annotations.xml", "metadata.csv", "metadata.jsonl", "labels.json", *OWN_FILES}
_TABLES = {*TABLE_SUFFIXES, ".json", ".xml", ".parquet", ".txt", ".yaml", ".yml"}
_MAX_HEADER_BYTES = 1 << 20  # of what a tar says about one member: it is read whole
_MAX_LIST_BYTES = 500_000_000  # of a zip's list of members, which is read whole
_MAX_XZ_MEMORY = 200_000_000  # bytes; xz itself asks for at most 65 MB unless told otherwise
_PEEKED_BYTES = 50_000_000  # of one image that is only looked at
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}  # the others may ask for any memory
_HASHED_BYTES = 1 << 20  # of an archive's beginning and of its end
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError),
    *(NotImplementedError, ValueError, MemoryError),  # of numbers and names that no archiver writes
)


class _InOurWords(tarfile.ReadError, zipfile.BadZipFile):
    """What is refused here, and not by the library that reads the archive."""


@dataclass
class _Listing:
    """What an archive says it holds: where each member goes, by its name in the archive, and what is wrong."""

    members: dict[str, PurePosixPath] = field(default_factory=dict)
    contents: dict[PurePosixPath, tuple[int, int]] = field(default_factory=dict)  # bytes of each, and its checksum
    problems: list[ImportProblem] = field(default_factory=list)
    bytes: int = 0

    def refuse(self, name: str, reason: str, remedy: str) -> None:
        self.problems.append(ImportProblem(shown_name(name), reason, remedy))


class _Member(tarfile.TarInfo):
    """A tar's member whose description is read in bounded memory; sparse files, which no photo is, end the reading."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        described = {
            *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
            *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
        }
        if self.type in described and self.size > _MAX_HEADER_BYTES:
            raise _InOurWords(f"a member's description has {self.size / 1e6:,.0f} MB")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise self._sparse()
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]  # the hook that tarfile documents
        if any(key.startswith("GNU.sparse") for key in member.pax_headers):
            raise self._sparse()
        return member

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise self._sparse()

    @staticmethod
    def _sparse() -> tarfile.ReadError:
        return _InOurWords("it holds a sparse file, which is not read")


class _BoundedFile(io.BufferedReader):
    """A zip's file: its list of members is asked for in one piece, of whatever length the file says."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MAX_LIST_BYTES:
            raise _InOurWords(f"its list of members has {size / 1e6:,.0f} MB")
        return super().read(size)


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    with _BoundedFile(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _tar(path: Path, mode: Literal["r", "r|*"]) -> tarfile.TarFile:
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if start.startswith(b"\xfd7zXZ\0"):
        lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY).decompress(start, 1)  # LZMAError where it needs more
    return tarfile.open(path, mode, tarinfo=_Member)


class ArchiveImporter:
    """A zip or tar file. ``data_set_importers`` read the data sets that may be inside."""

    name = "archive"

    def __init__(self, data_set_importers: tuple[Importer, ...] = ()) -> None:
        self._data_set_importers = data_set_importers

    def sniff(self, source: str) -> bool:
        """Whether the source is a file named like an archive, or a zip under another name."""
        path = Path(source).expanduser()
        return path.is_file() and (path.name.lower().endswith(ARCHIVE_SUFFIXES) or zipfile.is_zipfile(path))

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the archive's list; its images are unpacked one by one as they are gone through."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        if options.workspace is None:
            raise InputError(
                f"{path} is an archive and there is no folder to unpack it into; unpack it and import the folder."
            )
        listing = _list(path, _budget(path, options.workspace))
        root = _common_root(listing)
        below = [member.relative_to(root) for member in listing.members.values()]
        folder = options.workspace / _folder_name(path)
        title = re.sub(r"\.(zip|tgz|tbz2|txz|tar(\.\w+)?)$", "", path.name, flags=re.IGNORECASE)
        has_table = any(member.suffix.lower() in TABLE_SUFFIXES for member in below)
        is_data_set = any(_is_of_data_set(member) for member in below)
        if has_table or is_data_set:
            unpacked = [item for item in _unpack(path, listing, folder) if isinstance(item, ImportProblem)]
            # A folder that was packed as it is holds everything, and reads like a label of which all images are.
            inner = PurePosixPath(os.path.commonpath([member.parent for member in listing.members.values()]))
            for importer, below_folder in itertools.product(self._data_set_importers, dict.fromkeys((inner, root))):
                if _reads(importer, folder / below_folder, options):
                    data_set: Scan = importer.scan(str(folder / below_folder), options)
                    if importer.name == FolderTableImporter.name:
                        unpacked = [item for item in unpacked if Path(item.name).suffix.lower() not in _TABLES]
                    items = itertools.chain(unpacked, data_set.items)
                    return replace(data_set, source=str(path), importer=self.name, items=items, title=title)
            if is_data_set:
                tree = FolderImporter().scan(str(folder / root), options)
                items = itertools.chain(unpacked, tree.items)
                return replace(tree, source=str(path), importer=self.name, items=items, title=title)
        meaning = _meaning(listing, options.class_level)
        for name, member in list(listing.members.items()):
            if meaning.is_copy(member.parent.parts):
                del listing.members[name]
        total = len(listing.members) + len(listing.problems)
        items = itertools.chain(meaning.copies, _images(path, listing, folder, root, meaning))
        classes = ordered_classes(meaning, {})
        return Scan(str(path), self.name, items, classes, total, title, label_remarks=meaning.label_remarks)

    def peek(self, source: str) -> Iterator[FoundImage | ImportProblem]:
        """The first images, with nothing written to the disk."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        for entry in _contents(path, _list(path, ALWAYS_ALLOWED_BYTES)):
            if isinstance(entry, ImportProblem):
                continue
            member, file = entry
            if member.suffix.lower() not in SUFFIXES:
                continue
            try:
                data = file.read(_PEEKED_BYTES + 1)
            except _DAMAGE as error:
                yield _cannot_be_unpacked(member, error)
                continue
            if len(data) <= _PEEKED_BYTES:
                yield FoundImage(member.name, member.as_posix(), opener=_Bytes(data))


def _reads(importer: Importer, folder: Path, options: ImportOptions) -> bool:
    """Whether an importer is the one for an unpacked folder; a table that a person named is read as that."""
    if importer.name == FolderTableImporter.name and options.table is not None:
        return bool(options.table) and (folder / options.table).is_file()
    return importer.sniff(str(folder))


def _is_of_data_set(member: PurePosixPath) -> bool:
    return member.name.lower() in DATA_SET_FILES or member.suffix.lower() == ".parquet"


@dataclass(frozen=True)
class _Bytes:
    data: bytes

    def __call__(self) -> bytes:
        return self.data


def safe_path(name: str) -> PurePosixPath | None:
    """A member's name as a path below the folder it is unpacked to; None when it leads elsewhere."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or "\0" in plain:
        return None
    path = PurePosixPath(plain)
    return path if path.parts and ".." not in path.parts else None


def _budget(path: Path, workspace: Path) -> int:
    """How many bytes an archive may unpack to."""
    workspace.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(workspace).free - SPARE_BYTES
    return max(0, min(free, max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * path.stat().st_size)))


def _folder_name(path: Path) -> str:
    """The same for the same archive, so that importing it again finds its files where they were."""
    facts = path.stat()
    digest = hashlib.sha256(f"{facts.st_size}:".encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(file.tell(), facts.st_size - _HASHED_BYTES))  # a zip's checksums are at its end
        digest.update(file.read())
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:40].strip("-")
    return f"{stem or 'archive'}-{digest.hexdigest()[:12]}"


def _list(path: Path, budget: int) -> _Listing:
    """What can be unpacked. Raises InputError when the archive cannot be opened at all."""
    listing = _Listing()
    try:
        if zipfile.is_zipfile(path):
            with _zip(path) as archive:
                entries = archive.infolist()
                names, guessed = names_in_zip(entries)
                listing.problems += guessed
                for info in entries:
                    mode = info.external_attr >> 16
                    kind = "link" if stat.S_ISLNK(mode) else "folder" if info.is_dir() else "file"
                    kind = "packed" if info.compress_type not in _ZIP_METHODS else kind
                    kind = "locked" if info.flag_bits & 1 else kind
                    if not _note(listing, info.filename, kind, info.file_size, budget, names[info.filename], info.CRC):
                        break
        else:
            with _tar(path, "r") as tar:
                for member in tar:
                    link = member.issym() or member.islnk()
                    kind = "file" if member.isreg() else "folder" if member.isdir() else "link" if link else "other"
                    if not _note(listing, member.name, kind, member.size, budget, member.name):
                        break
    except _DAMAGE as error:
        if not listing.members:
            raise InputError(f"{path} cannot be read as an archive ({_in_words(error)}); copy it again.") from error
        listing.refuse(path.name, *_damaged(error))
    return listing


def _note(listing: _Listing, member: str, kind: str, size: int, budget: int, name: str, checksum: int = 0) -> bool:
    """Take down one member, of the name that the archive's reader gives it and the one it has; whether to go on."""
    path = safe_path(name)
    hidden = path is not None and any(is_left_out(part) for part in path.parts)
    listing.bytes += size
    lower = name.lower()
    if listing.bytes > budget or len(listing.members) >= MAX_MEMBERS:
        listing.refuse(
            name,
            f"the archive would unpack to more than {budget / 1e9:.1f} GB: this file and all after it were skipped",
            "unpack it yourself and import the folder",
        )
        return False
    if kind == "folder" or (hidden and path is not None and path.name not in OWN_FILES):
        return True
    if path is None:
        listing.refuse(name, "its name points outside the archive's folder", "make the archive again without it")
    elif kind == "link":
        listing.refuse(name, "it is a link, and links in archives are not followed", "put the file itself in")
    elif kind == "other":
        listing.refuse(name, "it is not a regular file", "make the archive again without it")
    elif kind == "locked":
        listing.refuse(name, "it is encrypted", "unpack it yourself and import the folder")
    elif kind == "packed":
        listing.refuse(name, "it is compressed in a way that is not read", "make the archive again as a usual zip")
    elif lower.endswith(ARCHIVE_SUFFIXES + OTHER_ARCHIVES):
        listing.refuse(name, "it is an archive inside the archive", "unpack it and import it separately")
    elif size > MAX_FILE_BYTES:
        listing.refuse(name, f"it would unpack to {size / 1e9:.1f} GB; 1 GB is the limit", "save the image smaller")
    elif path in listing.contents:
        listing.refuse(name, "the archive has two files of this name; the first was read", "rename the second")
    elif any(len(os.fsencode(part)) > 255 for part in path.parts):
        listing.refuse(name, "its name is longer than 255 bytes", "give it a shorter name")
    else:
        listing.members[member] = path
        listing.contents[path] = (size, checksum)
    return True


def _common_root(listing: _Listing) -> PurePosixPath:
    """The folder that holds everything: ``flowers/daisy/1.jpg`` beside ``flowers/rose/2.jpg`` are below flowers."""
    root = PurePosixPath()
    parents = [path.parent.parts for path in listing.members.values()]
    while parents:
        depth = len(root.parts)
        heads = {parts[depth] if len(parts) > depth else "" for parts in parents}
        below = {parts[depth + 1] if len(parts) > depth + 1 else "" for parts in parents}
        head = next(iter(heads))
        if len(heads) > 1 or head == "" or split_kind(head) is not None or below == {""}:
            return root
        root = root / head
    return root


def _meaning(listing: _Listing, class_level: int | None) -> Meaning:
    """What the folders in the archive say."""
    top = Folder()
    for member in listing.contents:
        folder = top.below(member.parent.parts)
        if member.suffix.lower() in SUFFIXES or not member.suffix:  # only unpacking would tell
            folder.add_image()

    def same_files(copy: tuple[str, ...], original: tuple[str, ...]) -> bool:
        inside = PurePosixPath(*copy)
        return all(
            listing.contents.get(PurePosixPath(*original, member.relative_to(inside))) == content
            for member, content in listing.contents.items()
            if member.is_relative_to(inside)
        )

    return read_tree(top, class_level, same_files)


def _images(
    path: Path, listing: _Listing, folder: Path, root: PurePosixPath, meaning: Meaning
) -> Iterator[FoundImage | ImportProblem]:
    for item in _unpack(path, listing, folder):
        if isinstance(item, ImportProblem):
            yield item
        else:
            name = shown_name(item.relative_to(root))
            yield replace(image_of(folder, item, meaning), name=name)


def _unpack(path: Path, listing: _Listing, folder: Path) -> Iterator[PurePosixPath | ImportProblem]:
    """Write members below ``folder``; yields each that is an image once it lies there."""
    sweep(folder, below=True)
    yield from listing.problems
    for entry in _contents(path, listing):
        if isinstance(entry, ImportProblem):
            yield entry
            continue
        member, file = entry
        name = shown_name(member)
        try:
            start = file.read(16)
            suffix = member.suffix.lower()
            if suffix not in SUFFIXES and suffix not in _TABLES and not looks_like_an_image(start):
                yield _not_an_image(name)
                continue
            _write(folder / member, start, file)
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise  # no word about the archive, and none of what follows would fit either
            yield _cannot_be_unpacked(member, error)
            continue
        if suffix in SUFFIXES or looks_like_an_image(start):
            yield member
        elif member.name.lower() not in DATA_SET_FILES and suffix != ".parquet":
            yield _not_an_image(name)


def _not_an_image(name: str) -> ImportProblem:
    return ImportProblem(name, "it is not an image", SKIPPED)


def _cannot_be_unpacked(member: PurePosixPath, error: Exception) -> ImportProblem:
    return ImportProblem(shown_name(member), f"it cannot be unpacked ({reason_of(error)})", "make the archive again")


def _damaged(error: Exception) -> tuple[str, str]:
    """Reason and remedy for an archive of which only the beginning can be read."""
    return f"it is cut off or damaged ({_in_words(error)}); what comes before the damage was read", "copy it again"


def _in_words(error: Exception) -> str:
    """What is wrong with an archive, without the words of the library that reads it."""
    if isinstance(error, _InOurWords):
        return str(error)
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return "unpacking it takes too much memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its bytes are not those of a zip or tar, or not all of them"


def _contents(path: Path, listing: _Listing) -> Iterator[tuple[PurePosixPath, IO[bytes]] | ImportProblem]:
    """The listed members, open, one after another."""
    remaining = dict(listing.members)
    try:
        if zipfile.is_zipfile(path):
            with _zip(path) as archive:
                for entry in archive.infolist():  # by its entry: a name that is there twice opens the last one
                    member = remaining.pop(entry.filename, None)
                    if member is None:
                        continue
                    try:
                        with archive.open(entry) as file:
                            yield member, file
                    except _DAMAGE as error:
                        yield _cannot_be_unpacked(member, error)
            return
        with _tar(path, "r|*") as tar:  # as a stream: compressed archives cannot be read backwards
            for info in tar:
                member_path = remaining.pop(info.name, None)
                content = tar.extractfile(info) if member_path is not None and info.isreg() else None
                if member_path is not None and content is not None:
                    yield member_path, content
                if not remaining:
                    return
    except _DAMAGE as error:
        yield ImportProblem(path.name, *_damaged(error))


def _write(target: Path, start: bytes, file: IO[bytes]) -> None:
    """A file that is there is whole; no more than a file may have.

    What an earlier import has unpacked is left as it is, so that it is known to be unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(target, keep_equal=True) as out:
        out.write(start)
        written = len(start)
        while chunk := file.read(1 << 20):
            written += len(chunk)
            if written > MAX_FILE_BYTES:
                raise RuntimeError("it is larger than the archive says")
            out.write(chunk)
