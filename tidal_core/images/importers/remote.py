"""A tree of images that lies elsewhere, ``s3://bucket/photos`` or ``https://host/photos/``, read as a folder is.

One folder is listed at a time, when its turn comes: the first images are imported while the rest is still unknown. The
first level is the label, or the split (see ``folder``); hidden files are left out; what cannot be listed is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from tidal_core.errors import InputError
from tidal_core.files import sweep
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.folder import SKIPPED, SPLIT_FOLDERS, image_of, is_left_out, natural_key, split_folders
from tidal_core.images.reading import SUFFIXES, looks_like_an_image
from tidal_core.images.sources.remote import cache_folder, list_folder, protocol_of, start_of, why_not
from tidal_core.records import ImportProblem, Split

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
        folders = [name for name, is_folder in top if is_folder]
        splits = {name: SPLIT_FOLDERS[name.lower()] for name in folders if name.lower() in SPLIT_FOLDERS}
        labels = {name for name in folders if name not in splits}
        for name in splits:
            labels |= _folders_in(root, PurePosixPath(name))
        classes = tuple(FoundClass(name) for name in sorted(labels, key=natural_key))
        kinds = split_folders(splits, only=len(splits) == len(folders))
        title = PurePosixPath(root.partition("://")[2]).name
        return Scan(source, self.name, _walk(root, kinds), classes=classes, title=title)


def _entries(root: str, folder: PurePosixPath) -> list[tuple[str, bool]]:
    """Names in a folder and whether each is a folder, in the order a person expects."""
    entries = [entry for entry in list_folder(_uri(root, folder)) if not is_left_out(entry[0])]
    return sorted(entries, key=lambda entry: natural_key(entry[0]))


def _folders_in(root: str, folder: PurePosixPath) -> set[str]:
    try:
        return {name for name, is_folder in _entries(root, folder) if is_folder}
    except Exception:  # it is named when its turn comes
        return set()


def _uri(root: str, relative: PurePosixPath) -> str:
    below = relative.as_posix() if relative.parts else ""
    if protocol_of(root) in {"http", "https"}:
        below = quote(below)
    return root if not below else f"{root}{'' if root.endswith('/') else '/'}{below}"


def _walk(root: str, splits: dict[str, Split]) -> Iterator[FoundImage | ImportProblem]:
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
                yield _file(root, folder / name, splits)
            elif len(folder.parts) >= _MAX_DEPTH:
                yield ImportProblem(
                    (folder / name).as_posix(),
                    f"it is more than {_MAX_DEPTH} folders deep",
                    "move it to a higher folder",
                )
            else:
                folders.append(folder / name)
        waiting.extend(reversed(folders))


def _file(root: str, relative: PurePosixPath, splits: dict[str, Split]) -> FoundImage | ImportProblem:
    """A file by its suffix; one without a suffix by its first bytes."""
    suffix = relative.suffix.lower()
    image = replace(image_of(Path("/"), relative, splits), uri=_uri(root, relative))
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
