"""Questions that pages ask over several tables at once. Reads only; every answer is arrays or small records.

Measured on 120,000 scored images and ten million curve rows (``benchmarks.pages``): what would bring millions of rows
to Python is counted inside DuckDB instead.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.records import Bools, Float32, Float64, Int64
from tidal_core.store.classes import standing_class
from tidal_core.store.database import Database

BAND_BINS = 200  # p(label) is counted in steps of 0.005
GROUPS = ("labelled", "asked", "remaining")


class MapRows(NamedTuple):
    """The labelled images of one round and the statistics of their curves; arrays are (N,), by image id."""

    image_ids: Int64
    names: NDArray[np.object_]
    class_ids: Int64  # the label that the round trained with
    annotators: NDArray[np.object_]  # "" where the answer was taken back since
    purposes: NDArray[np.object_]  # "query", "seed", or "" when not known
    answered: Int64  # the answer's sequence number, 0 when taken back since
    statistics: dict[str, Float32]  # confidence, variability, correctness, margin_area, first_learnt, forgetting

    def without(self, hidden: Collection[int]) -> MapRows:
        """All rows but those of some images."""
        keep = ~np.isin(self.image_ids, list(hidden))
        statistics = {name: values[keep] for name, values in self.statistics.items()}
        return MapRows(
            self.image_ids[keep], self.names[keep], self.class_ids[keep], self.annotators[keep], self.purposes[keep],
            self.answered[keep], statistics,
        )  # fmt: skip


class ExactMapRows(NamedTuple):
    """Images that a round scored and what describes their exact curves; arrays are (N,), by image id."""

    image_ids: Int64
    names: NDArray[np.object_]
    class_ids: Int64  # the label now, else the class that the round predicted
    groups: Int64  # positions in GROUPS: labelled before the round, asked since, remaining
    mean: Float32
    variability: Float32
    correctness: Float32

    def without(self, hidden: Collection[int]) -> ExactMapRows:
        """All rows but those of some images."""
        keep = ~np.isin(self.image_ids, list(hidden))
        return ExactMapRows(
            self.image_ids[keep], self.names[keep], self.class_ids[keep], self.groups[keep], self.mean[keep],
            self.variability[keep], self.correctness[keep],
        )  # fmt: skip


class ImageInRound(NamedTuple):
    """One image among those a round trained on."""

    round_id: int
    class_id: int
    td_bar: Float32 | None  # observed p-bar; None while the round runs
    td_classes: Int64 | None  # class ids of td_bar's places; None: the round's order
    statistics: dict[str, float]


class Observed(NamedTuple):
    """p-bar of the images that one round trained on, by image id; lists are row-aligned."""

    image_ids: Int64  # (N,)
    class_ids: Int64  # (N,) the label that the round trained with
    p: list[Any]
    p_classes: list[Any]  # class ids of the places of p, or None: the round's order


class Foresight(NamedTuple):
    """Images that one round asked and a later one trained on; lists are row-aligned."""

    observed: list[Any]  # p-bar lists
    observed_classes: list[Any]  # class ids or None
    predicted: list[Any]  # the module's, when it was asked
    final: list[Any]  # the classifier's final prediction of the round that asked
    predicted_classes: list[Any]
    observed_rounds: Int64  # the round that trained on it first


class AuditHistory(NamedTuple):
    """What happened to each pool image that has a place in the audit order; arrays are (N,), by id."""

    image_ids: Int64
    places: Int64
    ready: Bools
    imported_at: Float64  # seconds since 1970 (UTC), as ``drawn_at``
    drawn: Int64  # sequence number of the first answer that was asked for the audit, 0 without one
    drawn_at: Float64  # 0 for an image that was not drawn
    otherwise: Int64  # of the first label or skip that was not, 0 without one
    came_labelled: Bools  # has, or had, a label of an import
    excluded: Bools  # by a person


_STATISTICS = ("confidence", "variability", "correctness", "margin_area", "first_learnt", "forgetting")


class Views:
    """Reads over several tables."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def map(self, round_id: int) -> MapRows:
        """The images a finished round trained on, with the statistics of their curves."""
        table = self._db.arrays(
            f"""
            SELECT r.image_id, i.name, r.class_id, coalesce(a.annotator, '') AS annotator,
                   coalesce(a.purpose, '') AS purpose, coalesce(a.seq, 0) AS seq,
                   {", ".join(f"r.{name}::FLOAT AS {name}" for name in _STATISTICS)}
            FROM round_images r JOIN images i ON i.id = r.image_id
            LEFT JOIN current_answers a ON a.image_id = r.image_id
            WHERE r.round_id = ? AND r.split = 'train' AND r.confidence IS NOT NULL
            ORDER BY r.image_id
            """,
            [round_id],
        )
        return MapRows(
            np.asarray(table["image_id"], dtype=np.int64),
            np.asarray(table["name"], dtype=object),
            np.asarray(table["class_id"], dtype=np.int64),
            np.asarray(table["annotator"], dtype=object),
            np.asarray(table["purpose"], dtype=object),
            np.asarray(table["seq"], dtype=np.int64),
            {name: _floats(table[name]) for name in _STATISTICS},
        )

    def exact_map(self, round_id: int) -> ExactMapRows:
        """Every image that a round scored, with what describes its exact curve; no row where the body trained."""
        table = self._db.arrays(
            f"""
            SELECT s.image_id, i.name, coalesce(l.class_id, {standing_class("s.predicted")}) AS class_id,
                   CASE WHEN s.part = 'pool' AND a.image_id IS NULL THEN 2 WHEN s.part = 'pool' THEN 1 ELSE 0
                   END AS grp, s.exact_mean, s.exact_variability, s.exact_correctness
            FROM scores s JOIN images i ON i.id = s.image_id
            LEFT JOIN current_labels l ON l.image_id = s.image_id
            LEFT JOIN current_answers a ON a.image_id = s.image_id
            WHERE s.round_id = ? AND s.part IN ('pool', 'labelled', 'audit') AND s.exact_mean IS NOT NULL
            ORDER BY s.image_id
            """,
            [round_id],
        )
        return ExactMapRows(
            np.asarray(table["image_id"], dtype=np.int64),
            np.asarray(table["name"], dtype=object),
            np.asarray(table["class_id"], dtype=np.int64),
            np.asarray(table["grp"], dtype=np.int64),
            _floats(table["exact_mean"]),
            _floats(table["exact_variability"]),
            _floats(table["exact_correctness"]),
        )

    def observed(self, round_id: int) -> Observed:
        """p-bar of every image that a finished round trained on."""
        rows = self._db.rows(
            "SELECT image_id, class_id, td_bar, td_classes FROM round_images "
            "WHERE round_id = ? AND split = 'train' AND td_bar IS NOT NULL ORDER BY image_id",
            [round_id],
        )
        ids, classes, p, p_classes = ([row[place] for row in rows] for place in range(4))
        return Observed(np.array(ids, dtype=np.int64), np.array(classes, dtype=np.int64), p, p_classes)

    def rounds_of_image(self, image_id: int) -> list[ImageInRound]:
        """The rounds that trained on an image, oldest first."""
        rows = self._db.rows(
            f"SELECT round_id, class_id, td_bar, td_classes, {', '.join(_STATISTICS)} FROM round_images "
            "WHERE image_id = ? AND split = 'train' ORDER BY round_id",
            [image_id],
        )
        return [
            ImageInRound(
                row[0],
                row[1],
                None if row[2] is None else np.array(row[2], dtype=np.float32),
                None if row[3] is None else np.array(row[3], dtype=np.int64),
                {name: float(value) for name, value in zip(_STATISTICS, row[4:], strict=True) if value is not None},
            )
            for row in rows
        ]

    def bands(
        self, round_id: int, image_ids: Int64, places: Int64, class_ids: Int64, groups: Int64, *, most_epochs: int = 0
    ) -> tuple[Int64, Int64]:
        """How p(label) is spread over images, per group and epoch: epochs (T,), counts (G, T, 200).

        Row-aligned (N,): the images, the position of each one's label in the round's class order, its class id, and
        its group 0..G-1. Bin b counts images with 0.005 b <= p(label) < 0.005 (b + 1). Of more than ``most_epochs``
        epochs (0: of none) every second, third, ... is counted, the last one always: rows of the others are skipped.
        """
        last = int(self._db.value("SELECT coalesce(max(epoch), 0) FROM epochs WHERE round_id = ?", [round_id]))
        step = -(-last // most_epochs) if most_epochs else 1
        n_groups = int(groups.max()) + 1 if len(groups) else 0
        with self._db.reading() as cursor:
            cursor.register(
                "band_groups",
                pa.table(
                    {
                        "image_id": pa.array(image_ids, pa.int32()),
                        "place": pa.array(places + 1, pa.int32()),
                        "class_id": pa.array(class_ids, pa.int32()),
                        "grp": pa.array(groups, pa.int32()),
                    }
                ),
            )
            table = cursor.execute(
                f"""
                SELECT grp, epoch, least(floor(p * {BAND_BINS}), {BAND_BINS - 1})::INTEGER AS bin, count(*) AS n
                FROM (
                    SELECT g.grp, c.epoch,
                           CASE WHEN c.class_ids IS NULL THEN c.p[g.place]
                                ELSE coalesce(c.p[list_position(c.class_ids, g.class_id)], 0) END AS p
                    FROM curves c JOIN band_groups g ON g.image_id = c.image_id
                    WHERE c.round_id = ? AND (? - c.epoch) % ? = 0
                )
                GROUP BY ALL
                """,
                [round_id, last, step],
            ).fetchnumpy()
        epochs = np.unique(np.asarray(table["epoch"], dtype=np.int64))
        counts = np.zeros((n_groups, len(epochs), BAND_BINS), dtype=np.int64)
        counts[table["grp"], np.searchsorted(epochs, table["epoch"]), table["bin"]] = table["n"]
        return epochs, counts

    def histogram(
        self, round_id: int, estimator: str, low: float, high: float, bins: int, *, next_batch: int = 0
    ) -> Int64:
        """How one estimator is spread in one round: counts (3, bins) of the images labelled, asked and remaining.

        Asked: answered out of this round's ranking, or among its first ``next_batch``. Raises KeyError for a name
        that is no estimator.
        """
        if estimator not in ESTIMATORS:
            raise KeyError(estimator)
        table = self._db.arrays(
            f"""
            SELECT CASE WHEN s.part = 'labelled' THEN 0 WHEN a.image_id IS NOT NULL OR s.rank <= ? THEN 1 ELSE 2
                   END AS grp,
                   greatest(least(floor((s.{estimator} - ?) * ?), ? - 1), 0)::INTEGER AS bin, count(*) AS n
            FROM scores s
            LEFT JOIN (
                SELECT DISTINCT image_id FROM standing_answers WHERE round_id = ? AND purpose = 'query'
            ) a ON a.image_id = s.image_id
            WHERE s.round_id = ? AND s.part IN ('pool', 'labelled') AND s.{estimator} IS NOT NULL
            GROUP BY ALL
            """,
            [next_batch, low, bins / (high - low), bins, round_id, round_id],
        )
        counts = np.zeros((len(GROUPS), bins), dtype=np.int64)
        counts[table["grp"], table["bin"]] = table["n"]
        return counts

    def audit_history(self) -> AuditHistory:
        """What decides which images of the audit order are a random sample."""
        table = self._db.arrays(
            """
            WITH history AS (
                SELECT image_id,
                       min(CASE WHEN purpose = 'audit' THEN seq END) AS drawn,
                       min(CASE WHEN purpose = 'audit' THEN epoch(answered_at) END) AS drawn_at,
                       min(CASE WHEN purpose IS DISTINCT FROM 'audit' AND kind IN ('label', 'skip', 'model') THEN seq
                           END) AS otherwise,
                       bool_or(mode = 'import') AS came
                FROM answers WHERE kind <> 'undo' GROUP BY image_id
            )
            SELECT i.id, i.audit_order AS place, i.status = 'ready' AS ready, epoch(i.imported_at) AS imported_at,
                   coalesce(h.drawn, 0) AS drawn, coalesce(h.drawn_at, 0) AS drawn_at,
                   coalesce(h.otherwise, 0) AS otherwise, coalesce(h.came, FALSE) AS came,
                   i.status = 'excluded' AS excluded
            FROM images i LEFT JOIN history h ON h.image_id = i.id
            WHERE i.split = 'pool' AND i.audit_order IS NOT NULL ORDER BY i.id
            """
        )
        return AuditHistory(
            np.asarray(table["id"], dtype=np.int64),
            np.asarray(table["place"], dtype=np.int64),
            np.asarray(table["ready"], dtype=np.bool_),
            np.asarray(table["imported_at"], dtype=np.float64),
            np.asarray(table["drawn"], dtype=np.int64),
            np.asarray(table["drawn_at"], dtype=np.float64),
            np.asarray(table["otherwise"], dtype=np.int64),
            np.asarray(table["came"], dtype=np.bool_),
            np.asarray(table["excluded"], dtype=np.bool_),
        )

    def asked(self, round_id: int) -> Int64:
        """Images answered out of one round's ranking, audit images aside."""
        table = self._db.arrays(
            "SELECT DISTINCT image_id FROM standing_answers WHERE round_id = ? AND purpose = 'query' ORDER BY image_id",
            [round_id],
        )
        return np.asarray(table["image_id"], dtype=np.int64)

    def labelled(self) -> tuple[int, int]:
        """How many images have a label or a known class, and in how many classes they are."""
        ((images, classes),) = self._db.rows(
            """
            SELECT count(*), count(DISTINCT class_id) FROM (
                SELECT coalesce(l.class_id, k.merged_into, i.known_class) AS class_id
                FROM images i
                LEFT JOIN current_labels l ON l.image_id = i.id
                LEFT JOIN classes k ON k.id = i.known_class
            ) WHERE class_id IS NOT NULL
            """
        )
        return int(images), int(classes)

    def open_mass(self, round_id: int) -> tuple[float, int]:
        """What predicted training dynamics leave open over the pool that a round left, and of how many images.

        1 less the margin of an image, 0 where it is decided; without the TD module by the final prediction.
        """
        ((mass, n),) = self._db.rows(
            "SELECT coalesce(sum(1 - greatest(coalesce(td_margin, margin), 0)), 0), count(*) FROM scores "
            "WHERE round_id = ? AND part = 'pool' AND coalesce(td_margin, margin) IS NOT NULL",
            [round_id],
        )
        return float(mass), int(n)

    def pool_mean(self, round_id: int, estimator: str) -> float | None:
        """Mean of one estimator over the pool that a round left; None when there is none."""
        if estimator not in ESTIMATORS:
            raise KeyError(estimator)
        mean = self._db.value(f"SELECT avg({estimator}) FROM scores WHERE round_id = ? AND part = 'pool'", [round_id])
        return None if mean is None else float(mean)

    def foresight(self, round_id: int, limit: int = 500) -> Foresight:
        """What a round predicted of images it asked, beside what the next round that trained on them observed.

        At most ``limit`` images, the same ones each time.
        """
        rows = self._db.rows(
            """
                WITH asked AS (
                    SELECT DISTINCT image_id FROM standing_answers WHERE round_id = ? AND purpose = 'query'
                    ORDER BY hash(image_id) LIMIT ?
                ), after AS (
                    SELECT r.image_id, r.round_id, r.td_bar, r.td_classes
                    FROM round_images r JOIN asked USING (image_id)
                    WHERE r.round_id > ? AND r.split = 'train' AND r.td_bar IS NOT NULL
                    QUALIFY row_number() OVER (PARTITION BY r.image_id ORDER BY r.round_id) = 1
                )
                SELECT a.td_bar, a.td_classes, s.td, s.p, s.class_ids, a.round_id
                FROM after a JOIN scores s ON s.image_id = a.image_id
                WHERE s.round_id = ? AND s.part = 'pool' AND s.td IS NOT NULL
                """,
            [round_id, limit, round_id, round_id],
        )
        columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
        observed, observed_classes, predicted, final_predictions, predicted_classes, rounds = columns
        return Foresight(
            observed,
            observed_classes,
            predicted,
            final_predictions,
            predicted_classes,
            np.array(rounds, dtype=np.int64),
        )


def _floats(column: Any) -> Float32:
    """A column that may hold NULL, as float32 with NaN there."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float32), np.nan).astype(np.float32)
