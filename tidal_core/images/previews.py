"""What the browser is sent of an image: sized for the screen, kept on disk, never the original changed.

Small images (up to 128 pixels) go out as they are, losslessly, so that the browser can enlarge them pixel by pixel.
A JPEG that fits the screen as it is goes out byte for byte. Everything else is scaled down once, saved as JPEG
(large) or WebP (thumbnails) below the project's ``previews/`` folder under the hash of the original's bytes, and
served from there from then on, also when the original has gone.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tidal_core import files
from tidal_core.errors import ImageUnreadable
from tidal_core.images.reading import open_image
from tidal_core.images.sources import read_original
from tidal_core.images.squares import png_bytes
from tidal_core.records import CONTENT_HASH, ImageRecord

SCREEN_SIZE = 1_024  # pixels of the longest side on the labelling page
THUMBNAIL_SIZE = 160  # pixels of the longest side in grids
TINY = 128  # pixels: up to here an image is sent losslessly and unscaled

_TYPES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}


def preview(image: ImageRecord, size: int, cache: Path) -> tuple[bytes, str]:
    """One image for the screen as ``(bytes, content type)``, its longest side at most ``size`` pixels.

    ``cache`` is the folder ``previews`` in the project's own. Raises ImageUnreadable when the original is gone,
    damaged, no longer the file that was imported, or somewhere that nobody has allowed to fetch from, and no copy is
    kept; ``PixelStore.png`` has what is left then.
    """
    if not CONTENT_HASH.fullmatch(image.sha256):  # else it could lead out of the folder
        raise ImageUnreadable(image.name, f"the project has {image.sha256[:80]!r} as its hash", "import it again")
    stem = cache / image.sha256[:2] / f"{image.sha256}-{size}"
    for suffix, kind in _TYPES.items():
        try:
            return stem.with_suffix(suffix).read_bytes(), kind
        except OSError:  # not kept yet, or the folder cannot be read: the original is there too
            continue
    data = read_original(cache.parent, image.uri, image.name)
    body, suffix = _encode(data, image, size)
    if body is not data:  # the original itself needs no second copy on the disk
        _keep_preview(stem.with_suffix(suffix), body)
    return body, _TYPES[suffix]


def thumbnail(image: ImageRecord, cache: Path) -> tuple[bytes, str]:
    """One image for a grid, its longest side at most 160 pixels; else as ``preview``."""
    return preview(image, THUMBNAIL_SIZE, cache)


@dataclass(frozen=True)
class Packed:
    """One image within a pack."""

    id: int
    kind: str  # content type
    body: bytes


def pack(images: Iterable[Packed]) -> bytes:
    """Many small images as one answer, for a page of thumbnails in one request.

    The frame: 4 bytes, big-endian, the length n of the head; n bytes of UTF-8 JSON, a list of
    ``[id, content type, length]`` in order; then the bodies one after another, with nothing between them.
    """
    images = list(images)
    head = json.dumps([[image.id, image.kind, len(image.body)] for image in images]).encode()
    return b"".join([struct.pack(">I", len(head)), head, *(image.body for image in images)])


def unpack(packed: bytes) -> list[Packed]:
    """What ``pack`` was given."""
    (length,) = struct.unpack_from(">I", packed)
    images, start = [], 4 + length
    for image_id, kind, size in json.loads(packed[4:start]):
        images.append(Packed(image_id, kind, packed[start : start + size]))
        start += size
    return images


def _encode(data: bytes, image: ImageRecord, size: int) -> tuple[bytes, str]:
    """The bytes to send and the suffix that tells their type."""
    shown, facts = open_image(data, image.name, at_least=size)
    if facts.sha256 != image.sha256:
        raise ImageUnreadable(
            image.name,
            "the file is not the one that was imported: its content has changed",
            "import the folder again to add the new image",
        )
    if max(facts.width, facts.height) <= min(TINY, size):
        return png_bytes(shown), ".png"
    if _can_go_as_it_is(data, facts.format, shown, size):
        return data, ".jpg"
    shown.thumbnail((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    buffer = io.BytesIO()
    if size <= 2 * THUMBNAIL_SIZE:
        shown.save(buffer, "WEBP", quality=80, method=2)  # a third smaller than JPEG; 1-2 ms at this size
        return buffer.getvalue(), ".webp"
    shown.save(buffer, "JPEG", quality=88)  # at screen size several times faster than WebP
    return buffer.getvalue(), ".jpg"


def _can_go_as_it_is(data: bytes, kind: str, shown: Image.Image, size: int) -> bool:
    """Whether the browser can be sent the file itself: a JPEG of this size, upright, in colours it knows."""
    if kind != "JPEG" or max(shown.size) > size or len(data) > 1_000_000:
        return False
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as file:
        return file.size == shown.size and file.mode in {"L", "RGB"} and not file.info.get("exif")


def _keep_preview(path: Path, body: bytes) -> None:
    """A half-written preview is never served; a full disk only costs speed."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, body)
