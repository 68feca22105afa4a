"""Answers of numbers and pictures, sent as they are.

Streamlit's server compresses whatever is longer than some hundred bytes, as hard as it can. JPEGs get no smaller by it,
and the numbers of 200,000 images take it longer than all the rest of the request (``benchmarks.gallery``).
"""

from __future__ import annotations

import json
import struct
from typing import Any

from starlette.responses import Response


class Octets(Response):
    """Bytes that are not compressed on the way, and not kept by the browser."""

    media_type = "application/octet-stream"

    def __init__(self, body: bytes) -> None:
        super().__init__(body, headers={"Content-Encoding": "identity", "Cache-Control": "no-store"})


def with_head(head: dict[str, Any], body: bytes) -> Octets:
    """4 bytes, big-endian, the length of a JSON head; the head, filled up to a multiple of 4 bytes; the body."""
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    return Octets(struct.pack(">I", len(text)) + text + body)
