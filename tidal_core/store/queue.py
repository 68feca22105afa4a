"""The queue: which images are asked next, and which tab holds them just now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tidal_core.records import Purpose, QueueItem
from tidal_core.store.columns import first_row, insert
from tidal_core.store.columns import steady_utc_now as utc_now
from tidal_core.store.database import Database

LEASE_SECONDS = 600.0
"""How long an image is with the tab that has it, from the last time that it spoke: it does every two seconds, or once
a minute where the browser lets a hidden page sleep."""
SILENT_SECONDS = 75.0
"""A tab that has said nothing for so long is closed or asleep: where nothing else is left, others get what it has."""

# A lease that ends later than this is of another process and clock: it must not hold an image for hours.
_NO_LEASE_IS_LONGER = timedelta(seconds=LEASE_SECONDS + 60)

_NOT_TO_ASK = """
    DELETE FROM queue WHERE (purpose <> 'again' AND image_id IN (SELECT image_id FROM current_answers))
    OR image_id IN (SELECT id FROM images WHERE status = 'excluded')
"""
_COLUMNS = "position, image_id, purpose, score, round_id, holder, lease_until"


def _item(row: tuple[Any, ...]) -> QueueItem:
    return QueueItem(row[0], row[1], Purpose(row[2]), *row[3:])


class Queue:
    """The table ``queue``. Positions are unique; the lowest is asked first."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def replace(self, items: Sequence[QueueItem]) -> None:
        """Put a new ranking in place of the old one, in one transaction; what a tab holds stays its own.

        Images that a person sent to the queue stay in front, and those of the double share that wait for another
        person (they are of no round). Images that were answered or excluded while the ranking
        was made are left out. One that a tab holds and that the ranking
        does not name waits behind all others, until its tab has answered it or given it back.
        """
        now = utc_now()
        with self._db.write() as cursor:
            held = cursor.execute(
                f"SELECT {_COLUMNS} FROM queue WHERE holder IS NOT NULL AND lease_until BETWEEN ? AND ? "
                "ORDER BY position",
                [now, now + _NO_LEASE_IS_LONGER],
            ).fetchall()
            sent = cursor.execute(
                f"SELECT {_COLUMNS} FROM queue WHERE purpose = ? OR (purpose = ? AND round_id IS NULL) "
                "ORDER BY position",
                [Purpose.CHOSEN, Purpose.AGAIN],
            ).fetchall()
            sent_ids = {row[1] for row in sent}
            items = [item for item in items if item.image_id not in sent_ids]
            ranked = {item.image_id for item in items} | sent_ids
            behind = 1 + max((item.position for item in items), default=-1)
            left = [_item(row) for row in held if row[1] not in ranked]
            cursor.execute("DELETE FROM queue")
            front = min((item.position for item in items), default=0)
            ahead = [replace(_item(row), position=front - len(sent) + place) for place, row in enumerate(sent)]
            self._insert(
                cursor, [*ahead, *items, *(replace(item, position=behind + place) for place, item in enumerate(left))]
            )
            for holder in {row[5] for row in held}:
                own = [row for row in held if row[5] == holder]
                cursor.execute(
                    "UPDATE queue SET holder = ?, lease_until = ? WHERE image_id IN (SELECT unnest(?::INTEGER[]))",
                    [holder, max(row[6] for row in own), [row[1] for row in own]],
                )
            cursor.execute(_NOT_TO_ASK)

    def append(self, items: Sequence[QueueItem]) -> None:
        """Add images behind the ones that wait; those that already wait or were answered are left out."""
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT coalesce(max(position), -1) + 1 FROM queue")
            start = int(row[0]) if row else 0
            waiting = {image_id for (image_id,) in cursor.execute("SELECT image_id FROM queue").fetchall()}
            fresh = [item for item in items if item.image_id not in waiting]
            moved = [
                QueueItem(start + offset, item.image_id, item.purpose, item.score, item.round_id)
                for offset, item in enumerate(fresh)
            ]
            self._insert(cursor, moved)
            cursor.execute(_NOT_TO_ASK)

    def _insert(self, cursor: Any, items: Sequence[QueueItem]) -> None:
        if not items:
            return
        insert(
            cursor,
            "queue",
            {
                "position": np.array([item.position for item in items], dtype=np.int32),
                "image_id": np.array([item.image_id for item in items], dtype=np.int32),
                "purpose": [item.purpose.value for item in items],
                "score": pa.array([item.score for item in items], type=pa.float64()),
                "round_id": pa.array([item.round_id for item in items], type=pa.int32()),
            },
        )

    def put_front(
        self, image_id: int, purpose: Purpose, round_id: int | None = None, holder: str | None = None
    ) -> None:
        """Ask an image next: after an undo. Not one that is excluded."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM queue WHERE image_id = ?", [image_id])
            if first_row(cursor, "SELECT 1 FROM images WHERE id = ? AND status = 'excluded'", [image_id]):
                return
            row = first_row(cursor, "SELECT coalesce(min(position), 0) - 1 FROM queue")
            position = int(row[0]) if row else 0
            until = utc_now() + timedelta(seconds=LEASE_SECONDS) if holder else None
            cursor.execute(
                f"INSERT INTO queue ({_COLUMNS}) VALUES (?, ?, ?, NULL, ?, ?, ?)",
                [position, image_id, purpose.value, round_id, holder, until],
            )

    def ask_again(
        self,
        image_ids: Iterable[int],
        *,
        instead: bool = False,
        holder: str | None = None,
        looked_at: Iterable[int] = (),
    ) -> None:
        """Images of the double share that wait for another person than those who answered: asked next.

        Of ``looked_at`` those that are not among them wait no more; with ``instead``, of all images. One that waits
        already stays where it is.
        """
        wanted = [int(image_id) for image_id in image_ids]
        if not wanted and not instead and not (looked_at := list(looked_at)):
            return
        with self._db.write() as cursor:
            of_these = "" if instead else "AND image_id IN (SELECT unnest(?::INTEGER[]))"
            cursor.execute(
                "DELETE FROM queue WHERE purpose = ? AND round_id IS NULL "
                f"AND image_id NOT IN (SELECT unnest(?::INTEGER[])) {of_these}",
                [Purpose.AGAIN, wanted, *([] if instead else [[int(i) for i in looked_at]])],
            )
            waiting = {image_id for (image_id,) in cursor.execute("SELECT image_id FROM queue").fetchall()}
            new = [image_id for image_id in wanted if image_id not in waiting]
            row = first_row(cursor, "SELECT coalesce(min(position), 0) FROM queue")
            start = (int(row[0]) if row else 0) - len(new)
            self._insert(cursor, [QueueItem(start + n, image_id, Purpose.AGAIN) for n, image_id in enumerate(new)])
            if holder is not None and new:
                cursor.execute(
                    "UPDATE queue SET holder = ?, lease_until = ? WHERE image_id IN (SELECT unnest(?::INTEGER[]))",
                    [holder, utc_now() + timedelta(seconds=LEASE_SECONDS), new],
                )
            cursor.execute(_NOT_TO_ASK)

    def asked_again(self) -> list[int]:
        """Images that have an answer and wait for one of another person."""
        rows = self._db.rows("SELECT image_id FROM queue WHERE purpose = ? ORDER BY position", [Purpose.AGAIN])
        return [int(image_id) for (image_id,) in rows]

    def lease(
        self, holder: str, n: int, seconds: float = LEASE_SECONDS, exclude: Iterable[int] = ()
    ) -> list[QueueItem]:
        """The first n images that nobody else holds, held by ``holder`` for ``seconds`` from now on.

        Images that the holder already has count among the n and keep their order; ``exclude`` names images that the
        holder has answered or is about to answer. Where nothing is left, what silent tabs hold is: those that have
        not renewed their leases for ``SILENT_SECONDS``.
        """
        now = utc_now()
        without = [int(image_id) for image_id in exclude]
        with self._db.write() as cursor:
            rows: list[tuple[Any, ...]] = []
            for ends_before in (now, now + timedelta(seconds=seconds - SILENT_SECONDS)):
                rows = (
                    rows
                    or cursor.execute(
                        f"""
                    SELECT {_COLUMNS} FROM queue
                    WHERE (holder IS NULL OR holder = ? OR lease_until < ? OR lease_until > ?)
                      AND image_id NOT IN (SELECT unnest(?::INTEGER[]))
                    ORDER BY position LIMIT ?
                    """,
                        [holder, ends_before, now + _NO_LEASE_IS_LONGER, without, n],
                    ).fetchall()
                )
            until = now + timedelta(seconds=seconds)
            if rows:
                cursor.execute(
                    "UPDATE queue SET holder = ?, lease_until = ? WHERE image_id IN (SELECT unnest(?::INTEGER[]))",
                    [holder, until, [row[1] for row in rows]],
                )
        return [_item((*row[:5], holder, until)) for row in rows]

    def hold(self, holder: str, image_ids: Iterable[int], seconds: float = LEASE_SECONDS) -> None:
        """A tab is alive: it keeps what it has, and what it has on screen but an earlier process or ranking leased."""
        now = utc_now()
        with self._db.write() as cursor:
            cursor.execute(
                """
                UPDATE queue SET holder = ?, lease_until = ?
                WHERE holder = ?
                   OR (image_id IN (SELECT unnest(?::INTEGER[])) AND (holder IS NULL OR lease_until < ?))
                """,
                [holder, now + timedelta(seconds=seconds), holder, [int(i) for i in image_ids], now],
            )

    def held_by_others(self, holder: str, image_ids: Iterable[int]) -> set[int]:
        """Those of ``image_ids`` that another tab holds now."""
        now = utc_now()
        rows = self._db.rows(
            """
            SELECT image_id FROM queue WHERE image_id IN (SELECT unnest(?::INTEGER[]))
                AND holder IS NOT NULL AND holder <> ? AND lease_until BETWEEN ? AND ?
            """,
            [[int(image_id) for image_id in image_ids], holder, now, now + _NO_LEASE_IS_LONGER],
        )
        return {image_id for (image_id,) in rows}

    def release(self, holder: str, keep: Iterable[int] = ()) -> None:
        """Give back what a tab has, but for the images that it keeps: it was closed, or fetches a new ranking."""
        with self._db.write() as cursor:
            cursor.execute(
                "UPDATE queue SET holder = NULL, lease_until = NULL "
                "WHERE holder = ? AND image_id NOT IN (SELECT unnest(?::INTEGER[]))",
                [holder, [int(image_id) for image_id in keep]],
            )

    def items(self) -> list[QueueItem]:
        """All that waits, in order, whoever holds it."""
        return [_item(row) for row in self._db.rows(f"SELECT {_COLUMNS} FROM queue ORDER BY position")]

    def next_to_train_on(self, n: int) -> list[int]:
        """The first n images that wait and are not asked to measure accuracy, whoever holds them."""
        rows = self._db.rows(
            "SELECT image_id FROM queue WHERE purpose NOT IN (?, ?) ORDER BY position LIMIT ?",
            [Purpose.AUDIT, Purpose.AGAIN, n],
        )
        return [int(row[0]) for row in rows]

    def drop_unheld(self, image_ids: Iterable[int], *, keep: Purpose) -> None:
        """Take images out of the queue that no tab holds and that do not wait for the purpose ``keep``."""
        with self._db.write() as cursor:
            cursor.execute(
                "DELETE FROM queue WHERE purpose <> ? AND (holder IS NULL OR lease_until < ?) "
                "AND image_id IN (SELECT unnest(?::INTEGER[]))",
                [keep, utc_now(), [int(image_id) for image_id in image_ids]],
            )

    def release_all(self) -> None:
        """Give back everything: no tab of this process has been served yet."""
        with self._db.write() as cursor:
            cursor.execute("UPDATE queue SET holder = NULL, lease_until = NULL WHERE holder IS NOT NULL")

    def find(self, image_id: int) -> QueueItem | None:
        """An image's place in the queue, or None when it does not wait."""
        row = self._db.row(f"SELECT {_COLUMNS} FROM queue WHERE image_id = ?", [image_id])
        return _item(row) if row else None

    def free(self) -> int:
        """How many images wait that no tab holds and nobody has answered."""
        return int(
            self._db.value(
                "SELECT count(*) FROM queue WHERE purpose <> ? AND (holder IS NULL OR lease_until < ?)",
                [Purpose.AGAIN, utc_now()],
            )
        )

    def count(self, without: Iterable[int] = ()) -> int:
        """How many images wait, beside some."""
        return int(
            self._db.value(
                "SELECT count(*) FROM queue WHERE image_id NOT IN (SELECT unnest(?::INTEGER[]))",
                [[int(image_id) for image_id in without]],
            )
        )
