"""Scikit-learn's 1,797 handwritten digits (8 x 8 pixels), which come with the package: ``digits:17`` is one of them.

Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from tidal_core.errors import ImageUnreadable
from tidal_core.images.squares import png_bytes
from tidal_core.records import Int64, UInt8

SCHEME = "digits:"


def read(uri: str, name: str) -> bytes:
    """One digit as the bytes of a grey PNG. Raises ImageUnreadable for a number that there is not."""
    number = uri.removeprefix(SCHEME)
    if not number.isdigit():
        raise ImageUnreadable(name, f"{uri!r} is not the number of a digit")
    return digit_png(int(number))


@lru_cache(maxsize=1)
def load_digits() -> tuple[UInt8, Int64]:
    """Pixels (1797, 8, 8), 0 is paper and 255 full ink, and labels (1797,)."""
    from sklearn.datasets import load_digits as load  # a second, which projects of photos do without

    inks, labels = load(return_X_y=True)
    pixels = np.rint(np.reshape(inks, (-1, 8, 8)) * (255 / 16)).astype(np.uint8)  # ink comes as 0 to 16
    return pixels, np.asarray(labels).astype(np.int64)


def digit_png(index: int) -> bytes:
    """One digit as the bytes of a grey PNG. Raises ImageUnreadable for a number that there is not."""
    pixels, _ = load_digits()
    if not 0 <= index < len(pixels):
        raise ImageUnreadable(f"digit {index}", f"there are only the digits 0 to {len(pixels) - 1}")
    return png_bytes(Image.fromarray(pixels[index]))
