"""What rounds say of images: how often they are right and about what, how far two agree, and every prediction.

Both sides follow merges: what was predicted, and what is true. Reads only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tidal_core.records import Int64
from tidal_core.store.classes import standing_class
from tidal_core.store.database import Database
from tidal_core.store.scores import ASIDE, RESERVE

_PREDICTED = standing_class("s.predicted")


def _truth(truth: str, joins: str, which: str) -> str:
    return f"""
        SELECT s.round_id, s.image_id, {truth} AS truth, {_PREDICTED} AS predicted, s.confidence, s.p, s.class_ids
        FROM scores s JOIN images i ON i.id = s.image_id {joins}
        WHERE {which} AND {truth} IS NOT NULL
    """


_KNOWN = "coalesce(k.merged_into, i.known_class)", "LEFT JOIN classes k ON k.id = i.known_class"
_LABEL = "l.class_id", "JOIN current_labels l ON l.image_id = s.image_id"
_TRUTHS = {
    "test": _truth(*_KNOWN, "s.part = 'test'"),
    "audit": _truth(*_LABEL, "s.part = 'audit'"),
    "known": _truth(*_KNOWN, "s.part IN ('pool', 'audit')"),
    "chosen": _truth(*_LABEL, "s.part = 'pool' AND coalesce(l.purpose, '') <> 'audit'"),
    "folds": f"""
        SELECT s.round_id, s.image_id, l.class_id AS truth, {_PREDICTED} AS predicted, list_max(s.p) AS confidence,
               s.p, s.class_ids
        FROM fold_predictions s JOIN current_labels l ON l.image_id = s.image_id WHERE l.class_id IS NOT NULL
    """,
}


class PredictionRow(NamedTuple):
    """What a round says of one image."""

    image_id: int
    predicted: int  # class id
    p: float  # of that class
    label: int | None  # class id that stands now


# Images that may still be labelled, and whose labeller is not to know what the model says.
_WITHHELD = f"(s.part IN ('{RESERVE}', '{ASIDE}') AND l.class_id IS NULL)"
_PREDICTIONS = f"""
    FROM scores s LEFT JOIN current_labels l ON l.image_id = s.image_id
    WHERE s.round_id = $1 AND NOT {_WITHHELD} AND ($2::INTEGER IS NULL OR {_PREDICTED} = $2)
