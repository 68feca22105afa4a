"""Images that lie elsewhere: ``s3://bucket/photos``, ``gs://``, ``https://``, and whatever else fsspec speaks.

A file is fetched once, into a cache below the studio's home (``cache/remote``; it may be deleted at any time), written
beside and renamed, so that what is in the cache is whole. What a protocol needs beyond fsspec is an optional package
(the extra ``remote`` of ``pyproject.toml``); credentials are found as its own documentation says, and never stored by
the studio.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tidal_core.errors import DISK_FULL, ImageUnreadable, InputError, reason_of
from tidal_core.files import atomic
from tidal_core.images.sources.file import read_file
from tidal_core.projects import home

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PROTOCOLS = frozenset(
    {"http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"}  # memory: this process's own
)
"""What addresses are read. Of fsspec's others some run programs or open archives and files of this machine."""
SECONDS = 60  # for one file or one listing over https; other protocols have limits of their own
_URI = re.compile(r"([a-z][a-z0-9+.-]+)://")
_LOCAL = {"file", "local"}
_WEB = {"http", "https"}
_PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}


def protocol_of(text: str) -> str | None:
    """The protocol of a remote URI, None for anything else: paths, ``file:``, ``digits:17``."""
    match = _URI.match(text)
    return None if match is None or match.group(1) in _LOCAL else match.group(1)


def is_allowed(uri: str) -> bool:
    """Whether an address is of a kind that is read: one of ``PROTOCOLS``, or none of fsspec's own."""
    from fsspec.registry import known_implementations

    protocol = protocol_of(uri)
    return "::" not in uri and "\0" not in uri and (protocol in PROTOCOLS or protocol not in known_implementations)


def file_system(uri: str) -> tuple[AbstractFileSystem, str]:
    """What speaks the URI's protocol, and what it calls the place. Raises InputError when it cannot be had."""
    protocol = protocol_of(uri) or ""
    if not is_allowed(uri):
        raise InputError(
            f"{uri[:200]!r} is not an address of a kind that is read; give one that begins with https://, s3:// or "
            "gs://, or download the images."
        )
    options: dict[str, Any] = {"use_listings_cache": False}  # a tree of a million is not to be kept in memory
    try:
        import fsspec

        if protocol in _WEB:
            import aiohttp

            options["client_kwargs"] = {
                "timeout": aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SECONDS)
            }
        fs, path = fsspec.core.url_to_fs(uri, **options)
    except ImportError as error:
        # Of another protocol fsspec's own message names the package.
        package = _PACKAGES.get(protocol)
        remedy = f"install it: python -m pip install {package}" if package else f"install it ({error})"
        raise InputError(
            f"reading {protocol}:// needs a package that is not installed; {remedy}, and start the studio again."
        ) from error
    except Exception as error:  # each protocol raises errors of its own for what is no address
        raise InputError(
            f"{uri[:200]!r} cannot be read: {error}; give a folder, or an address such as s3://bucket/photos."
        ) from error
    return fs, str(path)


def read(uri: str, name: str) -> bytes:
    """All bytes of one image, from the cache or from where it lies. Raises ImageUnreadable."""
    key = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()
    cached = cache_folder() / key[:2] / key[2:]
    if not cached.exists():
        try:
            fs, path = file_system(uri)
        except InputError as error:
            raise ImageUnreadable(name, str(error).rstrip(".")) from error
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with atomic(cached) as beside:
                fs.get_file(path, str(beside))
        except Exception as error:  # each protocol raises errors of its own
            raise ImageUnreadable(name, *why_not(error)) from error
    return read_file(cached, name)


def cache_folder() -> Path:
    """Where fetched files are kept; it may be deleted at any time."""
    return home() / "cache" / "remote"


def why_not(error: Exception) -> tuple[str, str]:
    """Reason and remedy, for people, of what a file system raised."""
    status = getattr(error, "status", None)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "there is no room on this machine's disk to download it", "make room there and import again"
    if isinstance(error, FileNotFoundError):
        return "it is not there", "put it back where it was"
    if isinstance(error, PermissionError) or status in {401, 403}:
        return "access is denied", "check this user's credentials for that address"
    if isinstance(error, TimeoutError):
        return "the server did not answer in time", "import again later: what was read is kept"
    reason = f"the server answered {status}" if status else f"it could not be downloaded ({reason_of(error)})"
    return reason[:300], "check the connection and import again: what was read is kept"


def list_folder(uri: str) -> list[tuple[str, bool]]:
    """Names in a remote folder and whether each is a folder, as its server says; raises what its protocol raises."""
    fs, path = file_system(uri)
    web = protocol_of(uri) in _WEB
    root = path.rstrip("/")
    entries: dict[str, bool] = {}
    for entry in fs.ls(root + "/" if web else path, detail=True):
        full = str(entry["name"])
        below = full[len(root) :].lstrip("/") if full.startswith(root) else PurePosixPath(full).name
        if web and ("?" in below or "#" in below):
            continue  # links that sort a listing
        name = below.rstrip("/")
        if name and "/" not in name and name not in {".", ".."}:
            entries[unquote(name) if web else name] = entry["type"] == "directory"
    return list(entries.items())


def start_of(uri: str) -> bytes:
    """The first bytes of a file whose name does not tell what it is."""
    fs, path = file_system(uri)
    return bytes(fs.cat_file(path, start=0, end=16))[:16]
