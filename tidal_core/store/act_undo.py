"""The undo of an act on many images: what stands of its events is taken back, what it took back is given again."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pyarrow as pa

from tidal_core.records import Purpose
from tidal_core.store.act_events import Act, Done, Left, add_events, images_of, out_of_queue, set_status, undo_events
from tidal_core.store.columns import insert, steady_utc_now


def take_back(cursor: duckdb.DuckDBPyConnection, act: Act, undone: str) -> Done:
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
    left = {Left.SAME: images_of(cursor, undone) - len(set(events["image_id"].to_pylist()))}
    kinds = set(events["kind"].to_pylist())
    n_later = int(later.sum())
    if "queue" in kinds:
        left[Left.HELD] = n_later
        events = events.filter(pa.array(~later))
    else:
        left[Left.SINCE] = n_later
    undo_events(cursor, act, events)
    if "queue" in kinds:
        _back_in_place(cursor, events)
    if kinds & {"exclude", "include"}:
        set_status(cursor)
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
    out_of_queue(cursor, np.array(sorted(waiting), dtype=np.int64))
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


def give_again(cursor: duckdb.DuckDBPyConnection, act: Act) -> Done:
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
    add_events(cursor, act, image_ids, {**columns, "undoes": given["undone"]})
    out_of_queue(cursor, image_ids)
    return Done(act.id, len(set(image_ids.tolist())), {reason: n for reason, n in left.items() if n})
