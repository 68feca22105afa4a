"""One act on many images: every image gets an answer event of its own, all of them in one transaction, or none.

The events of an act share the beginning of their ids, ``bulk-<kind>-<letters>-``, and the mode ``bulk``; there is no
table of acts. To undo an act is to take back its events: what was answered since for one of its images stays, because
the last answer that stands is the one that counts. The labels that an act took back are given again as they were (the
event names, as ``undoes``, the undo that it takes back), with their annotator, time and mode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidal_core.errors import InputError, NotFound
from tidal_core.records import AnswerKind, Bools, ImageStatus, Int64, Purpose, Shown, Split
from tidal_core.store.act_events import (
    Act,
    ActKind,
    Done,
    Left,
    add_events,
    images_of,
    out_of_queue,
    set_status,
    undo_events,
)
from tidal_core.store.act_undo import give_again, take_back
from tidal_core.store.columns import first_row, insert
from tidal_core.store.database import Database
from tidal_core.store.scores import FOR_PEOPLE, LATEST

__all__ = ["Act", "ActKind", "Acts", "Done", "Left"]

ACT_ID = re.compile(r"bulk-[a-z]{1,10}-[0-9a-zA-Z]{8,24}")


@dataclass(frozen=True)
class _Images:
    """How the images of an act stand, row-aligned; (N,) in the order given, none twice. 0 and "" are nothing."""

    ids: Int64
    known: Bools  # in this project
    test: Bools
    status: NDArray[np.object_]
    kind: NDArray[np.object_]  # of the answer that stands
    seq: Int64  # of the answer that stands
    label: Int64  # class ids, here and below
    predicted: Int64
    p: NDArray[np.float64]  # of the predicted class
    reason: NDArray[np.object_]  # of a skip
    round_ids: Int64  # the round that asked
    purpose: NDArray[np.object_]
    asked: Bools  # ever labelled or skipped

    def take(self, rows: Bools) -> _Images:
        """Those of the rows (N,) that are true."""
        return _Images(**{name: column[rows] for name, column in vars(self).items()})


class Acts:
    """Acts on many images."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def perform(self, act: Act, choose: Callable[[], Int64], measuring: Int64, asked: Collection[int] = ()) -> Done:
        """Do an act on the images (N,) that ``choose`` names; all of it is committed when this returns, or nothing.

        ``choose`` is called when no answer can come between it and the act. ``measuring`` (M,): images of the audit
        sample, answered or not; ``asked``: those that who acts is still to answer one by one. Raises InputError for a
        class that cannot be given, or a condition that is none.
        """
        with self._db.write() as cursor:
            if (before := _changed_before(cursor, act)) is not None:
                return before
            if act.kind is ActKind.LABEL:
                _check_class(cursor, act.class_id)
            images = _images(cursor, choose())
            why = _why_left(act, images, measuring, asked)
            left = {reason: int((why == reason).sum()) for reason in Left if (why == reason).any()}
            chosen = images.take(why == "")
            if len(chosen.ids):
                _WRITERS[act.kind](cursor, act, chosen)
        return Done(act.id, len(chosen.ids), left)

    def gone(self, image_ids: Iterable[int]) -> set[int]:
        """Those of some images that need not be asked any more: answered meanwhile, by an act too, or excluded.

        Not one that waits for the answer of another person.
        """
        # Every open page asks this every other second: numbers in the text are looked up by blocks.
        listed = ", ".join(str(int(image_id)) for image_id in image_ids)
        if not listed:
            return set()
        rows = self._db.rows(
            f"""
            SELECT id FROM images WHERE id IN ({listed}) AND status = 'excluded'
            UNION
            SELECT image_id FROM standing_answers WHERE image_id IN ({listed}) AND kind IN ('label', 'skip')
                AND image_id NOT IN (SELECT image_id FROM queue WHERE purpose = 'again')
            """
        )
        return {image_id for (image_id,) in rows}

    def author(self, act_id: str) -> str | None:
        """Who did an act; None for an unknown one."""
        if not ACT_ID.fullmatch(act_id):
            return None
        rows = self._db.rows("SELECT annotator FROM answers WHERE starts_with(event_id, ?) LIMIT 1", [f"{act_id}-"])
        return str(rows[0][0]) if rows else None

    def undo(self, act: Act) -> Done:
        """Take back the act ``act.undoes``, in one transaction. Raises NotFound for an unknown one, InputError for an
        undo."""
        undone = act.undoes or ""
        if not ACT_ID.fullmatch(undone) or undone.startswith(f"bulk-{ActKind.UNDO}-"):
            raise InputError(
                f"{undone[:60]!r} is no act that can be undone; name one by the id that it was answered by."
            )
        with self._db.write() as cursor:
            if (before := _changed_before(cursor, act)) is not None:
                return before
            if not images_of(cursor, undone):
                raise NotFound(f"There is no act {undone} in this project; reload the page.")
            if undone.startswith(f"bulk-{ActKind.UNLABEL}-"):
                return give_again(cursor, act)
            return take_back(cursor, act, undone)


