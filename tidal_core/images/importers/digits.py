"""The demo: scikit-learn's 1,797 handwritten digits (8 x 8 pixels), in ``digits.npz`` beside this file.

The file was written once from ``sklearn.datasets.load_digits`` (a test compares them): to import scikit-learn takes
two seconds, and every start's first page waits for the demo's first image.

Source and URIs: ``digits:`` is all of them, ``digits:17`` is one. 500 are the test split, drawn once with a fixed
seed and the same share of every class. Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits
(UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from tidal_core.errors import ImageUnreadable
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.pixels.cache import png_bytes
from tidal_core.records import Int64, Split, UInt8

SCHEME = "digits:"
FILE = Path(__file__).with_name("digits.npz")
TEST_IMAGES = 500
_SPLIT_SEED = 1998


class DigitsImporter:
    """Scikit-learn's digits as images with known labels."""

    name = "digits"

    def sniff(self, source: str) -> bool:
        """Whether the source is the demo."""
        return source in {"digits", SCHEME}

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """All 1,797 digits, labelled "0" to "9", answered by the keys of the same name."""
        _, labels = load_digits()
        test = set(split_indices().tolist())
        items = [
            FoundImage(
                name=f"digit {index:04d}",
                uri=f"{SCHEME}{index}",
                label=str(label),
                split=Split.TEST if index in test else Split.POOL,
            )
            for index, label in enumerate(labels.tolist())
        ]
        classes = tuple(FoundClass(name=str(digit), key=str(digit)) for digit in range(10))
        return Scan(SCHEME, self.name, items, classes, total=len(items), title="Handwritten digits")


@lru_cache(maxsize=1)
def load_digits() -> tuple[UInt8, Int64]:
    """Pixels (1797, 8, 8), 0 is paper and 255 full ink, and labels (1797,)."""
    with np.load(FILE) as arrays:
        inks, labels = arrays["inks"], arrays["labels"]  # (1797, 8, 8) uint8, (1797,) uint8
    pixels = np.rint(inks * (255 / 16)).astype(np.uint8)  # ink comes as 0 to 16
    return pixels, labels.astype(np.int64)


@lru_cache(maxsize=1)
def split_indices() -> Int64:
    """The 500 test images in ascending order: of each class its share, rounded by largest remainder."""
    _, labels = load_digits()
    rng = np.random.default_rng(_SPLIT_SEED)
    counts = np.bincount(labels, minlength=10)
    shares = counts * (TEST_IMAGES / len(labels))
    take = np.floor(shares).astype(np.int64)
    for digit in np.argsort(take - shares, kind="stable")[: TEST_IMAGES - take.sum()]:
        take[digit] += 1
    chosen = [rng.permutation(np.flatnonzero(labels == digit))[: take[digit]] for digit in range(10)]
    return np.sort(np.concatenate(chosen))


def digit_png(index: int) -> bytes:
    """One digit as the bytes of a grey PNG. Raises ImageUnreadable for a number that there is not."""
    pixels, _ = load_digits()
    if not 0 <= index < len(pixels):
        raise ImageUnreadable(f"digit {index}", f"there are only the digits 0 to {len(pixels) - 1}")
    return png_bytes(Image.fromarray(pixels[index]))
