"""The whole collection, chosen and sorted: which images fulfil a condition, in which order, how many of each kind.

Everything is answered from ``image_facts``: what is remembered there is as new as the file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Set
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidal_core.errors import InputError
from tidal_core.records import Bools, Float32, Int64
from tidal_core.store.database import Database
from tidal_core.store.image_facts import Facts, Keeper
from tidal_core.store.listings import Listings
from tidal_core.store.where import FIELDS, STATES, Where

MARKS = {"skipped": 1, "flagged": 2, "excluded": 4}
"""States, of ``where.STATES``, that an image can have beside its classes."""
_AT_A_GLANCE = ["label", "predicted", "kind", "flagged", "status"]  # what these are made of, of ``image_facts``
KEPT = 24  # orders, and conditions, whose images are remembered: 8 bytes an image, and 1

T = TypeVar("T")


class Chosen(NamedTuple):
    """What is known of some images at a glance; arrays are (N,), 0 where there is no class."""

    image_ids: Int64
    labels: Int64  # class ids
    predicted: Int64  # class ids
    marks: Int64  # sums of ``MARKS``

    def octets(self) -> bytes:
        """The four one after another as little-endian 32-bit integers."""
        return np.concatenate([column.astype("<i4") for column in self]).tobytes()


class Moment:
    """The collection as it was at one moment, whatever is written meanwhile."""

    def __init__(self, database: Database, facts: Facts, orders: OrderedDict[Hashable, Any]) -> None:
        self._db, self.facts, self._orders = database, facts, orders

    @property
    def seq(self) -> int:
        """The last answer that is known here."""
        return self.facts.seq

    @property
    def version(self) -> str:
        """Changes with anything that is answered here."""
        return self.facts.version

    def ids(self, where: Where, *, sort: str = "id", descending: bool = False) -> Int64:
        """(N,) the images that fulfil a condition, sorted by a field; those without a value come last.

        Raises InputError for a field that there is not.
        """
        return self.facts.ids[self._rows(where, sort, descending)]

    def chosen(self, where: Where, *, sort: str = "id", descending: bool = False) -> Chosen:
        """As ``ids``, with the classes that the images have."""
        return self.shown(self.ids(where, sort=sort, descending=descending))

    def shown(self, image_ids: Int64) -> Chosen:
        """What some images (N,) of the collection have: the work is that of these images, not of the collection."""
        rows = np.searchsorted(self.facts.ids, image_ids)
        table = (
            self.facts.table.select(_AT_A_GLANCE)
            .take(pa.array(rows))
            .append_column("place", pa.array(np.arange(len(rows))))
        )
        marks = " + ".join(f"{mark} * ({STATES[name].sql})::INTEGER" for name, mark in MARKS.items())
        asked = self._asked(
            f"SELECT coalesce(label, 0) AS label, coalesce(predicted, 0) AS predicted, {marks} AS marks "
            "FROM facts ORDER BY place",
            table=table,
        )
        return Chosen(image_ids, *(np.asarray(asked[name], np.int64) for name in ("label", "predicted", "marks")))

    def numbers(self, name: str, image_ids: Int64) -> Float32:
        """(N,) a field of numbers for some images of the collection; NaN where it has no value."""
        values = pc.fill_null(self.facts.table[name].cast("float"), np.nan).to_numpy()
        return np.asarray(values[np.searchsorted(self.facts.ids, image_ids)], dtype=np.float32)

    def count(self, where: Where) -> int:
        """How many images fulfil a condition."""
        return int(self._mask(where).sum())

    def counts(self, where: Where) -> dict[str, dict[Any, int]]:
        """How many of these images are in each state, of each label, predicted class and annotator.

        Keys: "states", by name of ``where.STATES``; "label" and "predicted", by class id, None for none; "annotator".
        """
        mask = self._mask(where)
        counts: dict[str, dict[Any, int]] = {
            "states": {name: int(np.count_nonzero(mask & self._state(name))) for name in STATES}
        }
        for name in ("label", "predicted"):
            of_class = np.bincount(self._classes(name)[mask])
            counts[name] = {int(place) or None: int(of_class[place]) for place in np.flatnonzero(of_class)}
        people, codes = self._people()
        of_person = np.bincount(codes[mask], minlength=len(people))
        counts["annotator"] = {people[place]: int(of_person[place]) for place in np.flatnonzero(of_person)}
        return counts

    def _rows(self, where: Where, sort: str, descending: bool) -> Int64:
        """(N,) places among all images."""
        if sort not in FIELDS:
            raise InputError(f"Images cannot be sorted by {sort!r}; choose one of {', '.join(FIELDS)}.")
        mask = self._mask(where)
        if sort == "id" and not descending:
            return np.flatnonzero(mask)
        order = self._order(sort, descending)
        return order[mask[order]]

    def _order(self, sort: str, descending: bool) -> Int64:
        def sorted_now() -> Int64:
            direction = "DESC" if descending else "ASC"
            rows = self._asked(f"SELECT row FROM facts ORDER BY {sort} {direction} NULLS LAST, row")["row"]
            return np.asarray(rows, dtype=np.int64)

        key = (sort, descending, self.facts.of[FIELDS[sort].source])
        return _remembered(self._orders, key, sorted_now)

    def _mask(self, where: Where) -> Bools:
        """(N,) which images fulfil a condition."""

        def fulfilled() -> Bools:
            rows = self._asked(f"SELECT row FROM facts WHERE {where.sql}", where.parameters)["row"]
            mask = np.zeros(len(self.facts.ids), dtype=np.bool_)
            mask[rows] = True
            return mask

        return _remembered(self.facts.kept, (where.sql, *where.parameters.items()), fulfilled)

    def _state(self, name: str) -> Bools:
        return self._mask(Where(STATES[name].sql))

    def _classes(self, name: str) -> Int64:
        """(N,) class ids, 0 for none."""
        return _remembered(
            self.facts.kept, name, lambda: pc.fill_null(self.facts.table[name], 0).to_numpy().astype(np.int64)
        )

    def _people(self) -> tuple[list[str | None], Int64]:
        """Who answered, and for each image (N,) which of them; the last of them is nobody."""

        def known() -> tuple[list[str | None], Int64]:
            column = self.facts.table["annotator"].combine_chunks().dictionary_encode()
            people: list[str | None] = column.dictionary.to_pylist()
            return [*people, None], pc.fill_null(column.indices, len(people)).to_numpy().astype(np.int64)

        return _remembered(self.facts.kept, "annotator", known)

    def _asked(
        self, sql: str, parameters: dict[str, Any] | None = None, table: pa.Table | None = None
    ) -> dict[str, Any]:
        with self._db.reading() as cursor:
            cursor.register("facts", self.facts.table if table is None else table)
            return cursor.execute(sql, parameters or {}).fetchnumpy()


def _remembered(kept: OrderedDict[Hashable, Any], key: Hashable, make: Callable[[], T]) -> T:
    """What was made under a key, or is made now; of the oldest only so many are kept."""
    made: T | None = kept.get(key)
    if made is None:
        kept[key] = made = make()
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return made


class Collection:
    """Questions about all images at once."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._keeper = Keeper(database)
        self._orders: OrderedDict[Hashable, Any] = OrderedDict()
        self.listings = Listings()

    def now(self, hidden: Set[int] = frozenset()) -> Moment:
        """The collection as it is: for several questions that are to agree.

        Of ``hidden`` images neither what people nor what models said is known in it.
        """
        facts = self._keeper.facts()
        return Moment(self._db, facts.without(hidden) if hidden else facts, self._orders)

    def ids(self, where: Where, *, sort: str = "id", descending: bool = False) -> Int64:
        """``Moment.ids`` of now."""
        return self.now().ids(where, sort=sort, descending=descending)

    def chosen(self, where: Where, *, sort: str = "id", descending: bool = False) -> Chosen:
        """``Moment.chosen`` of now."""
        return self.now().chosen(where, sort=sort, descending=descending)

    def count(self, where: Where) -> int:
        """``Moment.count`` of now."""
        return self.now().count(where)

    def counts(self, where: Where) -> dict[str, dict[Any, int]]:
        """``Moment.counts`` of now."""
        return self.now().counts(where)
