"""Names of files in zips, which most archivers of the past wrote in the encoding of their machine."""

from __future__ import annotations

import re
import zipfile
import zlib
from contextlib import suppress

from tidal_core.images.importers.encodings import code_page
from tidal_core.images.sources.file import shown_name
from tidal_core.records import ImportProblem

_UTF8_FLAG = 0x800
_UNICODE_FIELD = 0x7075
_CODE_PAGES = ("cp437", "cp850", "cp1252")  # the usual ones first


def names_in_zip(entries: list[zipfile.ZipInfo]) -> tuple[dict[str, str], list[ImportProblem]]:
    """What the members of a zip are called, by what zipfile calls them; and what is to be said of it.

    A name without the UTF-8 flag is in whatever encoding the archiver's machine had. It may stand in UTF-8 in an extra
    field; the bytes may be UTF-8 all the same; else the code page is guessed from all such names, and the report says
    so.
    """
    names: dict[str, str] = {}
    problems: list[ImportProblem] = []
    unclear: dict[str, bytes] = {}
    for entry in entries:
        raw = entry.orig_filename.encode("cp437") if not entry.flag_bits & _UTF8_FLAG else b""
        if raw.isascii():
            names[entry.filename] = entry.filename
            continue
        said = _unicode_field(entry.extra, raw)
        try:
            names[entry.filename] = said or raw.decode()
        except UnicodeDecodeError:
            unclear[entry.filename] = raw
    if unclear:
        words = (word for raw in unclear.values() for word in re.split(rb"[/\s._-]+", raw) if not word.isascii())
        encoding = code_page(list(dict.fromkeys(words)), _CODE_PAGES)
        names.update({name: raw.decode(encoding.codec, "replace") for name, raw in unclear.items()})
        example = names[next(iter(unclear))]
        count = "1 name does" if len(unclear) == 1 else f"{len(unclear):,} names do"
        problems.append(
            ImportProblem(
                shown_name(example),
                f"{count} not say in which encoding they are: they were read as {encoding.in_words}",
                "if that is wrong, pack the folder again with a program of today",
            )
        )
    return names, problems


def _unicode_field(extra: bytes, raw: bytes) -> str | None:
    """The name in the extra field 0x7075 (Info-ZIP), if it belongs to the name ``raw``."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field_bytes, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_FIELD and field_bytes[:1] == b"\1":
            if int.from_bytes(field_bytes[1:5], "little") != zlib.crc32(raw):
                return None
            with suppress(UnicodeDecodeError):
                return field_bytes[5:].decode()
    return None
