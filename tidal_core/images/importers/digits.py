"""The demo: scikit-learn's 1,797 handwritten digits (8 x 8 pixels), which come with the package.

Source and URIs: ``digits:`` is all of them, ``digits:17`` is one. 500 are the test split, drawn once with a fixed
seed and the same share of every class. Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits
(UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from tidal_core.errors import ImageUnreadable
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.pixels.cache import png_bytes
from tidal_core.records import Int64, Split, UInt8

SCHEME = "digits:"
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
    """Pixels (1797, 8, 8), 0 is paper and 255 full ink, and labels (1797,).

    The package's data file is read directly: importing scikit-learn for it costs a second of the first page's time.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ImageUnreadable("digits", "scikit-learn is not installed", "install requirements.txt")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if file.exists():
        with gzip.open(file, "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.float64)
        inks, labels = table[:, :-1], table[:, -1]
    else:  # another release of scikit-learn may keep it elsewhere
        from sklearn.datasets import load_digits as load

        inks, labels = load(return_X_y=True)
    pixels = np.rint(np.reshape(inks, (-1, 8, 8)) * (255 / 16)).astype(np.uint8)  # ink comes as 0 to 16
    return pixels, np.asarray(labels).astype(np.int64)


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
