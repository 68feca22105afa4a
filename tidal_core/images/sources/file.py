"""Files of this machine: an absolute path, or ``file:`` with percent signs where the path is not valid text."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
import urllib.parse
from pathlib import Path, PurePath

from tidal_core.errors import ImageUnreadable

MAX_FILE_BYTES = 1_000_000_000  # a larger file is no photo
PUT_BACK = "put it back where it was, or import the folder that it is in now"  # an import finds it by its content


def read(uri: str, name: str) -> bytes:
    """All bytes of the file of a ``file:`` URI. Raises ImageUnreadable."""
    return read_file(path_of(uri), name)


def path_of(uri: str) -> Path:
    """The file of a ``file:`` URI."""
    return Path(os.fsdecode(urllib.parse.unquote_to_bytes(uri.removeprefix("file:"))))


def file_uri(path: str | Path) -> str:
    """The URI of a file: its absolute path, or ``file:`` with percent signs where the path is not valid text."""
    absolute = os.path.abspath(path)
    try:
        absolute.encode("utf-8")
    except UnicodeEncodeError:
        return "file:" + urllib.parse.quote_from_bytes(os.fsencode(absolute))
    return absolute


def shown_name(path: str | PurePath) -> str:
    """A path as text that can be stored, shown and compared: valid, and with accents in one letter each."""
    return unicodedata.normalize("NFC", os.fsencode(path).decode("utf-8", "replace"))


def read_file(path: Path, name: str) -> bytes:
    """All bytes of one regular file. Raises ImageUnreadable for what is missing, forbidden or no file at all."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise ImageUnreadable(name, "it is a folder, not a file", "rename the folder")
        if not stat.S_ISREG(facts.st_mode):
            raise ImageUnreadable(name, "it is not a regular file (a pipe, socket or device)", "copy the image itself")
        if facts.st_size > MAX_FILE_BYTES:
            raise ImageUnreadable(name, f"it has {facts.st_size / 1e9:.1f} GB; 1 GB is the limit", "save it smaller")
        return path.read_bytes()
    except ImageUnreadable:  # is a ValueError too
        raise
    except FileNotFoundError:
        if path.is_symlink():
            raise ImageUnreadable(name, "it is a link to a file that is not there", "restore the file") from None
        raise ImageUnreadable(name, "the file is not there", PUT_BACK) from None
    except PermissionError:
        raise ImageUnreadable(name, "the studio is not allowed to read it", "change its permissions") from None
    except ValueError:
        raise ImageUnreadable(name, "its name holds a zero byte", "correct the name") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ImageUnreadable(name, "it is a link to itself", "remove the link") from None
        if error.errno == errno.ENAMETOOLONG:
            raise ImageUnreadable(name, "its name is longer than that of any file", "correct the name") from None
        raise ImageUnreadable(name, f"it cannot be read ({error.strerror or error})", "check the disk") from error
