"""The demo: scikit-learn's 1,797 handwritten digits, 8 x 8 pixels (``images.sources.digits``).

Source and URIs: ``digits:`` is all of them, ``digits:17`` is one. 500 are the test split, drawn once with a fixed
seed and the same share of every class.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.sources.digits import SCHEME, load_digits
from tidal_core.records import Int64, Split

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
