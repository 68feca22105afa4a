"""Lists of images as somebody saw them: what is scrolled, selected and acted on goes by places in one of them.

A page has only the rows that are on its screen. What it says of the others ("from here to there", "all of them") means
the images at these places of the list that it was shown, whatever has been answered since; so the lists are remembered
here. A list is named by its content: whoever has the name means exactly these images in exactly this order. Where a
list is no longer known that is said, and no other list takes its place.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidal_core.errors import InputError, ListGone
from tidal_core.records import Bools, Int64

PLACES_KEPT = 16_000_000  # in all lists together, 4 bytes each; the newest list is kept whatever its length


class Listing(NamedTuple):
    """One list of images, in the order in which it was shown."""

    name: str  # says which images in which order
    image_ids: NDArray[np.int32]  # (N,)


class Listings:
    """The lists of one project that were shown last, each for the person who saw it only."""

    def __init__(self, places_kept: int = PLACES_KEPT) -> None:
        self._kept: OrderedDict[tuple[str, str], Listing] = OrderedDict()  # by person and name, the newest last
        self._places_kept = places_kept
        self._lock = threading.Lock()

    def keep(self, who: str, image_ids: Int64) -> Listing:
        """Remember what a person is shown: images (N,) in their order."""
        ids = np.ascontiguousarray(image_ids, dtype=np.int32)
        name = hashlib.sha256(ids.tobytes()).hexdigest()[:24]
        with self._lock:
            known = self._kept.setdefault((who, name), Listing(name, ids))
            self._kept.move_to_end((who, name))
            places = sum(len(listing.image_ids) for listing in self._kept.values())
            while places > self._places_kept and len(self._kept) > 1:
                places -= len(self._kept.popitem(last=False)[1].image_ids)
        return known

    def get(self, who: str, name: str) -> Listing:
        """A list that a person was shown. Raises ListGone."""
        with self._lock:
            listing = self._kept.get((who, name))
            if listing is None:
                raise ListGone("The studio no longer has this list of images, so nothing was done; reload the page.")
            self._kept.move_to_end((who, name))
        return listing


def taken(image_ids: NDArray[np.int32], runs: Sequence[int]) -> Int64:
    """Some images (M,) of a list (N,): ``runs`` says alternately how many are passed over and how many are taken.

    Raises InputError where the list is shorter than they say.
    """
    if sum(runs) > len(image_ids):
        raise InputError(f"The list has {len(image_ids):,} images, and runs goes beyond its end; reload the page.")
    lengths = np.asarray(runs, dtype=np.int64)
    places = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.asarray(image_ids[: len(places)][places], dtype=np.int64)


def runs_of(is_taken: Bools) -> list[int]:
    """What ``taken`` reads, of which places (N,) are taken."""
    turns = np.flatnonzero(np.diff(is_taken.astype(np.int8), prepend=0, append=0))
    return [int(length) for length in np.diff(turns, prepend=0)]


def followed(old: NDArray[np.int32], runs: Sequence[int], new: NDArray[np.int32]) -> list[int]:
    """Where in a new list (M,) the images are that ``runs`` takes of an old one (N,); those that left it are not taken.

    Raises InputError as ``taken``.
    """
    return runs_of(np.isin(new, taken(old, runs)))