def _changed_before(cursor: duckdb.DuckDBPyConnection, act: Act) -> Done | None:
    """What an act did when it was sent before; None for a new one."""
    n = images_of(cursor, act.id)
    return Done(act.id, n) if n else None


def _check_class(cursor: duckdb.DuckDBPyConnection, class_id: int | None) -> None:
    row = first_row(
        cursor,
        "SELECT t.name, t.retired_at FROM classes c JOIN classes t ON t.id = coalesce(c.merged_into, c.id) "
        "WHERE c.id = ?",
        [class_id],
    )
    if row is None:
        raise InputError(f"There is no class {class_id} in this project; reload the page.")
    if row[1] is not None:
        raise InputError(f"The class {row[0]!r} is no longer in use; choose another one.")


def _images(cursor: duckdb.DuckDBPyConnection, image_ids: Int64) -> _Images:
    """How images stand; each once, where it came first."""
    first = np.sort(np.unique(image_ids, return_index=True)[1])
    ids = np.asarray(image_ids, dtype=np.int64)[first]
    cursor.register("act_targets", pa.table({"id": ids, "place": np.arange(len(ids))}))
    table = cursor.execute(
        f"""
        WITH history AS (
            SELECT image_id, bool_or(purpose = 'audit') AS audited, bool_or(kind IN ('label', 'skip')) AS asked,
                   arg_max(purpose, seq) FILTER (purpose IS NOT NULL) AS purpose
            FROM answers WHERE kind <> 'undo' AND image_id IN (SELECT id FROM act_targets) GROUP BY image_id
        )
        SELECT t.id AS ids, i.id IS NOT NULL AS known, coalesce(i.split = '{Split.TEST}', FALSE) AS test,
               coalesce(i.status, '') AS status, coalesce(a.kind, '') AS kind, coalesce(a.seq, 0) AS seq,
               CASE WHEN a.kind = 'label' THEN coalesce(ac.merged_into, ac.id, 0) ELSE 0 END AS label,
               CASE WHEN pc.retired_at IS NULL THEN coalesce(pc.id, 0) ELSE 0 END AS predicted,
               coalesce(s.confidence, 0)::DOUBLE AS p, coalesce(a.reason, '') AS reason,
               coalesce(a.round_id, 0) AS round_ids,
               CASE WHEN h.audited THEN '{Purpose.AUDIT}' ELSE coalesce(a.purpose, h.purpose, '') END AS purpose,
               coalesce(h.asked, FALSE) AS asked
        FROM act_targets t LEFT JOIN images i ON i.id = t.id
        LEFT JOIN current_answers a ON a.image_id = i.id LEFT JOIN classes ac ON ac.id = a.class_id
        LEFT JOIN scores s ON s.image_id = i.id AND s.round_id = {LATEST}
            AND (s.{FOR_PEOPLE} OR coalesce(a.kind = 'label', FALSE))
        LEFT JOIN classes sc ON sc.id = s.predicted LEFT JOIN classes pc ON pc.id = coalesce(sc.merged_into, sc.id)
        LEFT JOIN history h ON h.image_id = t.id
        ORDER BY t.place
        """
    ).fetchnumpy()
    cursor.unregister("act_targets")
    kinds = {"ids": np.int64, "seq": np.int64, "label": np.int64, "predicted": np.int64, "round_ids": np.int64}
    return _Images(**{name: np.asarray(column, dtype=kinds.get(name)) for name, column in table.items()})


def _why_left(act: Act, images: _Images, measuring: Int64, asked: Collection[int]) -> NDArray[np.object_]:
    """(N,) the first reason why each image is left, "" where there is none."""
    kind, why = act.kind, np.full(len(images.ids), "", dtype=object)

    def leave(which: Bools, reason: Left) -> None:
        why[which & (why == "")] = reason

    answers = kind in {ActKind.LABEL, ActKind.MODEL, ActKind.SKIP}
    leave(~images.known, Left.UNKNOWN)
    is_excluded = images.status == ImageStatus.EXCLUDED
    if kind is ActKind.INCLUDE:
        leave(~is_excluded, Left.SAME)
        return why
    leave(is_excluded, Left.SAME if kind is ActKind.EXCLUDE else Left.EXCLUDED)
    if answers or kind is ActKind.QUEUE:
        leave(images.test, Left.TEST)
    if act.seen is not None and (answers or kind is ActKind.UNLABEL):
        leave(images.seq > act.seen, Left.MEANWHILE)
    if answers or kind is ActKind.QUEUE:
        # A person who picks images would make the sample one of what people pick: it is asked one by one.
        leave(np.isin(images.ids, measuring) & ~images.asked, Left.MEASURES)
    if answers or kind is ActKind.UNLABEL:
        leave(np.isin(images.ids, list(asked)), Left.ASKED)
    if kind is ActKind.MODEL:
        # What the model is measured by must not come from the model.
        leave(images.purpose == Purpose.AUDIT, Left.MEASURES)
        leave(images.predicted == 0, Left.NO_PREDICTION)
        leave(images.label == images.predicted, Left.SAME)
    elif kind is ActKind.LABEL:
        leave(images.label == act.class_id, Left.SAME)
    elif kind is ActKind.SKIP:
        leave((images.kind == "skip") & (images.reason == (act.reason or "")), Left.SAME)
    elif kind is ActKind.UNLABEL:
        leave(images.kind == "", Left.SAME)
    elif kind is ActKind.QUEUE:
        leave(images.kind != "", Left.ANSWERED)
    return why


