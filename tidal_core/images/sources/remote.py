"""Images that lie elsewhere: ``s3://bucket/photos``, ``gs://``, ``https://``, and whatever else fsspec speaks.

A file is fetched once, into a cache below the studio's home (``cache/remote``; it may be deleted at any time), written
beside and renamed, so that what is in the cache is whole. What a protocol needs beyond fsspec is an optional package,
see ``requirements-remote.txt``; credentials are found as its own documentation says, and never stored by the studio.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tidal_core.errors import DISK_FULL, ImageUnreadable, InputError
from tidal_core.files import atomic
from tidal_core.images.sources.file import read_file
from tidal_core.projects import home

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SECONDS = 60  # for one file or one listing over https; other protocols have limits of their own
_URI = re.compile(r"([a-z][a-z0-9+.-]+)://")
_LOCAL = {"file", "local"}
_WEB = {"http", "https"}


def protocol_of(text: str) -> str | None:
    """The protocol of a remote URI, None for anything else: paths, ``file:``, ``digits:17``."""
    found = _URI.match(text)
    return None if found is None or found.group(1) in _LOCAL else found.group(1)


def file_system(uri: str) -> tuple[AbstractFileSystem, str]:
    """What speaks the URI's protocol, and what it calls the place. Raises InputError when it cannot be had."""
    import fsspec

    protocol = protocol_of(uri) or ""
    options: dict[str, Any] = {"use_listings_cache": False}  # a tree of a million is not to be kept in memory
    try:
        if protocol in _WEB:
            import aiohttp

            options["client_kwargs"] = {
                "timeout": aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SECONDS)
            }
        fs, place = fsspec.core.url_to_fs(uri, **options)
    except ImportError as error:
        missing = re.search(r"[Ii]nstall (?:the )?`?'?\"?([a-z0-9_]+)|No module named '([a-z0-9_]+)'", str(error))
        package = next((one for one in missing.groups() if one), "") if missing else ""
        raise InputError(
            f"reading {protocol}:// needs a package that is not installed{f' ({package})' if package else ''}; "
            "install it: pip install -r requirements-remote.txt, and start again."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{uri!r} cannot be read: {error}; give a folder, or a URI such as s3://bucket/photos."
        ) from error
    return fs, str(place)


def read(uri: str, name: str) -> bytes:
    """All bytes of one image, from the cache or from where it lies. Raises ImageUnreadable."""
    key = hashlib.sha256(uri.encode()).hexdigest()
    kept = cache_folder() / key[:2] / key[2:]
    if not kept.exists():
        try:
            fs, place = file_system(uri)
        except InputError as error:
            raise ImageUnreadable(name, str(error).rstrip(".")) from error
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with atomic(kept) as beside:
                fs.get_file(place, str(beside))
        except Exception as error:  # each protocol raises errors of its own
            raise ImageUnreadable(name, *why_not(error)) from error
    return read_file(kept, name)


def cache_folder() -> Path:
    """Where fetched files are kept; it may be deleted at any time."""
    return home() / "cache" / "remote"


def why_not(error: Exception) -> tuple[str, str]:
    """Reason and remedy, for people, of what a file system raised."""
    status = getattr(error, "status", None)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "there is no room on this machine's disk to fetch it", "make room there and import again"
    if isinstance(error, FileNotFoundError):
        return "it is not there", "put it back, or import the folder where it is now"
    if isinstance(error, PermissionError) or status in {401, 403}:
        return "access is denied", "check the credentials of this user for that place"
    if isinstance(error, TimeoutError):
        return "the server did not answer in time", "import again later: what was read is kept"
    said = f"the server answered {status}" if status else f"it could not be fetched ({type(error).__name__}: {error})"
    return said[:300], "check the connection and import again: what was read is kept"


def list_folder(uri: str) -> list[tuple[str, bool]]:
    """Names in a remote folder and whether each is a folder, as its server says; raises what its protocol raises."""
    fs, place = file_system(uri)
    web = protocol_of(uri) in _WEB
    root = place.rstrip("/")
    found: dict[str, bool] = {}
    for entry in fs.ls(root + "/" if web else place, detail=True):
        full = str(entry["name"])
        below = full[len(root) :].lstrip("/") if full.startswith(root) else PurePosixPath(full).name
        if web and ("?" in below or "#" in below):
            continue  # links that sort a listing
        name = below.rstrip("/")
        if name and "/" not in name and name not in {".", ".."}:
            found[unquote(name) if web else name] = entry["type"] == "directory"
    return list(found.items())


def start_of(uri: str) -> bytes:
    """The first bytes of a file whose name does not tell what it is."""
    fs, place = file_system(uri)
    return bytes(fs.cat_file(place, start=0, end=16))[:16]
