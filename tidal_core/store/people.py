"""What several people said of the same images, and how much and how fast each of them labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tidal_core.records import Float64, Int64
from tidal_core.store.columns import insert
from tidal_core.store.database import Database

_IN_SIGHT = "('settle', 'review', 'bulk')"
"""Modes in which a person may have seen what others said."""
PAUSE_SECONDS = 120.0  # more than this between two answers is no labelling time


@dataclass(frozen=True)
class OwnLabels:
    """The last standing label of each person for each image, given without knowing the others'; row-aligned (V,)."""

    image_ids: Int64
    people: Int64  # places in ``names``
    class_ids: Int64  # as merged
    names: tuple[str, ...]
    last_seq: int


class Said(NamedTuple):
    """What one person says of an image now."""

    annotator: str
    class_id: int | None  # None for a skip
    seq: int


class Disagreement(NamedTuple):
    """An image of which people say different things, and nobody has settled it."""

    image_id: int
    said: tuple[Said, ...]  # oldest first
    counts: int | None  # class id that counts until somebody settles it; None for a skip


class Person(NamedTuple):
    """How much and how fast one person labels; of what stands."""

    annotator: str
    labels: int
    skips: int
    active_seconds: float  # between answers that follow each other by at most ``PAUSE_SECONDS``
    timed: int  # answers in that time
    median_seconds: float | None  # from seeing an image to answering it
    shared: int  # labels of images that others labelled, too, or that were settled
    with_consensus: int  # of these, labels of the class that counts
    known: int  # labels of images whose class is known, or that are in the audit sample and were settled by others
    right: int  # of these
    last: datetime


