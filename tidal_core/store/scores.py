"""Scores: what a round's network says of every pool, labelled and test image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tidal_core.records import ESTIMATORS, Float32, Int64
from tidal_core.store.columns import float_lists, insert, int_lists, utc_now
from tidal_core.store.database import Database


@dataclass(frozen=True)
class ScoreRows:
    """Scores of N images of one part, row-aligned."""

    image_ids: Int64  # (N,)
    predicted: Int64  # (N,) class ids: argmax of the classifier
    p: Float32  # (N, C), or (N, K) with class_ids
    td: Float32 | None  # predicted p-bar, like p; None without the TD module
    class_ids: Int64 | None  # (N, K) class ids of the places of p and td; None when they are in the round's order
    estimators: dict[str, Float32]  # name of ESTIMATORS -> (N,)
    ranks: Int64 | None = None  # (N,) position in the new ranking from 1, 0 for none; pool only


@dataclass(frozen=True)
class ImageScore:
    """One image in one round."""

    round_id: int
    part: str
    predicted: int  # class id
    p: Float32  # (C,) or (K,)
    td: Float32 | None
    class_ids: Int64 | None
    rank: int | None
    estimators: dict[str, float]


class Scores:
    """The table ``scores``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, round_id: int, part: str, rows: ScoreRows) -> None:
        """Store scores in one transaction, replacing those of the same round and part (a resumed round).

        ``part``: "pool", "labelled", or what the round was measured on.
        """
        n = len(rows.image_ids)
        lists = pa.list_(pa.float32())
        columns: dict[str, Any] = {
            "round_id": np.full(n, round_id, dtype=np.int32),
            "image_id": rows.image_ids.astype(np.int32),
            "part": [part] * n,
            "predicted": rows.predicted.astype(np.int32),
            "p": float_lists(rows.p),
            "td": pa.nulls(n, lists) if rows.td is None else float_lists(rows.td),
            "class_ids": pa.nulls(n, pa.list_(pa.int32())) if rows.class_ids is None else int_lists(rows.class_ids),
        }
        if rows.ranks is not None:
            columns["rank"] = pa.array(rows.ranks.astype(np.int32), mask=rows.ranks == 0)
        columns |= {name: rows.estimators[name].astype(np.float32) for name in ESTIMATORS if name in rows.estimators}
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM scores WHERE round_id = ? AND part = ?", [round_id, part])
            insert(cursor, "scores", columns)

    def latest_round(self) -> int | None:
        """The newest finished round with scores."""
        return self._db.value(  # type: ignore[no-any-return]
            "SELECT max(id) FROM rounds WHERE state = 'done' AND id IN (SELECT round_id FROM scores)"
        )

    def table(self, round_id: int, part: str = "pool") -> dict[str, Any]:
        """All plain columns of a round's part as arrays: image_id, predicted, rank (masked) and every estimator."""
        names = ", ".join(ESTIMATORS)
        return self._db.arrays(
            f"SELECT image_id, predicted, rank, {names} FROM scores WHERE round_id = ? AND part = ? ORDER BY image_id",
            [round_id, part],
        )

    def of_image(self, image_id: int, round_id: int | None = None) -> list[ImageScore]:
        """One image's scores, oldest round first; of one round when asked."""
        names = ", ".join(ESTIMATORS)
        rows = self._db.rows(
            f"SELECT round_id, part, predicted, p, td, class_ids, rank, {names} FROM scores "
            "WHERE image_id = ? AND (?::INTEGER IS NULL OR round_id = ?) ORDER BY round_id",
            [image_id, round_id, round_id],
        )
        return [
            ImageScore(
                row[0],
                row[1],
                row[2],
                np.array(row[3], dtype=np.float32),
                None if row[4] is None else np.array(row[4], dtype=np.float32),
                None if row[5] is None else np.array(row[5], dtype=np.int64),
                row[6],
                {name: value for name, value in zip(ESTIMATORS, row[7:], strict=True) if value is not None},
            )
            for row in rows
        ]

    def percentile(self, round_id: int, name: str, value: float) -> float:
        """Share of the round's pool whose estimator is below the value, from 0 to 1."""
        if name not in ESTIMATORS:
            raise KeyError(name)
        share = self._db.value(
            f"SELECT avg(({name} < ?)::INTEGER) FROM scores WHERE round_id = ? AND part = 'pool'",
            [value, round_id],
        )
        return float(share or 0.0)

    def guesses(self, round_id: int, image_ids: Iterable[int]) -> dict[int, tuple[int, float]]:
        """What a round says of images: image id to (class id, probability); images it did not score are left out."""
        rows = self._db.rows(
            "SELECT image_id, predicted, list_max(p) FROM scores "
            "WHERE round_id = ? AND image_id IN (SELECT unnest(?::INTEGER[]))",
            [round_id, [int(i) for i in image_ids]],
        )
        return {row[0]: (row[1], float(row[2])) for row in rows}

    def unanswered(self, round_id: int, holder: str) -> list[tuple[int, int, float]]:
        """Pool images that wait for an answer: (image id, predicted class id, its probability), most certain first.

        Without images that are answered, hidden or leased by another tab than ``holder``.
        """
        return self._db.rows(
            """
            SELECT s.image_id, s.predicted, list_max(s.p)::DOUBLE
            FROM scores s JOIN images i ON i.id = s.image_id
            WHERE s.round_id = ? AND s.part = 'pool' AND i.status = 'ready'
              AND s.image_id NOT IN (SELECT image_id FROM current_answers)
              AND s.image_id NOT IN (
                  SELECT image_id FROM queue WHERE holder IS NOT NULL AND holder <> ? AND lease_until > ?
              )
            ORDER BY 3 DESC, 1
            """,
            [round_id, holder, utc_now()],
        )

    def pool_size(self, round_id: int) -> int:
        """How many pool images a round scored."""
        return int(self._db.value("SELECT count(*) FROM scores WHERE round_id = ? AND part = 'pool'", [round_id]))
