"""Recorded curves p^(t)(c | x): one row per image and epoch, sorted by image within an epoch, no index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tidal_core.records import Curves, Float32, Int64
from tidal_core.store.columns import float_lists, insert, int_lists
from tidal_core.store.database import Database


@dataclass(frozen=True)
class ImageCurve:
    """One image's path through one round.

    Dense: ``p`` (T, C) in the round's class order, ``class_ids`` None. Sparse: ``p`` and ``class_ids`` (T, K).
    """

    epochs: Int64  # (T,)
    p: Float32
    class_ids: Int64 | None


def curve_columns(round_id: int, epoch: int, image_ids: Int64, curves: Curves, class_order: Int64) -> dict[str, Any]:
    """One epoch's rows of the table, for an insert."""
    n = len(image_ids)
    if curves.class_index is None:
        class_ids = pa.nulls(n, pa.list_(pa.int32()))
    else:
        used = curves.class_index >= 0
        class_ids = int_lists(np.where(used, class_order[np.maximum(curves.class_index, 0)], -1))
    return {
        "round_id": np.full(n, round_id, dtype=np.int32),
        "epoch": np.full(n, epoch, dtype=np.int32),
        "image_id": image_ids.astype(np.int32),
        "p": float_lists(curves.p),
        "class_ids": class_ids,
    }


class CurveTable:
    """The table ``curves``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, round_id: int, epoch: int, image_ids: Int64, curves: Curves, class_order: Int64) -> None:
        """Store one epoch of all training images. ``image_ids`` (N,) ascending; ``class_order`` (C,) class ids.

        Sparse curves are stored with class ids in place of positions, unused places with class id -1.
        """
        with self._db.write() as cursor:
            insert(cursor, "curves", curve_columns(round_id, epoch, image_ids, curves, class_order))

    def of_image(self, round_id: int, image_id: int) -> ImageCurve | None:
        """One image's path in one round; None when the round kept no curve of it."""
        rows = self._db.rows(
            "SELECT epoch, p, class_ids FROM curves WHERE round_id = ? AND image_id = ? ORDER BY epoch",
            [round_id, image_id],
        )
        if not rows:
            return None
        class_ids = None if rows[0][2] is None else np.array([row[2] for row in rows], dtype=np.int64)
        return ImageCurve(
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.float32),
            class_ids,
        )

    def of_epoch(self, round_id: int, epoch: int) -> tuple[Float32, Int64 | None]:
        """All training images at one epoch, by image id: p (N, C) and None, or p (N, K) and class ids (N, K)."""
        rows = self._db.rows(
            "SELECT p, class_ids FROM curves WHERE round_id = ? AND epoch = ? ORDER BY image_id", [round_id, epoch]
        )
        p = np.array([row[0] for row in rows], dtype=np.float32)
        sparse = bool(rows) and rows[0][1] is not None
        return p, np.array([row[1] for row in rows], dtype=np.int64) if sparse else None

    def rounds_kept(self) -> list[int]:
        """Rounds whose whole curves are still in the file."""
        return [int(row[0]) for row in self._db.rows("SELECT DISTINCT round_id FROM curves ORDER BY round_id")]

    def drop_before(self, round_id: int) -> None:
        """Drop whole curves of older rounds; their statistics stay in ``round_images``."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM curves WHERE round_id < ?", [round_id])