class People:
    """Reads over answers and classes by who gave them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def own_labels(self, *, shared_only: bool = True) -> OwnLabels:
        """What people said without knowing the others': not what they changed on Review or in the gallery.

        Of images that more than one person answered, or of all pool images. A label of an import whose source does
        not say who gave it is nobody's.
        """
        table = self._db.arrays(
            f"""
            SELECT l.image_id, l.annotator, t.id AS class_id, (SELECT coalesce(max(seq), 0) FROM answers) AS last_seq
            FROM (
                SELECT * FROM standing_answers
                WHERE kind = 'label' AND mode NOT IN {_IN_SIGHT} AND annotator <> 'import'
                    {"AND image_id IN (SELECT image_id FROM shared_images)" if shared_only else ""}
                QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1
            ) l
            JOIN images i ON i.id = l.image_id AND i.status <> 'excluded' AND i.split = 'pool'
            JOIN classes k ON k.id = l.class_id JOIN classes t ON t.id = coalesce(k.merged_into, k.id)
            ORDER BY l.image_id, l.annotator
            """
        )
        names, people = np.unique(np.asarray(table["annotator"], dtype=object).astype(str), return_inverse=True)
        seqs = np.asarray(table["last_seq"], dtype=np.int64)
        return OwnLabels(
            np.asarray(table["image_id"], dtype=np.int64),
            people.astype(np.int64),
            np.asarray(table["class_id"], dtype=np.int64),
            tuple(names.tolist()),
            int(seqs[0]) if len(seqs) else 0,
        )

    def answered_by(self, annotator: str, image_ids: Iterable[int]) -> set[int]:
        """Those of some images that a person has labelled or skipped, and not taken back."""
        rows = self._db.rows(
            "SELECT DISTINCT image_id FROM standing_answers WHERE kind IN ('label', 'skip') AND annotator = ? "
            "AND image_id IN (SELECT unnest(?::INTEGER[]))",
            [annotator, [int(image_id) for image_id in image_ids]],
        )
        return {image_id for (image_id,) in rows}

    def people_of(self, image_ids: Iterable[int] | None = None) -> dict[int, int]:
        """How many people have an answer that stands of each image that anybody was asked here; of some images or all.

        Images whose answers all came with an import are left out, and those that were settled.
        """
        some = None if image_ids is None else [int(image_id) for image_id in image_ids]
        rows = self._db.rows(
            """
            SELECT image_id, count(DISTINCT annotator) FROM standing_answers
            WHERE kind IN ('label', 'skip') AND (?::INTEGER[] IS NULL OR image_id IN (SELECT unnest(?::INTEGER[])))
            GROUP BY image_id HAVING NOT bool_and(mode = 'import') AND NOT bool_or(mode = 'settle')
            ORDER BY image_id
            """,
            [some, some],
        )
        return dict(rows)

    def disagreements(self) -> list[Disagreement]:
        """Images of which people say different things and that nobody settled; most people first, then by id."""
        rows = self._db.rows(
            """
            SELECT c.image_id, c.annotator, c.class_id, c.seq, c.counts FROM consensus c
            JOIN images i ON i.id = c.image_id AND i.status <> 'excluded' AND i.split = 'pool'
            WHERE c.image_id IN (
                SELECT image_id FROM consensus GROUP BY image_id
                HAVING count(DISTINCT coalesce(class_id, 0)) FILTER (annotator <> 'import') > 1 AND NOT bool_or(settled)
            ) ORDER BY c.people DESC, c.image_id, c.seq
            """
        )
        by_image: dict[int, list[tuple[Said, bool]]] = {}
        for image_id, annotator, class_id, seq, counts in rows:
            by_image.setdefault(image_id, []).append((Said(annotator, class_id, int(seq)), bool(counts)))
        return [
            Disagreement(
                image_id,
                tuple(each for each, _ in said),
                next(each.class_id for each, counts in said if counts),
            )
            for image_id, said in by_image.items()
        ]

    def shared_images(self) -> int:
        """How many images have answers of two people or more that stand."""
        return int(self._db.value("SELECT count(DISTINCT image_id) FROM consensus WHERE people > 1"))

    def all(self) -> list[Person]:
        """Everybody who has answered by hand, most labels first; imports and the model are no people."""
        rows = self._db.rows(
            f"""
            WITH given AS (
                SELECT a.annotator, a.kind, a.image_id, a.seq, a.mode, t.id AS class_id, a.milliseconds, a.answered_at,
                       epoch(a.answered_at - lag(a.answered_at) OVER (PARTITION BY a.annotator ORDER BY a.seq)) AS gap
                FROM standing_answers a
                LEFT JOIN classes k ON k.id = a.class_id LEFT JOIN classes t ON t.id = coalesce(k.merged_into, k.id)
                WHERE a.kind IN ('label', 'skip') AND a.mode <> 'import'
            ), own AS (
                SELECT * FROM given WHERE mode <> 'settle'
                QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1
            ), truth AS (
                SELECT i.id AS image_id, coalesce(k.merged_into, k.id) AS class_id
                FROM images i JOIN classes k ON k.id = i.known_class
            ), settled AS (
                SELECT image_id, annotator AS by, class_id FROM consensus WHERE counts AND settled
            ), audited AS (SELECT DISTINCT image_id FROM answers WHERE purpose = 'audit' AND kind <> 'undo'
            ), pace AS (
                SELECT annotator, sum(gap) FILTER (gap <= {PAUSE_SECONDS}) AS active,
                       count(*) FILTER (gap <= {PAUSE_SECONDS}) AS timed, max(answered_at) AS last
                FROM given GROUP BY annotator
            )
            SELECT o.annotator, count(*) FILTER (o.kind = 'label'), count(*) FILTER (o.kind = 'skip'),
                   coalesce(any_value(p.active), 0), coalesce(any_value(p.timed), 0),
                   median(o.milliseconds) / 1000,
                   count(*) FILTER (o.kind = 'label' AND w.image_id IS NOT NULL),
                   count(*) FILTER (o.kind = 'label' AND w.class_id = o.class_id),
                   count(*) FILTER (o.kind = 'label' AND coalesce(g.class_id, s.class_id) IS NOT NULL),
                   count(*) FILTER (o.kind = 'label' AND coalesce(g.class_id, s.class_id) = o.class_id),
                   any_value(p.last)
            FROM own o JOIN pace p ON p.annotator = o.annotator
            LEFT JOIN (SELECT image_id, class_id FROM consensus WHERE counts AND people > 1) w
                ON w.image_id = o.image_id
            LEFT JOIN truth g ON g.image_id = o.image_id
            LEFT JOIN settled s ON s.image_id = o.image_id AND s.by <> o.annotator
                AND o.image_id IN (SELECT image_id FROM audited)
            GROUP BY o.annotator ORDER BY 2 DESC, 1
            """
        )
        return [
            Person(
                r[0],
                int(r[1]),
                int(r[2]),
                float(r[3]),
                int(r[4]),
                r[5],
                int(r[6]),
                int(r[7]),
                int(r[8]),
                int(r[9]),
                r[10],
            )
            for r in rows
        ]

    # --- CROWDLAB

    def keep_crowdlab(self, image_ids: Int64, class_ids: Int64, quality: Float64, last_seq: int, round_id: int) -> None:
        """Keep CROWDLAB's choices (K,) in place of the former ones; each counts until somebody answers its image."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM crowdlab_labels")
            if len(image_ids):
                insert(
                    cursor,
                    "crowdlab_labels",
                    {
                        "image_id": pa.array(image_ids, pa.int32()),
                        "class_id": pa.array(class_ids, pa.int32()),
                        "quality": pa.array(quality, pa.float64()),
                        "last_seq": pa.array([last_seq] * len(image_ids), pa.int64()),
                        "round_id": pa.array([round_id] * len(image_ids), pa.int32()),
                    },
                )

    def forget_crowdlab(self) -> None:
        """Let what most people say count again."""
        if self._db.value("SELECT count(*) FROM crowdlab_labels"):
            with self._db.write() as cursor:
                cursor.execute("DELETE FROM crowdlab_labels")

    def crowdlab_choices(self) -> tuple[int | None, Int64]:
        """The round that CROWDLAB's choices are of, and the images whose label they are now, by id."""
        table = self._db.arrays(
            """
            SELECT c.image_id, w.round_id FROM consensus c JOIN crowdlab_labels w ON w.image_id = c.image_id
            WHERE c.counts AND NOT c.settled AND c.class_id = w.class_id
              AND w.last_seq >= (SELECT max(seq) FROM consensus o WHERE o.image_id = c.image_id)
            ORDER BY c.image_id
            """
        )
        rounds = np.asarray(table["round_id"], dtype=np.int64)
        return (int(rounds.max()) if len(rounds) else None), np.asarray(table["image_id"], dtype=np.int64)
