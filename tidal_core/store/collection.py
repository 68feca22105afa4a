"""The whole collection, chosen and sorted: which images fulfil a condition, in which order, how many of each kind."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from tidal_core.errors import InputError
from tidal_core.records import Int64
from tidal_core.store.database import Database
from tidal_core.store.where import FIELDS, LABEL, LATEST, NEEDS, PREDICTED, SOURCES, STATES, Where

MARKS = {"skipped": 1, "flagged": 2, "excluded": 4}
"""States, of ``where.STATES``, that an image can have beside its classes."""


class Chosen(NamedTuple):
    """What is known of some images at a glance; arrays are (N,), 0 where there is no class."""

    image_ids: Int64
    labels: Int64  # class ids
    predicted: Int64  # class ids
    marks: Int64  # sums of ``MARKS``

    def take(self, order: Int64) -> Chosen:
        """The images at the places ``order`` (N,)."""
        return Chosen(*(column[order] for column in self))

    def octets(self) -> bytes:
        """The three one after another as little-endian 32-bit integers."""
        return np.concatenate(self).astype("<i4").tobytes()


class Collection:
    """Questions about all images at once."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ids(self, where: Where, *, sort: str = "id", descending: bool = False) -> Int64:
        """(N,) the images that fulfil a condition, sorted by a field; those without a value come last.

        Raises InputError for a field that there is not.
        """
        order = self._order(sort, descending)
        return np.asarray(self._arrays("i.id AS id", where, order[0], order[1])["id"], dtype=np.int64)

    def chosen(self, where: Where, *, sort: str = "id", descending: bool = False) -> Chosen:
        """As ``ids``, with the classes that the images have."""
        order, sources = self._order(sort, descending)
        marks = " + ".join(f"{mark} * ({STATES[name][0]})::INTEGER" for name, mark in MARKS.items())
        columns = f"i.id AS id, coalesce({LABEL}, 0) AS label, coalesce({PREDICTED}, 0) AS predicted, {marks} AS marks"
        table = self._arrays(columns, where, order, sources | {"answer", "score", "flag"})
        return Chosen(*(np.asarray(table[name], dtype=np.int64) for name in ("id", "label", "predicted", "marks")))

    def count(self, where: Where) -> int:
        """How many images fulfil a condition."""
        return int(self._arrays("count(*) AS n", where, "", frozenset())["n"][0])

    def counts(self, where: Where) -> dict[str, dict[Any, int]]:
        """How many of these images are in each state, of each label, predicted class and annotator.

        Keys: "states", by name of ``where.STATES``; "label" and "predicted", by class id, None for none; "annotator".
        """
        states = ", ".join(f"count(*) FILTER ({state.sql}) AS {name}" for name, state in STATES.items())
        every = frozenset({"answer", "score", "flag"})
        grouped = self._db.arrow(
            *self._query(
                f"{LABEL} AS label, {PREDICTED} AS predicted, a.annotator AS annotator, count(*) AS n, {states}",
                where,
                "GROUP BY 1, 2, 3",
                every,
            )
        ).to_pylist()
        counts: dict[str, dict[Any, int]] = {"states": {name: sum(group[name] for group in grouped) for name in STATES}}
        for name in ("label", "predicted", "annotator"):
            of_name: Counter[Any] = Counter()
            for group in grouped:
                of_name[group[name]] += group["n"]
            counts[name] = dict(of_name)
        return counts

    def _order(self, sort: str, descending: bool) -> tuple[str, frozenset[str]]:
        if sort not in FIELDS:
            raise InputError(f"Images cannot be sorted by {sort!r}; choose one of {', '.join(FIELDS)}.")
        chosen = FIELDS[sort]
        direction = "DESC" if descending else "ASC"
        needed = frozenset({chosen.source, *NEEDS.get(chosen.source, ())})
        return f"ORDER BY {chosen.sql} {direction} NULLS LAST, i.id", needed

    def _arrays(self, columns: str, where: Where, tail: str, sources: frozenset[str]) -> dict[str, Any]:
        return self._db.arrays(*self._query(columns, where, tail, sources))

    def _query(self, columns: str, where: Where, tail: str, sources: frozenset[str]) -> tuple[str, dict[str, object]]:
        wanted = where.sources | sources
        joins = " ".join(sql for name, sql in SOURCES.items() if name in wanted)
        sql = f"SELECT {columns} FROM images i {joins} WHERE {where.sql} {tail}"
        return sql.replace("$round", LATEST), where.parameters
