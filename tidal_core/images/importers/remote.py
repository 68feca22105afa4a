"""A tree of images that lies elsewhere, ``s3://bucket/photos`` or ``https://host/photos/``, read as a folder is.

One folder is listed at a time, when its turn comes: the first images are imported while the rest is still unknown.
Which folders are classes ``tree`` reads from no more of them than it needs, and takes those that it does not look into
to hold images. Hidden files are left out; what cannot be listed is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from tidal_core.errors import InputError
from tidal_core.files import sweep
from tidal_core.images.importers.base import FoundImage, ImportOptions, Scan
from tidal_core.images.importers.folder import SKIPPED, image_of, is_left_out, ordered_classes
from tidal_core.images.importers.tree import Folder, Meaning, natural_key, read_tree
from tidal_core.images.reading import SUFFIXES, looks_like_an_image
from tidal_core.images.sources.remote import cache_folder, list_folder, protocol_of, start_of, why_not
from tidal_core.records import ImportProblem

_MAX_DEPTH = 64


class RemoteImporter:
    """Images below a URI of one of fsspec's protocols."""

    name = "remote tree"

    def sniff(self, source: str) -> bool:
        """Whether the source is a URI such as s3://, gs:// or https://."""
        return protocol_of(source) is not None

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """List the tree lazily; the classes are the names of the label folders."""
        sweep(cache_folder(), below=True)
        root = source.rstrip("/")
        if len(root) <= len(f"{protocol_of(source)}:/"):
            root = f"{protocol_of(source)}://"
        try:
            top = _entries(root, PurePosixPath())
        except InputError:
            raise
        except Exception as error:  # each protocol raises errors of its own
            reason, remedy = why_not(error)
            raise InputError(f"{source} cannot be listed: {reason}; {remedy}.") from error
        if not top:
            raise InputError(
                f"{source} is empty, or its server does not list folders; give the address of a folder that it lists."
            )
        meaning = read_tree(_folder(root, PurePosixPath(), top), options.class_level)
        title = PurePosixPath(root.partition("://")[2]).name
        items = chain(meaning.copies, _walk(root, meaning))
        classes = ordered_classes(meaning, {})
        return Scan(source, self.name, items, classes, title=title, label_remarks=meaning.label_remarks)


def _folder(root: str, path: PurePosixPath, entries: list[tuple[str, bool]] | None = None) -> Folder:
    """A folder that is listed once somebody asks what is in it; one that cannot be listed is empty, and named later."""

    def look() -> tuple[dict[str, Folder], int]:
        try:
            listed = _entries(root, path) if entries is None else entries
        except Exception:  # each protocol raises errors of its own
            return {}, 0
        images = sum(PurePosixPath(name).suffix.lower() in SUFFIXES for name, is_folder in listed if not is_folder)
        return {name: _folder(root, path / name) for name, is_folder in listed if is_folder}, images

    return Folder(look)


def _entries(root: str, folder: PurePosixPath) -> list[tuple[str, bool]]:
    """Names in a folder and whether each is a folder, in the order a person expects."""
    entries = [entry for entry in list_folder(_uri(root, folder)) if not is_left_out(entry[0])]
    return sorted(entries, key=lambda entry: natural_key(entry[0]))


def _uri(root: str, relative: PurePosixPath) -> str:
    below = relative.as_posix() if relative.parts else ""
    if protocol_of(root) in {"http", "https"}:
        below = quote(below)
    return root if not below else f"{root}{'' if root.endswith('/') else '/'}{below}"


def _walk(root: str, meaning: Meaning) -> Iterator[FoundImage | ImportProblem]:
    """Depth first, files before folders, each in natural order."""
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(root, folder)
        except Exception as error:  # each protocol raises errors of its own
            reason, remedy = why_not(error)
            yield ImportProblem(folder.as_posix(), f"the folder cannot be listed: {reason}", remedy)
            continue
        folders = []
        for name, is_folder in entries:
            if not is_folder:
                yield _file(root, folder / name, meaning)
            elif len(folder.parts) >= _MAX_DEPTH:
                yield ImportProblem(
                    (folder / name).as_posix(),
                    f"it is more than {_MAX_DEPTH} folders deep",
                    "move it to a higher folder",
                )
            else:
                folders.append(folder / name)
        waiting.extend(reversed(folders))


def _file(root: str, relative: PurePosixPath, meaning: Meaning) -> FoundImage | ImportProblem:
    """A file by its suffix; one without a suffix by its first bytes."""
    suffix = relative.suffix.lower()
    image = replace(image_of(Path("/"), relative, meaning), uri=_uri(root, relative))
    if suffix in SUFFIXES:
        return image
    if not suffix:
        try:
            if looks_like_an_image(start_of(image.uri)):
                return image
        except Exception as error:  # each protocol raises errors of its own
            return ImportProblem(image.name, *why_not(error))
    kind = f"a {suffix} file" if suffix else "a file without a suffix"
    return ImportProblem(image.name, f"{kind} is not an image", SKIPPED)
