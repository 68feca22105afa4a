"""Scores: what a round's network says of every pool, labelled and test image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.records import Float32, Float64, Int64
from tidal_core.store.classes import standing_class
from tidal_core.store.columns import float_lists, insert, int_lists, steady_utc_now
from tidal_core.store.curves import ImageCurve
from tidal_core.store.database import Database

RESERVE = "reserve"  # the part of images that are kept to measure accuracy and were not labelled yet
ASIDE = "aside"  # the part of skipped and hidden images, and of test images without a known class
# Scores of these parts are for exports. Nobody who may still label such an image sees what the model says of it.
FOR_PEOPLE = f"part NOT IN ('{RESERVE}', '{ASIDE}')"
LATEST = "(SELECT max(id) FROM rounds WHERE state = 'done' AND id IN (SELECT round_id FROM scores))"
"""The newest finished round with scores."""


@dataclass(frozen=True)
class ExactRows:
    """The exact dynamics of N images, row-aligned with their scores; C may be K, see ``ScoreRows.class_ids``."""

    p_bar: Float32  # (N, C)
    curves: Float32 | None  # (N, E, C) p^(t) at the round's exact epochs; None where these are too many points to keep
    mean: Float32  # (N,) of the label's probability over the epochs; of the predicted class without a label
    variability: Float32  # (N,) its deviation
    correctness: Float32  # (N,) share of the epochs at which that class was the likeliest


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
    exact: ExactRows | None = None  # where only a head trained


class RandomCheck(NamedTuple):
    """An image that was picked at random, as a round predicts it."""

    predicted: int  # class id
    p: float  # of that class
    truth: int  # class id
    is_test: bool


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
    exact: Float32 | None = None  # exact p-bar, like td


# The largest probability with a temperature T, $2 being 1 / T: p^(1/T) over the sum of all. Where a vector holds some
# classes only, the rest of its probability is spread evenly over the others, as everywhere.
_OTHERS = "greatest(len(string_split(r.class_ids, ',')) - len(s.p), 0)"
_PREDICTED = standing_class("s.predicted")
_LARGEST = f"""
    (pow(list_max(s.p)::DOUBLE, $2) / (
        list_sum([pow(x::DOUBLE, $2) for x in s.p])
        + {_OTHERS} * pow(greatest(1 - list_sum(s.p)::DOUBLE, 0) / greatest({_OTHERS}, 1), $2)
    ))::DOUBLE
