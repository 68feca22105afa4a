"""Sheets of a sweep: images that look like one class, answered together; and which tab has which of them on screen.

No store, no HTTP: what may be on a sheet is the desk's to say.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

from tidal_core.records import ImageRecord
from tidal_core.store.queue import LEASE_SECONDS

SHEET_AT_MOST = 60


@dataclass(frozen=True)
class Sheet:
    """Images of one predicted class, most certain first."""

    class_id: int | None
    images: list[tuple[ImageRecord, float]]  # and the probability of that class
    round_id: int | None
    reason: str = ""  # why there are none, for people


class SheetLeases:
    """Images on the sheets of tabs, so that no other tab gets them. Every method may be called from any thread.

    The rule is the queue's: an image is a tab's for ``LEASE_SECONDS`` from the last time that the tab spoke, and of one
    that has said nothing for ``SILENT_SECONDS`` others get it where nothing else is left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_image: dict[int, tuple[str, float]] = {}  # image -> tab, when it last spoke (monotonic seconds)

    def take(self, tab: str, image_ids: Iterable[int]) -> None:
        """Hold images for a tab, beside what it has: it fetches the next sheet while the one before is looked at."""
        now = monotonic()
        with self._lock:
            kept = {image: lease for image, lease in self._by_image.items() if now - lease[1] < LEASE_SECONDS}
            self._by_image = kept | dict.fromkeys(image_ids, (tab, now))

    def renew(self, tab: str) -> None:
        """A tab is alive: what it has stays its own."""
        now = monotonic()
        with self._lock:
            self._by_image |= {image: (tab, now) for image, lease in self._by_image.items() if lease[0] == tab}

    def release(self, tab: str) -> None:
        """A tab was closed: others may have what it held."""
        with self._lock:
            self._by_image = {image: lease for image, lease in self._by_image.items() if lease[0] != tab}

    def drop(self, image_ids: Iterable[int]) -> None:
        """Images that another tab got."""
        with self._lock:
            for image in image_ids:
                self._by_image.pop(image, None)

    def of_others(self, tab: str, *, silent: float = LEASE_SECONDS) -> set[int]:
        """Images that other tabs hold, but for tabs that have said nothing for ``silent`` seconds."""
        now = monotonic()
        with self._lock:
            return {
                image for image, (holder, spoke) in self._by_image.items() if holder != tab and now - spoke < silent
            }


def surest_class(by_class: dict[int, list[tuple[int, float]]], n: int, after: int | None) -> int:
    """The class whose first n images, (image, probability) with the most certain first, are the most certain.

    Another one than ``after`` if there is one; the smallest id of equals.
    """
    choices = [class_id for class_id in by_class if class_id != after] or list(by_class)

    def mean_p(class_id: int) -> float:
        first = by_class[class_id][:n]
        return sum(p for _, p in first) / len(first)

    return max(choices, key=lambda class_id: (mean_p(class_id), -class_id))
