"""Scikit-learn's 1,797 handwritten digits (8 x 8 pixels), in ``digits.npz`` beside this file: ``digits:17`` is one.

The file was written once from ``sklearn.datasets.load_digits`` (a test compares them): to import scikit-learn takes
two seconds, and every start's first page waits for the demo's first image. Data: E. Alpaydin and C. Kaynak, Optical
Recognition of Handwritten Digits (UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from tidal_core.errors import ImageUnreadable
from tidal_core.images.squares import png_bytes
from tidal_core.records import Int64, UInt8

SCHEME = "digits:"
FILE = Path(__file__).with_name("digits.npz")


def read(uri: str, name: str) -> bytes:
    """One digit as the bytes of a grey PNG. Raises ImageUnreadable for a number that there is not."""
    number = uri.removeprefix(SCHEME)
    if not number.isdigit():
        raise ImageUnreadable(name, f"{uri!r} is not the number of a digit")
    return digit_png(int(number))


@lru_cache(maxsize=1)
def load_digits() -> tuple[UInt8, Int64]:
    """Pixels (1797, 8, 8), 0 is paper and 255 full ink, and labels (1797,)."""
    with np.load(FILE) as arrays:
        inks, labels = arrays["inks"], arrays["labels"]  # (1797, 8, 8) uint8, (1797,) uint8
    pixels = np.rint(inks * (255 / 16)).astype(np.uint8)  # ink comes as 0 to 16
    return pixels, labels.astype(np.int64)


def digit_png(index: int) -> bytes:
    """One digit as the bytes of a grey PNG. Raises ImageUnreadable for a number that there is not."""
    pixels, _ = load_digits()
    if not 0 <= index < len(pixels):
        raise ImageUnreadable(f"digit {index}", f"there are only the digits 0 to {len(pixels) - 1}")
    return png_bytes(Image.fromarray(pixels[index]))
