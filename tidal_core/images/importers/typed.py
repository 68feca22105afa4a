"""Which path or address a person means who typed, pasted or dragged one: ``~``, quotes, ``file:///`` and ``%20``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

_QUOTES = {"'": "'", '"': '"', "`": "`", "\u2018": "\u2019", "\u201c": "\u201d", "<": ">"}
_HAS_SCHEME = re.compile(r"[A-Za-z][\w+.-]+:")
_THIS_COMPUTER = ("", "localhost")


def source_as_typed(text: str) -> str:
    """The source that a text names: what is there goes before what the text could mean.

    A folder whose name really holds quotes or ``%20`` is taken as it is. Addresses (``s3://``) and names (``digits``)
    come out without blanks and quotes around them.
    """
    meant = text
    for meant in _readings(text):
        if os.path.exists(meant):
            break
    return meant


def _readings(text: str) -> Iterator[str]:
    """What a text can mean, the most literal first; the last one is named where nothing is there."""
    yield os.path.expanduser(text)
    bare = text.strip()
    while len(bare) > 1 and _QUOTES.get(bare[0]) == bare[-1]:
        bare = bare[1:-1].strip()
    yield os.path.expanduser(bare)
    if bare.lower().startswith("file:"):
        address = urlsplit(bare)
        if address.netloc.lower() in _THIS_COMPUTER:
            # A "?" or "#" in the path was not encoded: it belongs to the name.
            path = re.sub(r"(?i)^file:(//(localhost)?(?=/))?", "", bare)
            yield path
            yield os.path.expanduser(unquote(path))
        return
    if _HAS_SCHEME.match(bare):
        return
    yield os.path.expanduser(unquote(bare))
    yield os.path.expanduser(re.sub(r"\\(.)", r"\1", bare))  # dragged into a terminal: my\ photos
    yield os.path.expanduser(bare)
