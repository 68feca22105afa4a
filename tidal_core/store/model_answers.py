"""Classes of the model that a person accepted for many images at once: events of kind ``model``, apart from people's.

They are no labels: ``current_answers`` and ``current_labels`` do not see them, so nothing trains on them and nothing
counts them. The view ``model_labels`` has the newest one of each image that no person answered. The events of one act
share the beginning of their ids; to undo the act is to take back all of them.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tidal_core.errors import InputError, NotFound
from tidal_core.records import AnswerKind, AnswerMode, Float64, Int64, Shown
from tidal_core.store.columns import first_row, utc_now
from tidal_core.store.database import Database

ACT_ID = re.compile(r"finish-[0-9a-f]{16}")


class Taken(NamedTuple):
    """One act that stands."""

    act_id: str
    images: int  # for which the model's class stands now: of no retired class, answered by nobody
    round_id: int
    note: str  # what was asked for, for people
    annotator: str  # who accepted it
    taken_at: datetime  # naive UTC


class ModelAnswers:
    """Events of kind ``model``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def take(
        self, image_ids: Int64, class_ids: Int64, p: Float64, *, round_id: int, note: str, annotator: str
    ) -> tuple[str, int]:
        """Accept the model's class for images (N,), with its probability, in one transaction: act id and images.

        Left out: images that a person answered meanwhile, that are no more to be asked, or whose class was retired.
        They leave the queue: people are asked about them last.
        """
        if not len(image_ids) == len(class_ids) == len(p):
            raise InputError(f"{len(image_ids)} images have {len(class_ids)} classes and {len(p)} probabilities.")
        act_id = f"finish-{uuid.uuid4().hex[:16]}"
        columns = {
            "image_id": pa.array(image_ids, pa.int32()),
            "class_id": pa.array(class_ids, pa.int32()),
            "p": pa.array(p, pa.float64()),
            "place": np.arange(1, len(image_ids) + 1),
        }
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
            before = int(row[0]) if row else 0
            cursor.register("taken_in", pa.table(columns))
            cursor.execute(
                """
                INSERT INTO answers (event_id, seq, kind, image_id, class_id, note, annotator, mode, suggestion_class,
                    suggestion_p, suggestion_shown, round_id, answered_at)
                SELECT ? || '-' || n.image_id, ?::BIGINT + row_number() OVER (ORDER BY n.place), ?, n.image_id,
                    n.class_id, ?, ?, ?, n.class_id, n.p, ?, ?, ?
                FROM taken_in n JOIN images i ON i.id = n.image_id
                JOIN classes k ON k.id = n.class_id JOIN classes t ON t.id = coalesce(k.merged_into, k.id)
                WHERE i.split = 'pool' AND i.status = 'ready' AND t.retired_at IS NULL
                  AND n.image_id NOT IN (SELECT image_id FROM current_answers)
                """,
                [
                    act_id,
                    before,
                    AnswerKind.MODEL.value,
                    note,
                    annotator,
                    AnswerMode.FINISH.value,
                    Shown.NEVER.value,
                    round_id,
                    utc_now(),
                ],
            )
            cursor.unregister("taken_in")
            cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT image_id FROM model_labels)")
            row = first_row(cursor, "SELECT count(*) FROM answers WHERE seq > ?", [before])
        return act_id, int(row[0]) if row else 0

    def undo(self, act_id: str, *, annotator: str) -> int:
        """Take an act back, in one transaction; returns for how many images. Raises NotFound for none that stands."""
        if not ACT_ID.fullmatch(act_id):
            raise InputError(f"{act_id[:60]!r} is no act of the model's answers; undo one that the page Finish lists.")
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
            before = int(row[0]) if row else 0
            cursor.execute(
                """
                INSERT INTO answers (event_id, seq, kind, image_id, undoes, annotator, mode, suggestion_shown,
                    round_id, answered_at)
                SELECT 'undo-' || event_id, ?::BIGINT + row_number() OVER (ORDER BY seq), ?, image_id, event_id, ?, ?,
                    ?, round_id, ?
                FROM standing_answers WHERE kind = ? AND starts_with(event_id, ?)
                """,
                [
                    before,
                    AnswerKind.UNDO.value,
                    annotator,
                    AnswerMode.FINISH.value,
                    Shown.NEVER.value,
                    utc_now(),
                    AnswerKind.MODEL.value,
                    f"{act_id}-",
                ],
            )
            row = first_row(cursor, "SELECT count(*) FROM answers WHERE seq > ?", [before])
        undone = int(row[0]) if row else 0
        if not undone:
            raise NotFound(f"There is no act {act_id} that stands in this project; reload the page.")
        return undone

    def acts(self) -> list[Taken]:
        """Acts that stand, newest first; also those all of whose images were answered since."""
        rows = self._db.rows(
            """
            SELECT regexp_extract(s.event_id, '^finish-[0-9a-f]{16}') AS act, count(m.image_id), any_value(s.round_id),
                   any_value(s.note), any_value(s.annotator), any_value(s.answered_at)
            FROM standing_answers s LEFT JOIN model_labels m ON m.event_id = s.event_id
            WHERE s.kind = 'model' GROUP BY act ORDER BY max(s.seq) DESC
            """
        )
        return [Taken(*row) for row in rows]

    def images(self) -> Int64:
        """Images for which the model's class stands, by id."""
        table = self._db.arrays("SELECT image_id FROM model_labels ORDER BY image_id")
        return np.asarray(table["image_id"], dtype=np.int64)

    def of_image(self, image_id: int) -> int | None:
        """The model's class that stands for an image; None without one."""
        row = self._db.row("SELECT class_id FROM model_labels WHERE image_id = ?", [image_id])
        return int(row[0]) if row else None

    def counts_by_class(self) -> dict[int, int]:
        """Images per class id for which the model's class stands; excluded images and empty classes are left out."""
        return dict(
            self._db.rows(
                "SELECT class_id, count(*) FROM model_labels WHERE image_id NOT IN "
                "(SELECT id FROM images WHERE status = 'excluded') GROUP BY class_id ORDER BY class_id"
            )
        )
