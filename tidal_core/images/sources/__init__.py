"""The bytes behind an image's URI. Original files are read where they lie and never changed.

A URI is an absolute path, or has a scheme: ``file:`` (a path whose name is not valid text, percent-encoded),
``digits:17`` (an image of scikit-learn's digits), ``parquet:PATH#ROW/COLUMN`` (bytes embedded in a Parquet file; path
and column percent-encoded), ``s3://`` and others over a network (see ``remote``). URIs come from the store, never from
a web request.
"""

from __future__ import annotations

import os
import stat
import urllib.parse
from collections.abc import Callable
from pathlib import Path, PurePath

from tidal_core.errors import ImageUnreadable
from tidal_core.images.remote import protocol_of, read_remote

MAX_FILE_BYTES = 1_000_000_000  # a larger file is no photo


def read_uri(uri: str, name: str | None = None) -> bytes:
    """All bytes of one image. Raises ImageUnreadable with a reason and a remedy."""
    scheme, colon, _ = uri.partition(":")
    if colon and len(scheme) > 1 and "/" not in scheme and scheme in _READERS:
        return _READERS[scheme](uri, name or uri)
    if protocol_of(uri) is not None:
        return read_remote(uri, name or uri)
    return read_file(Path(uri), name or uri)


def file_uri(path: str | Path) -> str:
    """The URI of a file: its absolute path, or ``file:`` with percent signs where the path is not valid text."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError:
        return "file:" + urllib.parse.quote_from_bytes(os.fsencode(absolute))
    return absolute


def uri_path(uri: str) -> Path | None:
    """The file of a URI on this machine, None when it is no single file."""
    scheme, colon, rest = uri.partition(":")
    if scheme == "file" and colon:
        return Path(os.fsdecode(urllib.parse.unquote_to_bytes(rest)))
    if colon and (scheme in _READERS or protocol_of(uri) is not None):
        return None
    return Path(uri)


def unchanged_since(uri: str, size: int, when: float) -> bool:
    """Whether an image imported ``when`` (seconds since 1970) with ``size`` bytes is the same, without reading it."""
    place: str | Path | None = uri if uri.startswith("/") else uri_path(uri)
    if place is None and not uri.startswith("parquet:"):
        return uri.startswith("digits:")
    try:
        facts = os.stat(place or parquet_place(uri)[0])
    except (OSError, ValueError):
        return False
    same_size = place is None or facts.st_size == size
    return stat.S_ISREG(facts.st_mode) and same_size and facts.st_mtime <= when


def has_gone(uri: str) -> bool:
    """Whether the file of a URI is no longer where it was; False for what is no single file of this machine."""
    path = uri_path(uri)
    return path is not None and "://" not in uri and not path.exists()


def shown_name(path: str | PurePath) -> str:
    """A path as text that can be stored and shown, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def read_file(path: Path, name: str) -> bytes:
    """All bytes of one regular file. Raises ImageUnreadable for what is missing, forbidden or no file at all."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise ImageUnreadable(name, "it is a folder, not a file", "rename the folder")
        if not stat.S_ISREG(facts.st_mode):
            raise ImageUnreadable(name, "it is not a regular file (a pipe, socket or device)", "copy the image itself")
        if facts.st_size > MAX_FILE_BYTES:
            raise ImageUnreadable(name, f"it has {facts.st_size / 1e9:.1f} GB, more than any photo", "save it smaller")
        return path.read_bytes()
    except ImageUnreadable:  # is a ValueError too
        raise
    except FileNotFoundError:
        if path.is_symlink():
            raise ImageUnreadable(name, "it is a link to a file that is not there", "restore the file") from None
        raise ImageUnreadable(name, "the file is not there", "put it back where it was, or remove the image") from None
    except PermissionError:
        raise ImageUnreadable(name, "this user may not read it", "change its permissions") from None
    except ValueError:
        raise ImageUnreadable(name, "its name holds a zero byte", "correct the name") from None
    except OSError as error:
        if path.is_symlink() and "symbolic links" in str(error):
            raise ImageUnreadable(name, "it is a link to itself", "remove the link") from None
        raise ImageUnreadable(name, f"it cannot be read ({error.strerror or error})", "check the disk") from error


def _read_file_uri(uri: str, name: str) -> bytes:
    path = uri_path(uri)
    assert path is not None  # the scheme was "file"
    return read_file(path, name)


def _read_digit(uri: str, name: str) -> bytes:
    from tidal_core.images.importers.digits import digit_png

    number = uri.partition(":")[2]
    if not number.isdigit():
        raise ImageUnreadable(name, f"{uri!r} is not the number of a digit")
    return digit_png(int(number))


def parquet_uri(path: Path, row: int, column: str) -> str:
    """The URI of the image in one row and column of a Parquet file."""
    place = urllib.parse.quote_from_bytes(os.fsencode(os.path.abspath(path)))
    return f"parquet:{place}#{row}/{urllib.parse.quote(column, safe='')}"


def parquet_place(uri: str) -> tuple[Path, int, str]:
    """File, row and column of a ``parquet:`` URI. Raises ValueError when it is none."""
    place, _, cell = uri.removeprefix("parquet:").rpartition("#")
    row, _, column = cell.partition("/")
    return Path(os.fsdecode(urllib.parse.unquote_to_bytes(place))), int(row), urllib.parse.unquote(column)


def _read_parquet(uri: str, name: str) -> bytes:
    from tidal_core.images.importers.parquet import read_cell

    try:
        path, row, column = parquet_place(uri)
    except ValueError:
        raise ImageUnreadable(name, f"{uri!r} names no row of a Parquet file") from None
    return read_cell(path, row, column, name)


_READERS: dict[str, Callable[[str, str], bytes]] = {
    "file": _read_file_uri,
    "digits": _read_digit,
    "parquet": _read_parquet,
}
