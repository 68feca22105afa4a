"""What conditions (``where``) ask of each image, as columns in memory: a question then costs milliseconds.

One table, a row for each image by id. It is read in parts (the images, their answers, the newest scores), and a part is
read again where the file has changed in what it holds, whoever changed it: before every question the commits of this
process are counted, and after new ones the stamps of the parts compared. Nothing is remembered from one opening of
the file to the next.

What a model says of an image that only measures it is no column before the image is labelled, nor what the source
says of one that is to be labelled.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.records import Int64
from tidal_core.store.columns import first_row
from tidal_core.store.database import Database
from tidal_core.store.scores import ASIDE, LATEST, RESERVE

T = TypeVar("T")

_IMAGES = "SELECT id, name, width, height, split, status, imported_at AS added, known_class FROM images ORDER BY id"
_ANSWERS = """
    SELECT image_id, kind, CASE WHEN kind = 'label' THEN class_id END AS label, annotator, mode, reason, purpose,
           round_id AS round, answered_at AS answered
    FROM current_answers
"""
_FLAGS = "SELECT DISTINCT image_id FROM standing_answers WHERE kind = 'flag'"
_SCORES = f"""
    SELECT image_id, part, predicted, confidence AS p, {", ".join(ESTIMATORS)}, exact_mean
    FROM scores WHERE round_id = ?
"""
_DYNAMICS = """
    SELECT image_id, confidence, margin_area FROM round_images WHERE round_id = ? AND split = 'train'
"""


_OF_THE_IMAGE = {"row", "id", "name", "width", "height", "split", "status", "added"}
"""Columns that nobody's answer, and no model, has a part in."""


@dataclass(frozen=True)
class _Stamps:
    """What changes when a part does."""

    images: tuple[Any, ...]
    seq: int  # of the last answer
    round_id: int  # 0 without scores
    scores: tuple[Any, ...]
    classes: tuple[tuple[int, int], ...]  # id, and the one that it was merged into or itself


@dataclass(frozen=True, eq=False)
class Facts:
    """All images at one moment."""

    table: pa.Table
    ids: Int64  # (N,)
    seq: int  # the last answer that they know
    version: str  # changes with them
    of: Mapping[str, str]  # source of ``where.Field`` -> what changes when its columns do
    kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)  # what ``Moment`` made of them

    def without(self, hidden: Set[int]) -> Facts:
        """The same, with nothing known of what people and models said of some images; remembered with these facts."""
        key = ("without", frozenset(hidden))
        if (known := self.kept.get(key)) is None:
            is_hidden = pa.array(np.isin(self.ids, list(hidden)))
            nothing_said = {
                name: pc.if_else(is_hidden, False if name == "flagged" else None, self.table[name])
                for name in self.table.column_names
                if name not in _OF_THE_IMAGE
            }
            columns = {name: nothing_said.get(name, self.table[name]) for name in self.table.column_names}
            mark = _digest(sorted(hidden))
            of = {source: f"{stamp}-{mark}" for source, stamp in self.of.items()}
            known = Facts(pa.table(columns), self.ids, self.seq, f"{self.version}-{mark}", of)
            self.kept[key] = known
        facts: Facts = known
        return facts


