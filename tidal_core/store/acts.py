"""One act on many images: every image gets an answer event of its own, all of them in one transaction, or none.

The events of an act share the beginning of their ids, ``bulk-<kind>-<letters>-``, and the mode ``bulk``; there is no
table of acts. To undo an act is to take back its events: what was answered since for one of its images stays, because
the last answer that stands is the one that counts. The labels that an act took back are given again as they were (the
event names, as ``undoes``, the undo that it takes back), with their annotator, time and mode.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidal_core.errors import InputError, NotFound
from tidal_core.records import AnswerKind, AnswerMode, Bools, ImageStatus, Int64, Purpose, Shown, Split
from tidal_core.store.columns import first_row, insert, note_shared, steady_utc_now, utc_now
from tidal_core.store.database import Database
from tidal_core.store.scores import FOR_PEOPLE, LATEST

ACT_ID = re.compile(r"bulk-[a-z]{1,10}-[0-9a-zA-Z]{8,24}")


class ActKind(StrEnum):
    """What is done to the images."""

    LABEL = "label"
    MODEL = "model"  # a person confirms what the model says: a label, each image's own
    SKIP = "skip"
    FLAG = "flag"
    UNLABEL = "unlabel"  # labels and skips are taken back
    QUEUE = "queue"  # asked next, in the order given
    EXCLUDE = "exclude"
    INCLUDE = "include"
    UNDO = "undo"  # of an act


class Left(StrEnum):
    """Why an act leaves an image as it is."""

    UNKNOWN = "unknown"
    EXCLUDED = "excluded"
    TEST = "test"
    MEANWHILE = "meanwhile"  # answered after what the person who acts had seen
    MEASURES = "measures"  # kept to measure accuracy
    ASKED = "asked"  # others have answered, and who acts is still to answer without seeing that
    ANSWERED = "answered"
    NO_PREDICTION = "no prediction"
    SAME = "same"  # it is so already
    SINCE = "since"  # of an undo: answered again since
    HELD = "held"  # of an undo: on the screen of a labelling page


@dataclass(frozen=True)
class Act:
    """One act, as a person asks for it."""

    kind: ActKind
    class_id: int | None = None  # of a label
    reason: str | None = None  # of a skip
    note: str | None = None  # of a flag
    annotator: str = "me"
    seen: int | None = None  # the last answer that the person knew: images answered later are left; None for all
    undoes: str | None = None  # the act that an undo takes back
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:16])  # what is sent twice with one key is done once

    @property
    def id(self) -> str:
        """What the ids of its events begin with."""
        return f"bulk-{self.kind}-{self.key}"


@dataclass(frozen=True)
class Done:
    """What became of an act."""

    act_id: str
    changed: int  # images
    left: Mapping[Left, int] = field(default_factory=dict)  # images, by why


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
            if not _images_of(cursor, undone):
                raise NotFound(f"There is no act {undone} in this project; reload the page.")
            if undone.startswith(f"bulk-{ActKind.UNLABEL}-"):
                return _give_again(cursor, act)
            return _take_back(cursor, act, undone)


def _changed_before(cursor: duckdb.DuckDBPyConnection, act: Act) -> Done | None:
    """What an act did when it was sent before; None for a new one."""
    n = _images_of(cursor, act.id)
    return Done(act.id, n) if n else None


def _images_of(cursor: duckdb.DuckDBPyConnection, act_id: str) -> int:
    """How many images an act changed."""
    row = first_row(
        cursor, "SELECT count(DISTINCT image_id) FROM answers WHERE starts_with(event_id, ?)", [f"{act_id}-"]
    )
    return int(row[0]) if row else 0


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


# --- events


def _add(cursor: duckdb.DuckDBPyConnection, act: Act, image_ids: Int64, columns: Mapping[str, Any]) -> None:
    """The events of an act, one per row; ``columns`` are those that differ from row to row, or from nothing."""
    n = len(image_ids)
    row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
    seq, act_id = int(row[0]) if row else 0, act.id
    given: dict[str, Any] = {
        "event_id": pa.array([f"{act_id}-{number}" for number in range(n)], pa.string()),
        "seq": np.arange(seq + 1, seq + 1 + n),
        "image_id": image_ids.astype(np.int32),
        "annotator": pa.array([act.annotator] * n, pa.string()),
        "mode": pa.array([AnswerMode.BULK.value] * n, pa.string()),
        "suggestion_shown": pa.array([Shown.NEVER.value] * n, pa.string()),
        "answered_at": pa.array([utc_now()] * n, pa.timestamp("us")),
    }
    insert(cursor, "answers", {**given, **columns})
    note_shared(cursor, image_ids.tolist())


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
    _add(cursor, act, images.ids, columns)
    _out_of_queue(cursor, images.ids)


def _flags(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """As one flag takes an image out of the queue, so do these."""
    n = len(images.ids)
    columns = {
        "kind": [AnswerKind.FLAG.value] * n,
        "reason": pa.array([act.reason] * n, pa.string()),
        "note": pa.array([act.note] * n, pa.string()),
    }
    _add(cursor, act, images.ids, columns)
    _out_of_queue(cursor, images.ids)


def _unlabel(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    """Undo every label and skip that stands: of the last alone the one before would count again."""
    standing = cursor.sql(
        "SELECT event_id, image_id, purpose, round_id FROM standing_answers WHERE kind IN ('label', 'skip') "
        "AND image_id IN (SELECT unnest(?::INTEGER[])) ORDER BY seq",
        params=[images.ids.tolist()],
    ).to_arrow_table()
    _undo_events(cursor, act, standing)


def _undo_events(cursor: duckdb.DuckDBPyConnection, act: Act, events: pa.Table) -> None:
    """An undo for each event (event_id, image_id, purpose, round_id), with its purpose."""
    columns = {
        "kind": pa.array([AnswerKind.UNDO.value] * events.num_rows, pa.string()),
        "undoes": events["event_id"],
        "purpose": events["purpose"],
        "round_id": events["round_id"],
    }
    _add(cursor, act, events["image_id"].to_numpy().astype(np.int64), columns)


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
    _add(cursor, act, images.ids, {"kind": kinds, "reason": pa.array(former, pa.string())})
    _out_of_queue(cursor, images.ids)
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
    _add(cursor, act, images.ids, {"kind": kinds, "reason": images.status.tolist()})
    _set_status(cursor)


def _include(cursor: duckdb.DuckDBPyConnection, act: Act, images: _Images) -> None:
    _add(cursor, act, images.ids, {"kind": [AnswerKind.INCLUDE.value] * len(images.ids)})
    _set_status(cursor)


def _set_status(cursor: duckdb.DuckDBPyConnection) -> None:
    """Every image that was ever excluded is what the last such event that stands says; else what it was at first."""
    cursor.execute(
        f"""
        UPDATE images SET status = wanted.status FROM (
            SELECT e.image_id,
                   CASE WHEN newest.kind = 'exclude' THEN '{ImageStatus.EXCLUDED}' ELSE min(e.reason) END AS status
            FROM answers e LEFT JOIN (
                SELECT image_id, arg_max(kind, seq) AS kind FROM standing_answers
                WHERE kind IN ('exclude', 'include') GROUP BY image_id
            ) newest ON newest.image_id = e.image_id
            WHERE e.kind = 'exclude' GROUP BY e.image_id, newest.kind
        ) wanted WHERE images.id = wanted.image_id AND images.status <> wanted.status
        """
    )
    cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT id FROM images WHERE status = 'excluded')")


def _out_of_queue(cursor: duckdb.DuckDBPyConnection, image_ids: Int64) -> None:
    cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT unnest(?::INTEGER[]))", [image_ids.tolist()])


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


# --- undo


def _take_back(cursor: duckdb.DuckDBPyConnection, act: Act, undone: str) -> Done:
    """Undo what stands of an act, also where one of its labels was taken back and given again."""
    events = cursor.sql(
        """
        WITH RECURSIVE mine AS (
            SELECT event_id FROM answers WHERE starts_with(event_id, $act)
            UNION ALL
            SELECT again.event_id FROM mine JOIN answers u ON u.undoes = mine.event_id AND u.kind = 'undo'
            JOIN answers again ON again.undoes = u.event_id AND again.kind <> 'undo'
        )
        SELECT event_id, image_id, kind, purpose, round_id, reason,
               CASE WHEN kind IN ('label', 'skip') THEN event_id NOT IN (SELECT event_id FROM current_answers)
                    WHEN kind = 'queue' THEN image_id IN (
                        SELECT image_id FROM queue WHERE holder IS NOT NULL AND lease_until > $now
                    )
                    ELSE FALSE END AS later
        FROM standing_answers WHERE event_id IN (SELECT event_id FROM mine) ORDER BY seq
        """,
        params={"act": f"{undone}-", "now": steady_utc_now()},
    ).to_arrow_table()
    later = np.asarray(events["later"].to_pylist(), dtype=np.bool_)
    left = {Left.SAME: _images_of(cursor, undone) - len(set(events["image_id"].to_pylist()))}
    kinds = set(events["kind"].to_pylist())
    n_later = int(later.sum())
    if "queue" in kinds:
        left[Left.HELD] = n_later
        events = events.filter(pa.array(~later))
    else:
        left[Left.SINCE] = n_later
    _undo_events(cursor, act, events)
    if "queue" in kinds:
        _back_in_place(cursor, events)
    if kinds & {"exclude", "include"}:
        _set_status(cursor)
    changed = events.num_rows - left.get(Left.SINCE, 0)
    return Done(act.id, changed, {reason: n for reason, n in left.items() if n})


def _back_in_place(cursor: duckdb.DuckDBPyConnection, events: pa.Table) -> None:
    """Images that nobody answered go where they were, if the ranking is still that one; else the next one has them."""
    ids = events["image_id"].to_pylist()
    rows = cursor.execute(
        "SELECT image_id FROM queue WHERE image_id IN (SELECT unnest(?::INTEGER[])) AND image_id NOT IN "
        "(SELECT image_id FROM standing_answers WHERE kind = 'queue')",
        [ids],
    ).fetchall()
    waiting = {image_id for (image_id,) in rows}
    _out_of_queue(cursor, np.array(sorted(waiting), dtype=np.int64))
    present = cursor.execute("SELECT position, round_id FROM queue").fetchall()
    taken, newest = {position for position, _ in present}, max((number or 0 for _, number in present), default=0)
    places = []
    for image_id, reason in zip(ids, events["reason"].to_pylist(), strict=True):
        if image_id not in waiting or reason is None:
            continue
        place = json.loads(reason)
        if place["position"] not in taken and (place["round"] or 0) >= newest and place["purpose"] != Purpose.CHOSEN:
            places.append((image_id, place))
    if places:
        insert(
            cursor,
            "queue",
            {
                "position": np.array([place["position"] for _, place in places], dtype=np.int32),
                "image_id": np.array([image_id for image_id, _ in places], dtype=np.int32),
                "purpose": [place["purpose"] for _, place in places],
                "score": pa.array([place["score"] for _, place in places], pa.float64()),
                "round_id": pa.array([place["round"] for _, place in places], pa.int32()),
            },
        )


def _give_again(cursor: duckdb.DuckDBPyConnection, act: Act) -> Done:
    """Give the labels and skips again that an act took back, as they were, where nothing was answered since."""
    given = cursor.sql(
        """
        SELECT u.event_id AS undone, o.* EXCLUDE (event_id, seq, undoes, milliseconds),
               o.image_id IN (SELECT image_id FROM current_answers) AS later,
               u.event_id IN (SELECT undoes FROM answers WHERE undoes IS NOT NULL) AS again
        FROM answers u JOIN answers o ON o.event_id = u.undoes
        WHERE starts_with(u.event_id, ?) ORDER BY o.seq
        """,
        params=[f"{act.undoes}-"],
    ).to_arrow_table()
    again, later = (np.asarray(given[name].to_pylist(), dtype=np.bool_) for name in ("again", "later"))
    ids = given["image_id"].to_numpy()
    left = {Left.SAME: len(set(ids[again])), Left.SINCE: len(set(ids[later & ~again]))}
    given = given.filter(pa.array(~again & ~later))
    columns = {name: given[name] for name in given.column_names if name not in {"undone", "later", "again", "image_id"}}
    image_ids = given["image_id"].to_numpy().astype(np.int64)
    _add(cursor, act, image_ids, {**columns, "undoes": given["undone"]})
    _out_of_queue(cursor, image_ids)
    return Done(act.id, len(set(image_ids.tolist())), {reason: n for reason, n in left.items() if n})
