"""The bytes behind an image's URI, one file a scheme. Original files are read where they lie and never changed.

A URI is an absolute path, or has a scheme: ``file:`` (a path whose name is not valid text, percent-encoded),
``digits:17`` (an image of scikit-learn's digits), ``parquet:PATH#ROW/COLUMN`` (bytes embedded in a Parquet file; path
and column percent-encoded), ``s3://`` and others over a network (see ``remote``). URIs come from the store, never from
a web request.

May import: the ground, ``images.squares``. Never importers, which import from here.
Add here: a scheme as a file with a function ``read(uri, name)``, and a line in ``_READERS``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from tidal_core.errors import ImageUnreadable
from tidal_core.images.sources import consent, digits, file, parquet, remote

_READERS: dict[str, Callable[[str, str], bytes]] = {"file": file.read, "digits": digits.read, "parquet": parquet.read}


def read_uri(uri: str, name: str | None = None) -> bytes:
    """All bytes of one image. Raises ImageUnreadable with a reason and a remedy."""
    scheme, colon, _ = uri.partition(":")
    if colon and scheme in _READERS:
        return _READERS[scheme](uri, name or uri)
    if remote.protocol_of(uri) is not None:
        return remote.read(uri, name or uri)
    if "://" in uri and not uri.startswith("/"):
        raise ImageUnreadable(name or uri, f"{uri[:200]!r} is not an address of a kind that is read", "correct it")
    return file.read_file(Path(uri), name or uri)


def read_original(folder: Path, uri: str, name: str, sha256: str | None = None) -> bytes:
    """All bytes of one image of the project in ``folder``; with ``sha256`` only if they are those that were imported.

    A project can come from anywhere and name any address and any file of this machine: from a network only those hosts
    are asked that a person has said yes to (``consent``), and a file counts only if it is the one that the project
    knows. Raises ImageUnreadable.
    """
    host = consent.host_of(uri)
    if host is not None and host not in consent.allowed_hosts(folder):
        raise ImageUnreadable(
            name,
            f"it is at {host}, and nobody has said yet that this project may fetch images from there",
            f"answer the question beside the page, or give the command --fetch {host}",
        )
    data = read_uri(uri, name)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageUnreadable(
            name,
            "the file is not the one that was imported: its content has changed",
            "import the folder again to add the new image",
        )
    return data


def uri_path(uri: str) -> Path | None:
    """The file of a URI on this machine, None when it is no single file."""
    scheme, colon, _ = uri.partition(":")
    if scheme == "file" and colon:
        return file.path_of(uri)
    if colon and (scheme in _READERS or remote.protocol_of(uri) is not None):
        return None
    return Path(uri)


def has_file_of_its_own(uri: str) -> bool:
    """Whether other programs can open an image where it lies: a file, or an address in a network."""
    return uri_path(uri) is not None or remote.protocol_of(uri) is not None


def unchanged_since(uri: str, size: int, when: float) -> bool:
    """Whether an image imported ``when`` (seconds since 1970) with ``size`` bytes is the same, without reading it."""
    path: str | Path | None = uri if uri.startswith("/") else uri_path(uri)
    if path is None and not uri.startswith("parquet:"):
        return uri.startswith("digits:")
    try:
        facts = os.stat(path or parquet.parquet_place(uri)[0])
    except (OSError, ValueError):
        return False
    same_size = path is None or facts.st_size == size
    return stat.S_ISREG(facts.st_mode) and same_size and facts.st_mtime <= when


def has_gone(uri: str) -> bool:
    """Whether the file of a URI is no longer where it was; False for what is no single file of this machine."""
    path = uri_path(uri)
    return path is not None and "://" not in uri and not path.exists()
