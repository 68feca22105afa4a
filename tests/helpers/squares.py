"""A folder of small made-up images in class folders, as people import it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def squares(folder: Path, of_each: int = 60, seed: int = 0, side: int = 16) -> Path:
    """Three classes, each brighter in a colour of its own; each image is another one, of ``side`` pixels."""
    draws = np.random.default_rng(seed)
    for place, colour in enumerate(("red", "green", "blue")):
        (folder / colour).mkdir(parents=True)
        for number in range(of_each):
            pixels = draws.integers(0, 90, (side, side, 3), np.uint8)
            pixels[:, :, place] += 120
            Image.fromarray(pixels).save(folder / colour / f"{number}.png")
    return folder
