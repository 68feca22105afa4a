"""Which training suits a source, from a look at its first images, and why."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import median

from tidal_core.config import FROZEN_STRATEGY, PRETRAINED_FROM, WHY_FROZEN_STRATEGY, ProjectSettings
from tidal_core.errors import ImageUnreadable
from tidal_core.images.importers import peek
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.images.reading import open_image

_LOOKED_AT = 24
_LOOKED_THROUGH = 500  # files, where many of them are no images
SMALL_SIZE = 32  # pixels: what small images are trained at
# The shortest side of half the images, in pixels, to what they are shown to the pretrained model at. It was trained at
# 224; a picture of 64 pixels holds no more at 224 than at 128, and takes three times as long.
PHOTO_SIZES = ((160, 224), (96, 128), (0, 96))
LABELS_PER_ROUND = 10  # with the pretrained model: a round takes seconds, and 10 labels are enough for a first one


@dataclass(frozen=True)
class Proposal:
    """Settings for the images of a source."""

    settings: ProjectSettings
    reason: str  # one sentence for people
    side: float = 0.0  # pixels: the median shortest side of the images looked at; 0 where none could be


def propose(source: str, title: str, options: ImportOptions | None = None) -> Proposal:
    """Training, size and strategy by the images' sides, grey or colour by their pixels.

    From a median shortest side of ``PRETRAINED_FROM`` pixels on the pretrained model is proposed, below it a small
    network that learns from nothing, at 32 pixels. Images are mirrored only where left and right are alike, in colour
    photos: a mirrored letter is another letter. Raises InputError when the source cannot be read.
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
    side = median(sides) if sides else 0
    settings = training_for(side, title=title, grayscale=bool(sides) and not colour, mirrored=colour)
    return Proposal(settings, _reason(side), side)


def training_for(side: float, *, title: str = "", grayscale: bool = False, mirrored: bool = False) -> ProjectSettings:
    """Settings for images whose median shortest side is ``side`` pixels."""
    if side < PRETRAINED_FROM:
        return ProjectSettings(title=title, training_size=SMALL_SIZE, grayscale=grayscale)
    return ProjectSettings(
        title=title,
        training_size=next(size for from_side, size in PHOTO_SIZES if side >= from_side),
        fit="stretch",  # what stands at the edge of a photo counts, too (EXPERIMENTS.md)
        grayscale=grayscale,
        augmentation="flip-crop" if mirrored else "crop",
        preset="frozen",
        strategy=FROZEN_STRATEGY,
        labels_per_round=LABELS_PER_ROUND,
    )


def _reason(side: float) -> str:
    if not side:
        return "A small network learns from nothing, because none of the images could be looked at yet."
    if side < PRETRAINED_FROM:
        return (
            f"A small network learns from nothing, because images of about {side:.0f} pixels are too small for the "
            "pretrained model."
        )
    return (
        f"The pretrained model learns these images (about {side:.0f} pixels), because it is right with the fewest "
        f"labels and a round takes seconds. {WHY_FROZEN_STRATEGY}"
    )


def _pixels(data: bytes) -> list[bytes]:
    return [data[start : start + 3] for start in range(0, len(data), 3)]


def _spread(pixel: bytes) -> tuple[int, int]:
    """The smallest and the largest of red, green and blue."""
    return min(pixel), max(pixel)
