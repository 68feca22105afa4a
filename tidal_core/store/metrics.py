"""Metrics: one number with its interval, per round, split and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidal_core.store.database import Database


@dataclass(frozen=True)
class Metric:
    """One number of one round. ``low`` and ``high`` bound its 95 % interval where it has one."""

    round_id: int
    split: str  # "test", "audit", "train" or "pool"
    class_id: int | None  # None: over all classes
    name: str
    value: float
    low: float | None
    high: float | None
    n: int  # images it rests on


class Metrics:
    """The table ``metrics``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, metrics: Sequence[Metric]) -> None:
        """Store metrics in one transaction, replacing those of the same rounds (a resumed round)."""
        with self._db.write() as cursor:
            for round_id in {metric.round_id for metric in metrics}:
                cursor.execute("DELETE FROM metrics WHERE round_id = ?", [round_id])
            for m in metrics:
                cursor.execute(
                    "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [m.round_id, m.split, m.class_id, m.name, m.value, m.low, m.high, m.n],
                )

    def series(self, name: str, split: str | None = None, class_id: int | None = None) -> list[Metric]:
        """One metric over the rounds, oldest first; over all classes unless a class is named."""
        rows = self._db.rows(
            """
            SELECT round_id, split, class_id, name, value, low, high, n FROM metrics
            WHERE name = ? AND (?::TEXT IS NULL OR split = ?) AND class_id IS NOT DISTINCT FROM ?
            ORDER BY round_id
            """,
            [name, split, split, class_id],
        )
        return [Metric(*row) for row in rows]

    def of_round(self, round_id: int) -> list[Metric]:
        """Every metric of a round."""
        rows = self._db.rows(
            "SELECT round_id, split, class_id, name, value, low, high, n FROM metrics WHERE round_id = ? "
            "ORDER BY split, name, class_id",
            [round_id],
        )
        return [Metric(*row) for row in rows]
