"""What an act on many images is, and what every act, an undo too, writes: events, the queue, the images' states."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tidal_core.records import AnswerKind, AnswerMode, ImageStatus, Int64, Shown
from tidal_core.store.columns import first_row, insert, note_shared, utc_now


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


def images_of(cursor: duckdb.DuckDBPyConnection, act_id: str) -> int:
    """How many images an act changed."""
    row = first_row(
        cursor, "SELECT count(DISTINCT image_id) FROM answers WHERE starts_with(event_id, ?)", [f"{act_id}-"]
    )
    return int(row[0]) if row else 0


def add_events(cursor: duckdb.DuckDBPyConnection, act: Act, image_ids: Int64, columns: Mapping[str, Any]) -> None:
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


def undo_events(cursor: duckdb.DuckDBPyConnection, act: Act, events: pa.Table) -> None:
    """An undo for each event (event_id, image_id, purpose, round_id), with its purpose."""
    columns = {
        "kind": pa.array([AnswerKind.UNDO.value] * events.num_rows, pa.string()),
        "undoes": events["event_id"],
        "purpose": events["purpose"],
        "round_id": events["round_id"],
    }
    add_events(cursor, act, events["image_id"].to_numpy().astype(np.int64), columns)


def set_status(cursor: duckdb.DuckDBPyConnection) -> None:
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


def out_of_queue(cursor: duckdb.DuckDBPyConnection, image_ids: Int64) -> None:
    """These images do not wait any more."""
    cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT unnest(?::INTEGER[]))", [image_ids.tolist()])
