"""Rounds, their images and their epochs. The state of a round changes in ``move`` and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tidal_core.errors import NotFound, RoundStateError
from tidal_core.records import ACTIVE_STATES, ROUND_MOVES, EpochRecord, Float32, Int64, RoundRecord, RoundState
from tidal_core.store.columns import first_row, float_lists, insert, insert_table, int_lists, utc_now
from tidal_core.store.curves import curve_columns
from tidal_core.store.database import Database

CHECKPOINT_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")  # a file's name, never a way to another folder

_COLUMNS = (
    "id, state, config, strategy, class_ids, last_seq, labels, started_by, created_at, started_at, finished_at, error, "
    "checkpoint, class_seq"
)

_EPOCH_COLUMNS = (
    "epoch, epochs, loss, class_loss, td_loss, train_accuracy, learning_rate, seconds, images_per_second, batch_size, "
    "note"
)


def _round(row: tuple[Any, ...]) -> RoundRecord:
    class_ids = tuple(int(part) for part in row[4].split(",") if part)
    # A file that was changed by hand cannot name weights elsewhere: then the round has none.
    checkpoint = row[12] if row[12] is None or CHECKPOINT_NAME.fullmatch(row[12]) else None
    return RoundRecord(row[0], RoundState(row[1]), row[2], row[3], class_ids, *(*row[5:12], checkpoint, row[13]))


@dataclass(frozen=True)
class StoredEpoch:
    """One epoch as it lies in the store; ``record.curves`` is None (see ``store.curves``)."""

    record: EpochRecord
    finished_at: datetime


class Rounds:
    """The tables ``rounds`` and ``round_images``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(
        self,
        *,
        config: str,
        strategy: str,
        class_ids: Sequence[int],
        last_seq: int,
        started_by: str,
        image_ids: Int64,
        image_class_ids: Int64,
    ) -> RoundRecord:
        """Claim labels for a new round in state WAITING, with the images it trains on, in one transaction.

        Raises RoundStateError when another round is active: one at a time.
        """
        with self._db.write() as cursor:
            active = first_row(
                cursor,
                "SELECT id, state FROM rounds WHERE state IN (SELECT unnest(?::TEXT[])) LIMIT 1",
                [_active_names()],
            )
            if active is not None:
                raise RoundStateError(f"Round {active[0]} is still {active[1]}; wait until it ends, or cancel it.")
            row = first_row(cursor, "SELECT coalesce(max(id), 0) + 1 FROM rounds")
            round_id = int(row[0]) if row else 1
            cursor.execute(
                f"INSERT INTO rounds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, "
                "(SELECT coalesce(max(seq), 0) FROM class_events))",
                [
                    round_id,
                    RoundState.WAITING.value,
                    config,
                    strategy,
                    ",".join(str(class_id) for class_id in class_ids),
                    last_seq,
                    len(image_ids),
                    started_by,
                    utc_now(),
                ],
            )
            insert(
                cursor,
                "round_images",
                {
                    "round_id": np.full(len(image_ids), round_id, dtype=np.int32),
                    "image_id": image_ids.astype(np.int32),
                    "class_id": image_class_ids.astype(np.int32),
                    "split": ["train"] * len(image_ids),
                },
            )
        return self.get(round_id)

    def move(self, round_id: int, before: RoundState, after: RoundState, *, error: str | None = None) -> RoundRecord:
        """Take a round from one state to the next, if it still is where the caller believes it to be.

        Raises RoundStateError when it is not, or when the way does not exist.
        """
        if after not in ROUND_MOVES[before]:
            raise RoundStateError(f"A round that is {before} cannot become {after}.")
        now = utc_now()
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT state FROM rounds WHERE id = ?", [round_id])
            if row is None:
                raise NotFound(f"There is no round {round_id} in this project; reload the page.")
            if row[0] != before.value:
                raise RoundStateError(f"Round {round_id} is {row[0]}, not {before}; it cannot become {after}.")
            cursor.execute(
                """
                UPDATE rounds SET state = ?, error = coalesce(?, error), heartbeat_at = ?,
                    started_at = CASE WHEN ? = 'training' THEN ? ELSE started_at END,
                    finished_at = CASE WHEN ? THEN ? ELSE finished_at END
                WHERE id = ?
                """,
                [after.value, error, now, after.value, now, not after.is_active, now, round_id],
            )
        return self.get(round_id)

    def set_checkpoint(self, round_id: int, name: str) -> None:
        """Note the file below ``checkpoints/`` that holds the round's weights."""
        with self._db.write() as cursor:
            cursor.execute("UPDATE rounds SET checkpoint = ? WHERE id = ?", [name, round_id])

    def set_exact_epochs(self, round_id: int, epochs: Int64) -> None:
        """Note the epochs (E,) at which the exact dynamics of the round's images are known."""
        with self._db.write() as cursor:
            cursor.execute("UPDATE rounds SET exact_epochs = ? WHERE id = ?", [epochs.tolist(), round_id])

    def get(self, round_id: int) -> RoundRecord:
        """One round. Raises NotFound."""
        row = self._db.row(f"SELECT {_COLUMNS} FROM rounds WHERE id = ?", [round_id])
        if row is None:
            raise NotFound(f"There is no round {round_id} in this project; reload the page.")
        return _round(row)

    def all(self) -> list[RoundRecord]:
        """All rounds, oldest first."""
        return [_round(row) for row in self._db.rows(f"SELECT {_COLUMNS} FROM rounds ORDER BY id")]

    def latest(self, state: RoundState | None = None) -> RoundRecord | None:
        """The newest round, of one state or of any."""
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM rounds WHERE ?::TEXT IS NULL OR state = ? ORDER BY id DESC LIMIT 1",
            [state, state],
        )
        return _round(row) if row else None

    def active(self) -> RoundRecord | None:
        """The round that still has work before it, if any."""
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM rounds WHERE state IN (SELECT unnest(?::TEXT[])) ORDER BY id LIMIT 1",
            [_active_names()],
        )
        return _round(row) if row else None

    def last_claimed_seq(self) -> int:
        """The last answer that any round has taken into account.

        Failed and cancelled rounds count: the next one waits for new labels instead of failing again at once.
        """
        return int(self._db.value("SELECT coalesce(max(last_seq), 0) FROM rounds"))

    def images(self, round_id: int) -> tuple[Int64, Int64]:
        """Images a round trains on, by id, and the class ids it trains them with."""
        table = self._db.arrays(
            "SELECT image_id, class_id FROM round_images WHERE round_id = ? AND split = 'train' ORDER BY image_id",
            [round_id],
        )
        return np.asarray(table["image_id"], dtype=np.int64), np.asarray(table["class_id"], dtype=np.int64)

    def finish_images(
        self,
        round_id: int,
        image_ids: Int64,
        class_ids: Int64,
        td_bar: Float32,
        td_classes: Int64 | None,
        statistics: dict[str, Any],
    ) -> None:
        """Store what became of the round's training images: observed p-bar and the statistics of their curves.

        ``td_bar`` (N, C), or (N, K) with ``td_classes`` (N, K) class ids; ``statistics`` maps a column of
        ``round_images`` to an array (N,).
        """
        n = len(image_ids)
        columns: dict[str, Any] = {
            "round_id": np.full(n, round_id, dtype=np.int32),
            "image_id": image_ids.astype(np.int32),
            "class_id": class_ids.astype(np.int32),
            "split": ["train"] * n,
            "td_bar": float_lists(td_bar),
            "td_classes": pa.nulls(n, pa.list_(pa.int32())) if td_classes is None else int_lists(td_classes),
        }
        columns |= {name: np.asarray(values) for name, values in statistics.items()}
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM round_images WHERE round_id = ? AND split = 'train'", [round_id])
            insert(cursor, "round_images", columns)


