"""The epochs of a round on their way to the store: several at a time where an epoch takes less than storing it.

A transaction takes some 20 ms, an epoch of a head on features as little. Nobody looks more often than ``SECONDS``.
"""

from __future__ import annotations

import time

from tidal_core.records import EpochRecord, Int64
from tidal_core.store import Store

SECONDS = 0.3  # between two transactions, at least


class EpochLog:
    """Epochs of one round. ``flush`` before anything that says that they are stored: a checkpoint, the round's end."""

    def __init__(self, store: Store, round_id: int, image_ids: Int64, class_ids: Int64) -> None:
        """``image_ids`` (N,) of the rows of the curves, ``class_ids`` (C,) of their positions."""
        self._store, self._round_id = store, round_id
        self._image_ids, self._class_ids = image_ids, class_ids
        self._waiting: list[EpochRecord] = []
        self._stored = -SECONDS

    def add(self, record: EpochRecord) -> None:
        """Keep an epoch; it is stored now if the last one has been for a while."""
        self._waiting.append(record)
        if time.monotonic() - self._stored >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store what waits, in one transaction."""
        self._store.epochs.add(self._round_id, self._waiting, self._image_ids, self._class_ids)
        self._waiting.clear()
        self._stored = time.monotonic()