"""
_PREDICTIONS_OF = {
    "all": "",
    "labelled": "AND l.class_id IS NOT NULL",
    "unlabelled": "AND l.class_id IS NULL",
    "differ": f"AND l.class_id <> {_PREDICTED}",
}
_PREDICTION_ORDERS = {"surest": "3 DESC, 1", "least sure": "3, 1", "image": "1"}


class Predictions:
    """Reads of the predictions of rounds."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def confusion(self, round_id: int, part: str) -> tuple[Int64, Int64, Int64]:
        """Known class, predicted class and images of every pair that occurs; ``part`` is "test" or "audit"."""
        table = self._db.arrays(
            f"SELECT truth, predicted, count(*) AS n FROM ({self._checked(part)}) GROUP BY ALL ORDER BY ALL",
            [round_id, part],
        )
        return (
            np.asarray(table["truth"], dtype=np.int64),
            np.asarray(table["predicted"], dtype=np.int64),
            np.asarray(table["n"], dtype=np.int64),
        )

    def cell(self, round_id: int, part: str, truth: int, predicted: int, limit: int = 48) -> list[int]:
        """Images of one cell of the confusion matrix, the surest first."""
        rows = self._db.rows(
            f"SELECT image_id FROM ({self._checked(part)}) WHERE truth = ? AND predicted = ? "
            "ORDER BY confidence DESC, image_id LIMIT ?",
            [round_id, part, truth, predicted, limit],
        )
        return [int(row[0]) for row in rows]

    def _checked(self, part: str) -> str:
        """Images of one round whose prediction can be compared with a class, as SQL with two parameters: round, part.

        "test" and "audit": as the round scored them. "known": images with a known class that the round did not train
        on. "chosen": images that were in the pool then and have been chosen and labelled since. "folds": the labelled
        images of the round, as heads predict them that did not train on them.
        """
        return f"SELECT * EXCLUDE (round_id) FROM ({_TRUTHS[part]}) WHERE round_id = ? AND ? = '{part}'"

    def accuracies(self, part: str) -> dict[int, tuple[int, int]]:
        """How many predictions of each round are right, and of how many; parts as of ``held_out``."""
        rows = self._db.rows(
            f"SELECT round_id, sum((truth = predicted)::INTEGER), count(*) FROM ({_TRUTHS[part]}) GROUP BY round_id"
        )
        return {round_id: (int(right), n) for round_id, right, n in rows}

    def held_out(self, round_id: int, part: str, limit: int | None = None) -> tuple[list[Any], list[Any], Int64]:
        """Stored p, class ids (or None) and the class of images that a round did not train on, by image id.

        Of more than ``limit`` some, the same ones each time.
        """
        order = "image_id" if limit is None else "hash(image_id)"
        rows = self._db.rows(
            f"SELECT p, class_ids, truth FROM ({self._checked(part)}) ORDER BY {order} LIMIT ?",
            [round_id, part, limit],
        )
        p, class_ids, truth = ([row[place] for row in rows] for place in range(3))
        return p, class_ids, np.array(truth, dtype=np.int64)

    def some(
        self, round_id: int, class_id: int | None, which: str, order: str, offset: int, limit: int
    ) -> list[PredictionRow]:
        """Some of a round's predictions, of one class or of all (None).

        ``which``: "all", "labelled", "unlabelled", "differ" (from the label); ``order``: "surest", "least sure",
        "image". Raises KeyError for others. Images that wait for a label that nobody may influence are left out.
        """
        rows = self._db.rows(
            f"SELECT s.image_id, {_PREDICTED}, list_max(s.p)::DOUBLE, l.class_id {_PREDICTIONS} "
            f"{_PREDICTIONS_OF[which]} ORDER BY {_PREDICTION_ORDERS[order]} LIMIT $3 OFFSET $4",
            [round_id, class_id, limit, offset],
        )
        return [PredictionRow(*row) for row in rows]

    def count(self, round_id: int, class_id: int | None, which: str) -> int:
        """How many ``some`` chooses from."""
        counted = f"SELECT count(*) {_PREDICTIONS} {_PREDICTIONS_OF[which]}"
        return int(self._db.value(counted, [round_id, class_id]))

    def count_withheld(self, round_id: int) -> int:
        """How many images ``some`` leaves out."""
        return int(
            self._db.value(
                "SELECT count(*) FROM scores s LEFT JOIN current_labels l ON l.image_id = s.image_id "
                f"WHERE s.round_id = ? AND {_WITHHELD}",
                [round_id],
            )
        )

    def changed_share(self, round_id: int, before: int) -> float | None:
        """Share of the pool images of both rounds whose predicted class changed; None without common images."""
        share = self._db.value(
            f"""
            SELECT avg(({standing_class("now.predicted")} <> {standing_class("before.predicted")})::INTEGER)
            FROM scores now JOIN scores before ON before.image_id = now.image_id
            WHERE now.round_id = ? AND now.part = 'pool' AND before.round_id = ? AND before.part = 'pool'
            """,
            [round_id, before],
        )
        return None if share is None else float(share)

    def agreement(self, round_id: int, before: int, seed: int, images: int) -> Int64:
        """How often two rounds predict which classes, (C, C), row: ``before``; C of what occurs.

        Over images of the pool drawn by ``seed``, the same ones for every two rounds; later imports draw anew.
        """
        table = self._db.arrays(
            f"""
            SELECT {standing_class("b.predicted")} AS before, {standing_class("n.predicted")} AS now, count(*) AS n
            FROM (
                SELECT id FROM images WHERE split = 'pool' ORDER BY hash(id::BIGINT * 1000003 + ?), id LIMIT ?
            ) i
            JOIN scores b ON b.image_id = i.id AND b.round_id = ? JOIN scores n ON n.image_id = i.id AND n.round_id = ?
            GROUP BY ALL
            """,
            [seed, images, before, round_id],
        )
        pairs = np.array([table["before"], table["now"]], dtype=np.int64)  # (2, P)
        classes, places = np.unique(pairs, return_inverse=True)
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        counts[*places.reshape(pairs.shape)] = table["n"]
        return counts
