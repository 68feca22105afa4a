"""The project's content as flat tables for other programs: one query per table, names instead of ids where people read.

Images that a person excluded are in the history only. Times are naive UTC. ``path`` is the image's URI: an absolute
path for files.
"""

from __future__ import annotations

import pyarrow as pa

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.records import Int64
from tidal_core.store.classes import standing_class
from tidal_core.store.database import Database

_OF_PEOPLE = "(SELECT *, 'person' AS labelled_by FROM current_labels)"
_LABELS = """(
    SELECT *, 'person' AS labelled_by FROM current_labels
    UNION ALL SELECT *, 'model' AS labelled_by FROM model_labels
)"""
"""Whose class an image has: a person's label, else the model's where somebody accepted it."""


class ExportTables:
    """Flat tables over all families. ``labelled_by`` is person, model or none: whose class ``label`` is."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def labels(self) -> pa.Table:
        """One row per image with a current label of a person, by image id."""
        return self._db.arrow(
            f"""
            SELECT i.uri AS path, c.name AS label, l.annotator, l.answered_at AS time, i.split, i.name,
                   i.id AS image_id, i.sha256, i.width, i.height, k.name AS known_label, l.mode, l.milliseconds,
                   l.note, l.labelled_by
            FROM {_OF_PEOPLE} l JOIN images i ON i.id = l.image_id JOIN classes c ON c.id = l.class_id
            LEFT JOIN classes k ON k.id = i.known_class
            WHERE i.status <> 'excluded' ORDER BY i.id
            """
        )

    def labels_and_known(self, *, with_model: bool = False) -> pa.Table:
        """As ``labels``, and the test images that nobody labelled with their known class, which is nobody's label.

        ``with_model``: also images whose class of the model was accepted; their ``annotator`` is who accepted it.
        """
        return self._db.arrow(
            f"""
            SELECT i.uri AS path, coalesce(c.name, k.name) AS label, l.annotator, l.answered_at AS time, i.split,
                   i.name, i.id AS image_id, i.sha256, i.width, i.height, k.name AS known_label, l.mode,
                   l.milliseconds, l.note, coalesce(l.labelled_by, 'none') AS labelled_by
            FROM images i LEFT JOIN {_LABELS if with_model else _OF_PEOPLE} l ON i.id = l.image_id
            LEFT JOIN classes c ON c.id = l.class_id LEFT JOIN classes k ON k.id = i.known_class
            WHERE i.status <> 'excluded' AND (c.id IS NOT NULL OR (i.split = 'test' AND k.id IS NOT NULL))
            ORDER BY i.id
            """
        )

    def images(self, *, with_model: bool = False) -> pa.Table:
        """One row per image, by id: its current label (else the model's accepted class, if asked for); known class."""
        return self._db.arrow(
            f"""
            SELECT i.uri AS path, c.name AS label, l.annotator, l.answered_at AS time, i.split, i.name,
                   i.id AS image_id, i.sha256, i.width, i.height, k.name AS known_label, i.status, i.pixel_row,
                   coalesce(l.labelled_by, 'none') AS labelled_by
            FROM images i LEFT JOIN {_LABELS if with_model else _OF_PEOPLE} l ON i.id = l.image_id
            LEFT JOIN classes c ON c.id = l.class_id LEFT JOIN classes k ON k.id = i.known_class
            WHERE i.status <> 'excluded' ORDER BY i.id
            """
        )

    def history(self) -> pa.Table:
        """Every event in the server's order, undone ones and undos included."""
        return self._db.arrow(
            """
            SELECT a.seq, a.event_id, a.answered_at AS time, a.kind, i.uri AS path, c.name AS label, a.annotator,
                   a.undoes, a.reason, a.note, a.mode, s.name AS suggestion, a.suggestion_p, a.suggestion_shown,
                   a.milliseconds, a.round_id, a.purpose, i.name, i.id AS image_id, i.sha256,
                   CASE a.kind WHEN 'label' THEN 'person' WHEN 'model' THEN 'model' ELSE 'none' END AS labelled_by
            FROM answers a JOIN images i ON i.id = a.image_id LEFT JOIN classes c ON c.id = a.class_id
            LEFT JOIN classes s ON s.id = a.suggestion_class
            ORDER BY a.seq
            """
        )

    def predictions(self, round_id: int) -> pa.Table:
        """One row per image that a round scored: prediction, vectors p and td, estimators, rank, current label.

        ``part`` is what the round used the image for: pool, labelled, test or audit (accuracy was measured on it),
        reserve (kept for that, not labelled yet), aside (skipped or hidden).
        ``p`` and ``td`` are in the order of the round's classes, or of ``class_ids`` where that is not null.
        """
        names = ", ".join(f"s.{name}" for name in ESTIMATORS)
        return self._db.arrow(
            f"""
            SELECT i.uri AS path, c.name AS label, m.name AS predicted, list_max(s.p) AS predicted_p, s.part, s.rank,
                   {names}, s.p, s.td, s.class_ids, i.name, i.id AS image_id, i.sha256, k.name AS known_label,
                   s.round_id, coalesce(l.labelled_by, 'none') AS labelled_by
            FROM scores s JOIN images i ON i.id = s.image_id JOIN classes m ON m.id = {standing_class("s.predicted")}
            LEFT JOIN {_LABELS} l ON l.image_id = i.id LEFT JOIN classes c ON c.id = l.class_id
            LEFT JOIN classes k ON k.id = i.known_class
            WHERE s.round_id = ? AND i.status <> 'excluded' ORDER BY i.id
            """,
            [round_id],
        )

    def without_prediction(self, round_id: int, among: Int64 | None = None) -> int:
        """How many images a round did not score, of all or ``among`` some (N,)."""
        return int(
            self._db.value(
                "SELECT count(*) FROM images WHERE status <> 'excluded' "
                "AND id NOT IN (SELECT image_id FROM scores WHERE round_id = $1) "
                "AND ($2::INTEGER[] IS NULL OR id IN (SELECT unnest($2::INTEGER[])))",
                [round_id, None if among is None else among.tolist()],
            )
        )

    def curves(self, round_id: int) -> pa.Table:
        """The recorded curves of a round, one row per image and epoch: p is the softmax of that epoch."""
        return self._db.arrow(
            """
            SELECT i.uri AS path, u.image_id, u.round_id, u.epoch, c.name AS label, u.p, u.class_ids,
                   CASE WHEN c.name IS NULL THEN 'none' ELSE 'person' END AS labelled_by
            FROM curves u JOIN images i ON i.id = u.image_id
            LEFT JOIN round_images r ON r.round_id = u.round_id AND r.image_id = u.image_id
            LEFT JOIN classes c ON c.id = r.class_id
            WHERE u.round_id = ? AND i.status <> 'excluded' ORDER BY u.image_id, u.epoch
            """,
            [round_id],
        )
