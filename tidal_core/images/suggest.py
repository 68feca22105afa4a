"""Settings that suit a source, from a look at its first images."""

from __future__ import annotations

import itertools
from statistics import median

from tidal_core.config import ProjectSettings
from tidal_core.errors import ImageUnreadable
from tidal_core.images.importers import peek
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.images.reading import open_image

_LOOKED_AT = 24
_LOOKED_THROUGH = 500  # files, where many of them are no images
SMALL_SIZE = 32  # pixels: what small images are trained at
PHOTO_SIZE = 64  # pixels: four times the work of 32, and enough to tell flowers apart


def suggest_settings(source: str, title: str, options: ImportOptions | None = None) -> ProjectSettings:
    """Training size by the images' sides, grey or colour by their pixels; flips only where left and right are alike.

    Photos (a median shortest side above 64 pixels, in colour) are trained at 64 pixels with flips; small or grey images
    at 32 without, because a flipped letter is another letter. Raises InputError when the source cannot be read.
    """
    sides, colour, seen = [], False, 0
    for item in itertools.islice(peek(source, options), _LOOKED_THROUGH):
        if not isinstance(item, FoundImage):
            continue
        try:
            image, facts = open_image(item.read(), item.name, at_least=64)
        except ImageUnreadable:
            continue
        sides.append(min(facts.width, facts.height))
        small = image.resize((16, 16))
        colour = colour or any(high - low > 12 for low, high in (_spread(pixel) for pixel in _pixels(small.tobytes())))
        seen += 1
        if seen == _LOOKED_AT:
            break
    photos = bool(sides) and median(sides) > PHOTO_SIZE
    return ProjectSettings(
        title=title,
        training_size=PHOTO_SIZE if photos else SMALL_SIZE,
        grayscale=bool(sides) and not colour,
        augmentation="flip-crop" if photos and colour else "crop",
    )


def _pixels(data: bytes) -> list[bytes]:
    return [data[start : start + 3] for start in range(0, len(data), 3)]


def _spread(pixel: bytes) -> tuple[int, int]:
    """The smallest and the largest of red, green and blue."""
    return min(pixel), max(pixel)