# --- what each kind of act writes


def _ids_or_null(values: Int64) -> pa.Array:
    """Class or round ids, 0 as null."""
    return pa.array(values, pa.int32(), mask=values == 0)


def _answers(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """Labels, the model's classes confirmed, skips."""
    n = len(images.ids)
    asked_for = np.where(images.purpose == "", Purpose.QUERY.value, images.purpose).tolist()
    columns: dict[str, Any] = {"purpose": asked_for, "round_id": _ids_or_null(images.round_ids)}
    if act.kind is ActKind.SKIP:
        columns |= {"kind": [AnswerKind.SKIP.value] * n, "reason": pa.array([act.reason] * n, pa.string())}
    elif act.kind is ActKind.LABEL:
        columns |= {"kind": [AnswerKind.LABEL.value] * n, "class_id": pa.array([act.class_id] * n, pa.int32())}
    else:
        predicted = images.predicted.astype(np.int32)
        columns |= {"kind": [AnswerKind.LABEL.value] * n, "class_id": predicted, "suggestion_class": predicted}
        columns |= {"suggestion_p": images.p, "suggestion_shown": [Shown.BEFORE.value] * n}
    add_events(cursor, act, images.ids, columns)
    out_of_queue(cursor, images.ids)


def _flags(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """As one flag takes an image out of the queue, so do these."""
    n = len(images.ids)
    columns = {
        "kind": [AnswerKind.FLAG.value] * n,
        "reason": pa.array([act.reason] * n, pa.string()),
        "note": pa.array([act.note] * n, pa.string()),
    }
    add_events(cursor, act, images.ids, columns)
    out_of_queue(cursor, images.ids)


def _unlabel(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """Undo every label and skip that stands: of the last alone the one before would count again."""
    standing = cursor.sql(
        "SELECT event_id, image_id, purpose, round_id FROM standing_answers WHERE kind IN ('label', 'skip') "
        "AND image_id IN (SELECT unnest(?::INTEGER[])) ORDER BY seq",
        params=[images.ids.tolist()],
    ).to_arrow_table()
    undo_events(cursor, act, standing)


def _queue(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """In front of all that waits, in this order; a tab that holds one of them keeps it."""
    waiting = {
        row[0]: row[1:]
        for row in cursor.execute(
            "SELECT image_id, position, purpose, score, round_id, holder, lease_until FROM queue"
        ).fetchall()
    }
    n = len(images.ids)
    places = [waiting.get(image_id) for image_id in images.ids.tolist()]
    former = [
        None
        if place is None
        else json.dumps({"position": place[0], "purpose": place[1], "score": place[2], "round": place[3]})
        for place in places
    ]
    kinds = [AnswerKind.QUEUE.value] * n
    add_events(cursor, act, images.ids, {"kind": kinds, "reason": pa.array(former, pa.string())})
    out_of_queue(cursor, images.ids)
    start = min([0, *(place[0] for place in waiting.values())]) - n
    asked_for = np.where(images.purpose == Purpose.AUDIT, Purpose.AUDIT.value, Purpose.CHOSEN.value)
    insert(
        cursor,
        "queue",
        {
            "position": np.arange(start, start + n, dtype=np.int32),
            "image_id": images.ids.astype(np.int32),
            "purpose": asked_for.tolist(),
            "holder": pa.array([None if place is None else place[4] for place in places], pa.string()),
            "lease_until": pa.array([None if place is None else place[5] for place in places], pa.timestamp("us")),
        },
    )


def _exclude(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    kinds = [AnswerKind.EXCLUDE.value] * len(images.ids)
    add_events(cursor, act, images.ids, {"kind": kinds, "reason": images.status.tolist()})
    set_status(cursor)


def _include(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    add_events(cursor, act, images.ids, {"kind": [AnswerKind.INCLUDE.value] * len(images.ids)})
    set_status(cursor)


_WRITERS: dict[ActKind, Callable[[duckdb.DuckDBPyConnection, Act, _Images], None]] = {
    ActKind.LABEL: _answers,
    ActKind.MODEL: _answers,
    ActKind.SKIP: _answers,
    ActKind.FLAG: _flags,
    ActKind.UNLABEL: _unlabel,
    ActKind.QUEUE: _queue,
    ActKind.EXCLUDE: _exclude,
    ActKind.INCLUDE: _include,
}