"""

_LEADS = {
    "exact": "CASE WHEN class_ids IS NULL THEN list_reverse_sort(exact)[1] - list_reverse_sort(exact)[2] END",
    "td": "td_margin_naive",
    "p": "margin",
}


class Scores:
    """The table ``scores``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, round_id: int, part: str, rows: ScoreRows) -> None:
        """Store scores in one transaction, replacing those of the same round and part (a resumed round).

        ``part``: "pool", "labelled", what the round was measured on, RESERVE or ASIDE.
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
        if rows.exact is not None:
            exact = rows.exact
            columns |= {
                "exact": float_lists(exact.p_bar),
                "exact_mean": exact.mean.astype(np.float32),
                "exact_variability": exact.variability.astype(np.float32),
                "exact_correctness": exact.correctness.astype(np.float32),
            }
            if exact.curves is not None:
                columns["exact_curve"] = float_lists(exact.curves.reshape(n, int(np.prod(exact.curves.shape[1:]))))
        columns |= {name: rows.estimators[name].astype(np.float32) for name in ESTIMATORS if name in rows.estimators}
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM scores WHERE round_id = ? AND part = ?", [round_id, part])
            insert(cursor, "scores", columns)

    def add_folds(self, round_id: int, rows: ScoreRows) -> None:
        """Store what heads predict of the round's own images that they did not train on, replacing those of before."""
        n = len(rows.image_ids)
        columns: dict[str, Any] = {
            "round_id": np.full(n, round_id, dtype=np.int32),
            "image_id": rows.image_ids.astype(np.int32),
            "predicted": rows.predicted.astype(np.int32),
            "p": float_lists(rows.p),
            "class_ids": pa.nulls(n, pa.list_(pa.int32())) if rows.class_ids is None else int_lists(rows.class_ids),
        }
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM fold_predictions WHERE round_id = ?", [round_id])
            insert(cursor, "fold_predictions", columns)

    def latest_round(self) -> int | None:
        """The newest finished round with scores."""
        return self._db.value(f"SELECT {LATEST}")  # type: ignore[no-any-return]

    def table(self, round_id: int, part: str = "pool") -> dict[str, Any]:
        """All plain columns of a round's part as arrays: image_id, predicted, rank (masked) and every estimator."""
        names = ", ".join(ESTIMATORS)
        return self._db.arrays(
            f"SELECT image_id, predicted, rank, {names} FROM scores WHERE round_id = ? AND part = ? ORDER BY image_id",
            [round_id, part],
        )

    def of_image(self, image_id: int, round_id: int | None = None) -> list[ImageScore]:
        """One image's scores, oldest round first; of one round when asked. Without those that are for exports."""
        names = ", ".join(ESTIMATORS)
        rows = self._db.rows(
            f"SELECT round_id, part, predicted, p, td, class_ids, rank, exact, {names} FROM scores "
            f"WHERE image_id = ? AND (?::INTEGER IS NULL OR round_id = ?) AND {FOR_PEOPLE} ORDER BY round_id",
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
                {name: value for name, value in zip(ESTIMATORS, row[8:], strict=True) if value is not None},
                None if row[7] is None else np.array(row[7], dtype=np.float32),
            )
            for row in rows
        ]

    def exact_curve(self, round_id: int, image_id: int) -> ImageCurve | None:
        """One image's p at the round's exact epochs, whether or not it was trained on; None where that is not kept."""
        row = self._db.row(
            "SELECT r.exact_epochs, s.exact_curve, s.class_ids FROM scores s JOIN rounds r ON r.id = s.round_id "
            f"WHERE s.round_id = ? AND s.image_id = ? AND s.exact_curve IS NOT NULL AND s.{FOR_PEOPLE}",
            [round_id, image_id],
        )
        if row is None:
            return None
        epochs = np.array(row[0], dtype=np.int64)
        p = np.array(row[1], dtype=np.float32).reshape(len(epochs), -1)
        class_ids = None if row[2] is None else np.tile(np.array(row[2], dtype=np.int64), (len(epochs), 1))
        return ImageCurve(epochs, p, class_ids)

    def rounds_with_exact_curve(self, image_id: int) -> list[int]:
        """Rounds whose exact curve of an image is kept, oldest first."""
        rows = self._db.rows(
            f"SELECT round_id FROM scores WHERE image_id = ? AND exact_curve IS NOT NULL AND {FOR_PEOPLE} "
            "ORDER BY round_id",
            [image_id],
        )
        return [int(row[0]) for row in rows]

    def drop_exact_curves_before(self, round_id: int) -> None:
        """Drop the exact curves of older rounds; p-bar and what describes the curves stay."""
        with self._db.write() as cursor:
            cursor.execute(
                "UPDATE scores SET exact_curve = NULL WHERE round_id < ? AND exact_curve IS NOT NULL", [round_id]
            )

    def percentile(self, round_id: int, name: str, value: float) -> float:
        """Share of the round's pool whose estimator is below the value, from 0 to 1."""
        if name not in ESTIMATORS:
            raise KeyError(name)
        share = self._db.value(
            f"SELECT avg(({name} < ?)::INTEGER) FROM scores WHERE round_id = ? AND part = 'pool'",
            [value, round_id],
        )
        return float(share or 0.0)

    def mean_lead(self, round_id: int, image_ids: Int64, source: Literal["exact", "td", "p"]) -> float | None:
        """By how much a class leads the second, as a mean over images of a round: 0 (always a tie) to 1.

        ``source``: in the exact dynamics, in the predicted ones, in the final prediction. None where the round says
        nothing of these images, and for exact dynamics of more classes than are kept.
        """
        return self._db.value(  # type: ignore[no-any-return]
            f"SELECT avg({_LEADS[source]}) FROM scores "
            f"WHERE round_id = ? AND image_id IN (SELECT unnest(?::INTEGER[])) AND {FOR_PEOPLE}",
            [round_id, image_ids.tolist()],
        )

    def guesses(
        self, round_id: int, image_ids: Iterable[int], temperature: float = 1.0
    ) -> dict[int, tuple[int, float]]:
        """What a round says of images: image id to (class id, probability); images it did not score are left out."""
        rows = self._db.rows(
            f"SELECT s.image_id, {_PREDICTED}, {_LARGEST} FROM scores s JOIN rounds r ON r.id = s.round_id "
            f"WHERE s.round_id = $1 AND s.image_id IN (SELECT unnest($3::INTEGER[])) AND s.{FOR_PEOPLE}",
            [round_id, 1 / temperature, [int(i) for i in image_ids]],
        )
        return {row[0]: (row[1], float(row[2])) for row in rows}

    def unanswered(
        self, round_id: int, holder: str, temperature: float = 1.0, *, without: Iterable[int] = (), most: int = 0
    ) -> list[tuple[int, int, float]]:
        """Pool images that wait for an answer: (image id, predicted class id, its probability), most certain first.

        Without images that are answered, hidden or leased by another tab than ``holder``, and those of ``without``.
        ``most``: of each class, so many at most (0: all); of a large pool nobody needs all.
        """
        return list(zip(*(a.tolist() for a in self.waiting(round_id, holder, temperature, without, most)), strict=True))

    def waiting(
        self, round_id: int, holder: str, temperature: float = 1.0, without: Iterable[int] = (), most: int = 0
    ) -> tuple[Int64, Int64, Float64]:
        """As ``unanswered``, as three arrays (N,)."""
        at_the_front = "QUALIFY row_number() OVER (PARTITION BY predicted ORDER BY p DESC, image_id) <= $6"
        table = self._db.arrays(
            f"""
            SELECT image_id, predicted, p FROM (
                SELECT s.image_id, {_PREDICTED} AS predicted, {_LARGEST} AS p
                FROM scores s JOIN images i ON i.id = s.image_id JOIN rounds r ON r.id = s.round_id
                WHERE s.round_id = $1 AND s.part = 'pool' AND i.status = 'ready'
                  AND s.image_id NOT IN (SELECT image_id FROM current_answers)
                  AND s.image_id NOT IN (
                      SELECT image_id FROM queue WHERE holder IS NOT NULL AND holder <> $3 AND lease_until > $4
                  )
                  AND s.image_id NOT IN (SELECT unnest($5::INTEGER[]))
            )
            {at_the_front if most else ""}
            ORDER BY p DESC, image_id
            """,
            [
                round_id, 1 / temperature, holder, steady_utc_now(), [int(image_id) for image_id in without],
                *([most] if most else []),
            ],
        )  # fmt: skip
        return (
            np.asarray(table["image_id"], dtype=np.int64),
            np.asarray(table["predicted"], dtype=np.int64),
            np.asarray(table["p"], dtype=np.float64),
        )

    def random_checks(self, round_id: int, temperature: float = 1.0) -> list[RandomCheck]:
        """Images that nothing trained on and nobody chose, whose class is known: asked for the audit, or test images.

        Where there are none of the one kind, those of the other.
        """
        rows = self._db.rows(
            f"""
            SELECT {_PREDICTED}, {_LARGEST}, coalesce(l.class_id, k.merged_into, k.id), s.part = 'test'
            FROM scores s JOIN rounds r ON r.id = s.round_id JOIN images i ON i.id = s.image_id
            LEFT JOIN current_labels l ON l.image_id = s.image_id LEFT JOIN classes k ON k.id = i.known_class
            WHERE s.round_id = $1 AND i.status <> 'excluded' AND (
                s.part = 'test' AND i.known_class IS NOT NULL
                OR s.part IN ('audit', 'pool', '{RESERVE}') AND l.class_id IS NOT NULL AND s.image_id IN (
                    SELECT image_id FROM answers WHERE purpose = 'audit' AND kind <> 'undo'
                )
            )
            ORDER BY s.image_id
            """,
            [round_id, 1 / temperature],
        )
        return [RandomCheck(*row) for row in rows]

    def pool_size(self, round_id: int) -> int:
        """How many pool images a round scored."""
        return int(self._db.value("SELECT count(*) FROM scores WHERE round_id = ? AND part = 'pool'", [round_id]))