def _active_names() -> list[str]:
    return [state.value for state in ACTIVE_STATES]


class Epochs:
    """The table ``epochs``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        round_id: int,
        records: Sequence[EpochRecord],
        image_ids: Int64 | None = None,
        class_order: Int64 | None = None,
    ) -> None:
        """Store epochs and, where the records have them, their curves, in one transaction; a sign of life as well.

        ``image_ids`` (N,) says which image each row of the curves is, ``class_order`` (C,) what its positions mean.
        """
        if not records:
            return
        now = utc_now()
        columns = {name: [getattr(record, name) for record in records] for name in _EPOCH_COLUMNS.split(", ")}
        with self._db.write() as cursor:
            insert(
                cursor,
                "epochs",
                {
                    **columns,
                    "round_id": np.full(len(records), round_id, dtype=np.int32),
                    "td_loss": pa.array(columns["td_loss"], pa.float64()),
                    "note": pa.array(columns["note"], pa.string()),
                    "finished_at": pa.array([now] * len(records), pa.timestamp("us")),
                },
            )
            if image_ids is not None and class_order is not None:
                curves = [
                    pa.table(curve_columns(round_id, record.epoch, image_ids, record.curves, class_order))
                    for record in records
                    if record.curves is not None
                ]
                if curves:
                    insert_table(cursor, "curves", pa.concat_tables(curves))
            cursor.execute("UPDATE rounds SET heartbeat_at = ? WHERE id = ?", [now, round_id])

    def of(self, round_id: int) -> list[StoredEpoch]:
        """The epochs of a round, in order."""
        rows = self._db.rows(
            f"SELECT {_EPOCH_COLUMNS}, finished_at FROM epochs WHERE round_id = ? ORDER BY epoch", [round_id]
        )
        names = _EPOCH_COLUMNS.split(", ")
        return [StoredEpoch(EpochRecord(**dict(zip(names, row[:-1], strict=True))), row[-1]) for row in rows]

    def forget_after(self, round_id: int, epoch: int) -> None:
        """Drop epochs, and their curves, that a resumed round will go through again."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM epochs WHERE round_id = ? AND epoch > ?", [round_id, epoch])
            cursor.execute("DELETE FROM curves WHERE round_id = ? AND epoch > ?", [round_id, epoch])
