"""A large image decoded in a process of its own, which may take so much memory and no more.

What a decoder takes is foretold from the header (``reading``), and the header comes from the file. A large image is
where a wrong foretelling would hurt, and where a process costs little beside the decoding: the fifth part of a second
or so. If the decoder takes more than it may, or breaks, only that process ends, and the file is named.

The frame, both ways: one line of JSON, then bytes. In go ``{"name", "at_least", "memory"}`` and the file; out come
``{"size", "facts"}`` and the RGB pixels, or ``{"reason", "remedy"}``. Nothing that could run is read back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from tidal_core.errors import ImageUnreadable

OVERHEAD_BYTES = 500_000_000  # address space of Python, numpy and pillow before anything is decoded
PATIENCE_SECONDS = 120.0  # for one image; the largest allowed takes about ten
_REMEDY = "save it as a plain JPEG, or smaller"


def decode_apart(data: bytes, name: str, at_least: int, memory: int) -> tuple[Image.Image, dict[str, Any]]:
    """An RGB image, averaged down where both sides still keep ``at_least`` pixels, and its facts as a mapping.

    ``memory``: bytes that decoding may take beside the file itself. Raises ImageUnreadable.
    """
    request = json.dumps({"name": name, "at_least": at_least, "memory": OVERHEAD_BYTES + memory + 2 * len(data)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tidal_core.images.decoder"],
            input=request.encode() + b"\n" + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its threads would take address space
        )
    except subprocess.TimeoutExpired:
        raise ImageUnreadable(name, f"it was not decoded within {PATIENCE_SECONDS:.0f} seconds", _REMEDY) from None
    head, _, pixels = done.stdout.partition(b"\n")
    if done.returncode or not head:
        reason = f"decoding it took more than {memory / 1e9:.1f} GB of memory, or broke the decoder"
        raise ImageUnreadable(name, reason, _REMEDY)
    answer = json.loads(head)
    if "reason" in answer:
        raise ImageUnreadable(name, answer["reason"], answer["remedy"])
    return Image.frombytes("RGB", tuple(answer["size"]), pixels), answer["facts"]