class Keeper:
    """The facts of one file, as new as the file."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lock = threading.Lock()
        self._commits = -1
        self._stamps: _Stamps | None = None
        self._parts: dict[str, tuple[object, Any]] = {}  # name -> stamp, and what was read under it
        self._facts: Facts | None = None

    def facts(self) -> Facts:
        """The images as they are now."""
        with self._lock:
            commits = self._db.commits  # before they are looked at: what comes between is looked for the next time
            if self._facts is not None and commits == self._commits:
                return self._facts
            with self._db.moment() as cursor:
                stamps = _stamps(cursor)
                if self._facts is None or stamps != self._stamps:
                    self._facts = self._built(cursor, stamps)
            self._stamps, self._commits = stamps, commits
            return self._facts

    def _built(self, cursor: duckdb.DuckDBPyConnection, stamps: _Stamps) -> Facts:
        def part(name: str, stamp: object, read: Callable[[], T]) -> T:
            known = self._parts.get(name)
            if known is None or known[0] != stamp:
                self._parts[name] = known = (stamp, read())
            kept: T = known[1]
            return kept

        def rows(sql: str, *parameters: object) -> pa.Table:
            return cursor.sql(sql, params=list(parameters)).to_arrow_table().combine_chunks()

        images = part("images", stamps.images, lambda: rows(_IMAGES))
        ids = images["id"].to_numpy().astype(np.int64)
        answers = (stamps.images, stamps.seq)
        answer = part("answers", answers, lambda: _aligned(rows(_ANSWERS), ids))
        flagged = part("flags", answers, lambda: np.isin(ids, rows(_FLAGS)["image_id"].to_numpy()))
        scores, of_round = (stamps.images, stamps.round_id, stamps.scores), stamps.round_id
        score = part("scores", scores, lambda: _aligned(rows(_SCORES, of_round), ids))
        curve = part("dynamics", scores, lambda: _aligned(rows(_DYNAMICS, of_round), ids))
        merged = _merging(stamps.classes)

        kind = answer["kind"]
        labelled = pc.fill_null(pc.equal(kind, "label"), False)
        labelled_or_test = pc.or_(labelled, pc.equal(images["split"], "test"))
        told = pc.or_(labelled, pc.invert(pc.is_in(score["part"], pa.array([RESERVE, ASIDE]))))
        exact = pc.if_else(told, score["exact_mean"], None)
        columns: dict[str, Any] = {
            "row": pa.array(np.arange(len(ids), dtype=np.int32)),
            **{name: images[name] for name in ("id", "name", "width", "height", "split", "status", "added")},
            "known": pc.if_else(labelled_or_test, merged(images["known_class"]), None),
            **{name: answer[name] for name in ("kind", "annotator", "mode", "reason", "purpose", "round", "answered")},
            "label": merged(answer["label"]),
            "flagged": pa.array(flagged),
            "predicted": pc.if_else(told, merged(score["predicted"]), None),
            **{name: pc.if_else(told, score[name], None) for name in ("p", *ESTIMATORS)},
            "p_bar": pc.coalesce(curve["confidence"], exact),
            "margin_area": curve["margin_area"],
        }
        shown = hashlib.sha256(np.packbits(told.to_numpy(zero_copy_only=False)).tobytes()).hexdigest()
        answered = _digest(answers, stamps.classes)
        return Facts(
            pa.table(columns),
            ids,
            stamps.seq,
            _digest(stamps),
            {
                "image": _digest(stamps.images),
                "answer": answered,
                "known": answered,
                "score": _digest(scores, stamps.classes, shown),
            },
        )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _stamps(cursor: duckdb.DuckDBPyConnection) -> _Stamps:
    """Hashes are added up and not combined bit by bit: what two rows exchange would cancel out."""

    def row(sql: str, *parameters: object) -> tuple[Any, ...]:
        return first_row(cursor, sql, parameters) or ()

    (seq,) = row("SELECT coalesce(max(seq), 0) FROM answers")
    (round_id,) = row(f"SELECT coalesce({LATEST}, 0)")
    scores = row("SELECT count(*), sum(hash(image_id, part, predicted)) FROM scores WHERE round_id = ?", round_id)
    classes = cursor.execute("SELECT id, coalesce(merged_into, id) FROM classes ORDER BY id").fetchall()
    images = row("SELECT count(*), sum(hash(id, name, split, status, known_class)) FROM images")
    return _Stamps(images, int(seq), int(round_id), scores, tuple(classes))


def _merging(classes: tuple[tuple[int, int], ...]) -> Callable[[pa.ChunkedArray], pa.Array]:
    """Class ids to those that they were merged into; null for a class that there is not."""
    into = np.zeros(max((class_id for class_id, _ in classes), default=0) + 1, dtype=np.int32)
    for class_id, into_id in classes:
        into[class_id] = into_id

    def merged(column: pa.ChunkedArray) -> pa.Array:
        values = pc.fill_null(column, 0).to_numpy()
        final = into[np.where((values >= 0) & (values < len(into)), values, 0)]
        return pa.array(final, mask=final == 0)

    return merged


def _aligned(table: pa.Table, ids: Int64) -> pa.Table:
    """The rows of a table (by image_id, each once) in the order of ``ids`` (N,); null where it has none."""
    image_ids = table["image_id"].to_numpy().astype(np.int64)
    order = np.argsort(image_ids, kind="stable")
    if not len(order):
        return pa.table({name: pa.nulls(len(ids), column.type) for name, column in _columns(table).items()})
    places = np.minimum(np.searchsorted(image_ids, ids, sorter=order), len(order) - 1)
    rows = order[places]
    return table.take(pa.array(rows, mask=image_ids[rows] != ids))


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))
