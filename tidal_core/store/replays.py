"""What a replay of the rounds asks: curves of some images as arrays, and which images each round asked for.

Reads only. Of every vector the probability of one class leaves DuckDB, so that a round of 2,000 images, 60 epochs and
100 classes is 120,000 numbers and not twelve million. Images that a person excluded since are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tidal_core.records import Bools, Float32, Int64
from tidal_core.store.database import Database

_EXACT = ("mean", "variability", "correctness")
# As in ``store.scores.FOR_PEOPLE``, and without test images: nobody labels those.
_PARTS = "s.part IN ('pool', 'labelled', 'audit')"


class OfClass(NamedTuple):
    """The curves of one class for each of N images over T epochs."""

    epochs: Int64  # (T,) ascending
    p: Float32  # (T, N); NaN where nothing is recorded
    right: Bools  # (T, N) whether that class was the likeliest


class ScoredImages(NamedTuple):
    """Images that a round scored with exact dynamics; arrays are (N,), by id."""

    image_ids: Int64
    predicted: Int64  # class ids
    summary: Float32  # (3, N): confidence, variability and correctness of the label, or of the predicted class
    has_curves: bool  # whether their whole curves are kept


class AskedRow(NamedTuple):
    """An image that a round asked for, or that stands in its ranking."""

    image_id: int
    rank: int  # in the ranking from 1; 0 where that is not known
    class_id: int | None  # the label that it has now
    was_asked: bool  # answered out of this ranking


class Replays:
    """Reads for a replay."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def labelled(self, round_id: int) -> tuple[Int64, Int64, dict[str, Float32]]:
        """The images that a round trained on by id (N,), the class ids (N,) of their labels, and their summaries.

        The summaries are confidence, variability and correctness (N,), NaN where the round did not get so far.
        """
        names = ("confidence", "variability", "correctness")
        table = self._db.arrays(
            f"""
            SELECT r.image_id, r.class_id, {", ".join(f"r.{name}::FLOAT AS {name}" for name in names)}
            FROM round_images r JOIN images i ON i.id = r.image_id
            WHERE r.round_id = ? AND r.split = 'train' AND i.status <> 'excluded' ORDER BY r.image_id
            """,
            [round_id],
        )
        summaries = {name: np.ma.filled(np.ma.asarray(table[name], dtype=np.float32), np.nan) for name in names}
        return _ids(table["image_id"]), _ids(table["class_id"]), summaries

    def scored(self, round_id: int) -> ScoredImages:
        """Images of which a round knows the exact curve, or what describes it; none where the body trained."""
        table = self._db.arrays(
            f"""
            SELECT s.image_id, s.predicted, s.exact_curve IS NOT NULL AS has_curve,
                   s.exact_mean, s.exact_variability, s.exact_correctness
            FROM scores s JOIN images i ON i.id = s.image_id
            WHERE s.round_id = ? AND s.exact_mean IS NOT NULL AND {_PARTS} AND i.status <> 'excluded'
            ORDER BY s.image_id
            """,
            [round_id],
        )
        summary = np.stack([np.asarray(table[f"exact_{name}"], dtype=np.float32) for name in _EXACT])
        has_curves = bool(len(table["has_curve"])) and bool(np.all(table["has_curve"]))
        return ScoredImages(_ids(table["image_id"]), _ids(table["predicted"]), summary, has_curves)

    def epochs(self, round_id: int) -> Int64:
        """The epochs (T,) of which a round keeps curves."""
        table = self._db.arrays("SELECT DISTINCT epoch FROM curves WHERE round_id = ? ORDER BY epoch", [round_id])
        return _ids(table["epoch"])

    def curves(self, round_id: int, image_ids: Int64, class_ids: Int64, places: Int64, epochs: Int64) -> OfClass:
        """p of one class for each image at the given epochs.

        Row-aligned (N,): images, class ids, and the classes' places in the round's order.
        """
        with self._db.reading() as cursor:
            cursor.register("replayed", _wanted(image_ids, class_ids, places))
            table = cursor.execute(
                """
                SELECT w.place_of_row, c.epoch,
                       CASE WHEN c.class_ids IS NULL THEN c.p[w.place]
                            ELSE coalesce(c.p[list_position(c.class_ids, w.class_id)], 0) END AS p,
                       CASE WHEN c.class_ids IS NULL THEN list_position(c.p, list_max(c.p)) = w.place
                            ELSE c.class_ids[list_position(c.p, list_max(c.p))] = w.class_id END AS is_right
                FROM curves c JOIN replayed w ON w.image_id = c.image_id
                WHERE c.round_id = ? AND c.epoch IN (SELECT unnest(?::INTEGER[]))
                """,
                [round_id, epochs.tolist()],
            ).fetchnumpy()
        return _filled(epochs, len(image_ids), np.searchsorted(epochs, _ids(table["epoch"])), table)

    def exact(self, round_id: int, image_ids: Int64, class_ids: Int64, places: Int64) -> OfClass:
        """As ``curves`` of the exact curves that a round keeps of images whether or not it trained on them."""
        row = self._db.row("SELECT exact_epochs FROM rounds WHERE id = ?", [round_id])
        epochs = np.array([] if row is None or row[0] is None else row[0], dtype=np.int64)
        with self._db.reading() as cursor:
            cursor.register("replayed", _wanted(image_ids, class_ids, places))
            table = cursor.execute(
                f"""
                SELECT place_of_row, e,
                       -- A class that is not among the few that are kept of an image is next to impossible.
                       coalesce(curve[e * k + spot], 0) AS p,
                       list_position(curve[e * k + 1 : e * k + k], list_max(curve[e * k + 1 : e * k + k])) = spot
                           AS is_right
                FROM (
                    SELECT w.place_of_row, s.exact_curve AS curve, len(s.exact_curve) // ? AS k,
                           CASE WHEN s.class_ids IS NULL THEN w.place
                                ELSE list_position(s.class_ids, w.class_id) END AS spot
                    FROM scores s JOIN replayed w ON w.image_id = s.image_id
                    WHERE s.round_id = ? AND s.exact_curve IS NOT NULL AND {_PARTS}
                ), range(?) AS epochs(e)
                """,
                [max(len(epochs), 1), round_id, len(epochs)],
            ).fetchnumpy()
        return _filled(epochs, len(image_ids), _ids(table["e"]), table)

    def asked(self, round_id: int, limit: int, *, next_too: bool) -> list[AskedRow]:
        """Up to ``limit`` images that were asked out of a round's ranking, in its order.

        ``next_too``: then those that come next in it and are not answered yet, where the ranking still serves.
        """
        rows = self._db.rows(
            """
            SELECT i.id, coalesce(s.rank, 0), l.class_id, a.image_id IS NOT NULL AS was_asked
            FROM images i
            LEFT JOIN (SELECT image_id, rank FROM scores WHERE round_id = $1 AND part = 'pool') s ON s.image_id = i.id
            LEFT JOIN (
                SELECT DISTINCT image_id FROM standing_answers WHERE round_id = $1 AND purpose = 'query'
            ) a ON a.image_id = i.id
            LEFT JOIN current_labels l ON l.image_id = i.id
            WHERE i.status <> 'excluded' AND (
                a.image_id IS NOT NULL
                OR $3 AND s.rank IS NOT NULL AND i.id NOT IN (SELECT image_id FROM current_answers)
            )
            ORDER BY was_asked DESC, s.rank NULLS LAST, i.id LIMIT $2
            """,
            [round_id, limit, next_too],
        )
        return [AskedRow(*row) for row in rows]

    def first_labelled(self, round_id: int, limit: int) -> list[AskedRow]:
        """The images that the first round trained on, in the order in which they were answered."""
        rows = self._db.rows(
            """
            SELECT r.image_id, 0, l.class_id, TRUE
            FROM round_images r JOIN images i ON i.id = r.image_id
            LEFT JOIN current_labels l ON l.image_id = r.image_id
            WHERE r.round_id = ? AND r.split = 'train' AND i.status <> 'excluded'
            ORDER BY l.seq NULLS LAST, r.image_id LIMIT ?
            """,
            [round_id, limit],
        )
        return [AskedRow(*row) for row in rows]


def _ids(column: Any) -> Int64:
    return np.asarray(column, dtype=np.int64)


def _filled(epochs: Int64, images: int, places: Int64, table: Any) -> OfClass:
    """Rows of an image at one place of ``epochs`` each, as arrays (T, N)."""
    p = np.full((len(epochs), images), np.nan, dtype=np.float32)
    right = np.zeros(p.shape, dtype=np.bool_)
    at = places, _ids(table["place_of_row"])
    p[at] = table["p"]
    right[at] = np.ma.filled(np.ma.asarray(table["is_right"], dtype=np.bool_), False)
    return OfClass(epochs, p, right)


def _wanted(image_ids: Int64, class_ids: Int64, places: Int64) -> pa.Table:
    return pa.table(
        {
            "image_id": pa.array(image_ids, pa.int32()),
            "class_id": pa.array(class_ids, pa.int32()),
            "place": pa.array(places + 1, pa.int32()),
            "place_of_row": pa.array(np.arange(len(image_ids)), pa.int32()),
        }
    )
