"""Answers: an append-only list of events. The current label of an image is a view over it.

An answer is acknowledged only after its transaction has been committed, and an event id is stored once: the same
event sent again is acknowledged again, another event under a used id is refused and the first one stands.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidal_core.records import Answer, AnswerKind, AnswerMode, Int64, Purpose, Shown, StoredAnswer
from tidal_core.store.columns import first_row, note_shared, utc_now
from tidal_core.store.database import Database

_FIELDS = tuple(field.name for field in fields(Answer))
_COLUMNS = ", ".join(_FIELDS)
TWO_LABELS = "two labels"
"""The reason of a flag by an import whose source gives one picture two classes; the other one is its suggestion."""
_OF_ACTS = (
    AnswerKind.QUEUE.value,
    AnswerKind.EXCLUDE.value,
    AnswerKind.INCLUDE.value,
)  # taken back with their act only, see ``acts``

_ANSWERED = """
    SELECT a.kind, i.split = 'pool' AS in_pool, i.status = 'ready' AS is_ready, t.id AS class_id,
           t.retired_at IS NULL AS in_use, u.image_id IS NOT NULL AS audited,
           a.seq > ? AND t.id IS DISTINCT FROM coalesce(w.merged_into, w.id) AS is_new, count(*)
    FROM current_answers a JOIN images i ON i.id = a.image_id
    LEFT JOIN classes c ON c.id = a.class_id LEFT JOIN classes t ON t.id = coalesce(c.merged_into, c.id)
    LEFT JOIN (SELECT image_id, class_id FROM round_images
               WHERE round_id = (SELECT max(id) FROM rounds) AND split = 'train') r ON r.image_id = i.id
    LEFT JOIN classes w ON w.id = r.class_id
    LEFT JOIN (SELECT DISTINCT image_id FROM answers WHERE purpose = 'audit' AND kind <> 'undo') u
        ON u.image_id = i.id
    WHERE i.status <> 'excluded'
    GROUP BY ALL
"""
"""How images with a label or skip that stands are counted; ``census``."""


@dataclass(frozen=True)
class Outcome:
    """What became of one event."""

    event_id: str
    seq: int | None  # None when refused
    new: bool  # False when the same event was stored before, or refused
    refused: str | None = None  # why, for people


@dataclass(frozen=True)
class Labels:
    """Current labels as arrays, by image id."""

    image_ids: Int64  # (N,)
    class_ids: Int64  # (N,)
    seqs: Int64  # (N,) sequence numbers of the answers that gave them
    last_seq: int  # the last answer that was taken into account

    def where(self, keep: NDArray[np.bool_]) -> Labels:
        """The labels for which ``keep`` (N,) is true."""
        return Labels(self.image_ids[keep], self.class_ids[keep], self.seqs[keep], self.last_seq)


class Tally(NamedTuple):
    """How far the labelling of the pool is, in images."""

    images: int  # labelled + skipped + left
    labelled: int
    skipped: int
    left: int  # neither labelled nor skipped
    hidden: int  # never asked: they look like another image


class Census(NamedTuple):
    """How all images stand, counted in one pass: it is asked after every answer."""

    tally: Tally
    by_class: dict[int, int]  # current labels per class id, as ``counts_by_class``
    trainable: dict[int, int]  # of these, labels that a round would train on, per class id
    new: int  # trainable labels, given after a certain answer, that the newest round has not trained on as they are


class Given(NamedTuple):
    """What one annotator has labelled, of what stands."""

    labels: int
    mistakes: int  # of these, labels of images whose class is known, and is another one


class ImportedLabels(NamedTuple):
    """Labels that came along with an import, as columns of equal length."""

    image_ids: list[int]
    class_ids: list[int]
    annotators: list[str]


def _answer(row: tuple[Any, ...]) -> Answer:
    values = dict(zip(_FIELDS, row, strict=True))
    values["kind"] = AnswerKind(values["kind"])
    values["mode"] = AnswerMode(values["mode"])
    values["suggestion_shown"] = Shown(values["suggestion_shown"])
    values["purpose"] = Purpose(values["purpose"]) if values["purpose"] else None
    return Answer(**values)


def labels_in(cursor: duckdb.DuckDBPyConnection) -> Labels:
    """``Answers.labels`` as a transaction sees them."""
    row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
    table = cursor.execute(
        """
        SELECT l.image_id, l.class_id, l.seq FROM current_labels l
        JOIN images i ON i.id = l.image_id JOIN classes c ON c.id = l.class_id
        WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL
        ORDER BY l.image_id
        """
    ).fetchnumpy()
    image_ids, class_ids, seqs = (np.asarray(table[name], np.int64) for name in ("image_id", "class_id", "seq"))
    return Labels(image_ids, class_ids, seqs, int(row[0]) if row else 0)


class Answers:
    """The table ``answers`` and its views."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, answers: Sequence[Answer]) -> list[Outcome]:
        """Store events in one transaction and take answered images out of the queue.

        Committed when this returns. Refused, each for itself: an unknown image or class, a retired class, an undo of
        nothing or of another image's answer, an id used before with other content. An undo is stored with the purpose
        of the answer that it takes back, whatever it was sent with.
        """
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
            seq = int(row[0]) if row else 0
            outcomes: list[Outcome] = []
            for answer in answers:
                outcome = self._record_one(cursor, answer, seq + 1)
                seq = outcome.seq if outcome.new and outcome.seq else seq
                outcomes.append(outcome)
        return outcomes

    def _record_one(self, cursor: duckdb.DuckDBPyConnection, answer: Answer, seq: int) -> Outcome:
        sent, answer = answer, self._with_purpose_of_undone(cursor, answer)
        before = first_row(
            cursor,
            f"SELECT seq, {_COLUMNS} FROM answers WHERE event_id = ?",
            [answer.event_id],
        )
        if before is not None:
            if _answer(before[1:]) in (answer, sent):  # as sent: stored by a version that kept an undo as it came
                return Outcome(answer.event_id, int(before[0]), new=False)
            return Outcome(
                answer.event_id,
                None,
                new=False,
                refused=f"The answer {answer.event_id} was already stored with other content; the first one is kept.",
            )
        refused = self._refusal(cursor, answer)
        if refused:
            return Outcome(answer.event_id, None, new=False, refused=refused)
        marks = ", ".join("?" for _ in _FIELDS)
        cursor.execute(
            f"INSERT INTO answers ({_COLUMNS}, seq, answered_at) VALUES ({marks}, ?, ?)",
            [*astuple(answer), seq, utc_now()],
        )
        if answer.kind in (AnswerKind.LABEL, AnswerKind.SKIP):
            note_shared(cursor, [answer.image_id])
        if answer.kind is not AnswerKind.UNDO:
            cursor.execute("DELETE FROM queue WHERE image_id = ?", [answer.image_id])
        return Outcome(answer.event_id, seq, new=True)

    def _with_purpose_of_undone(self, cursor: duckdb.DuckDBPyConnection, answer: Answer) -> Answer:
        if answer.kind is not AnswerKind.UNDO:
            return answer
        row = first_row(cursor, "SELECT purpose FROM answers WHERE event_id = ?", [answer.undoes])
        return replace(answer, purpose=Purpose(row[0]) if row and row[0] else None)

    def _refusal(self, cursor: duckdb.DuckDBPyConnection, answer: Answer) -> str | None:
        if not first_row(cursor, "SELECT 1 FROM images WHERE id = ?", [answer.image_id]):
            return f"There is no image {answer.image_id} in this project; reload the page."
        if answer.kind is AnswerKind.LABEL:
            row = first_row(
                cursor,
                "SELECT t.name, t.retired_at FROM classes c JOIN classes t ON t.id = coalesce(c.merged_into, c.id) "
                "WHERE c.id = ?",
                [answer.class_id],
            )
            if row is None:
                return f"There is no class {answer.class_id} in this project; reload the page."
            if row[1] is not None:
                return f"The class {row[0]!r} is no longer in use; choose another one."
        elif answer.kind is AnswerKind.UNDO:
            row = first_row(cursor, "SELECT image_id, kind FROM answers WHERE event_id = ?", [answer.undoes])
            if row is None or row[0] != answer.image_id or row[1] in _OF_ACTS:
                return f"There is no answer {answer.undoes} on image {answer.image_id} to undo."
        return None

    def import_labels(self, labels: ImportedLabels) -> int:
        """Store many labels whose images and classes are known to exist, in one transaction; returns how many."""
        n = len(labels.image_ids)
        if not n:
            return 0
        columns = {
            "image_id": pa.array(labels.image_ids, pa.int32()),
            "class_id": pa.array(labels.class_ids, pa.int32()),
            "annotator": pa.array(labels.annotators, pa.string()),
            "place": np.arange(1, n + 1),
        }
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT coalesce(max(seq), 0) FROM answers")
            cursor.register("labels_in", pa.table(columns))
            cursor.execute(
                """
                INSERT INTO answers
                    (event_id, seq, kind, image_id, class_id, annotator, mode, suggestion_shown, answered_at)
                SELECT ?::TEXT || place, ?::BIGINT + place, ?, image_id, class_id, annotator, ?, ?, ?
                FROM labels_in ORDER BY place
                """,
                [
                    f"import-{uuid.uuid4().hex}-",  # these events have no other origin that could send them twice
                    int(row[0]) if row else 0,
                    AnswerKind.LABEL.value,
                    AnswerMode.IMPORT.value,
                    Shown.NEVER.value,
                    utc_now(),
                ],
            )
            cursor.unregister("labels_in")
            note_shared(cursor, labels.image_ids)
            cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT image_id FROM current_answers)")
        return n

    def last_imported(self) -> dict[tuple[int, str], int]:
        """What the last standing imported label says, by image id and annotator: class ids."""
        rows = self._db.rows(
            """
            SELECT image_id, annotator, class_id FROM standing_answers WHERE mode = 'import' AND kind = 'label'
            QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1
            """
        )
        return {(image_id, annotator): class_id for image_id, annotator, class_id in rows}

    def last_seq(self) -> int:
        """The sequence number of the last event, 0 when there is none."""
        return int(self._db.value("SELECT coalesce(max(seq), 0) FROM answers"))

    def labels(self) -> Labels:
        """Current labels of pool images in classes that are in use, whatever they were asked for; of none excluded."""
        with self._db.moment() as cursor:
            return labels_in(cursor)

    def images_asked_for(self, purpose: Purpose) -> Int64:
        """Images that were ever asked for this purpose, by id; also when the answer was taken back."""
        return self._image_ids(
            "SELECT DISTINCT image_id FROM answers WHERE purpose = ? AND kind <> 'undo' ORDER BY image_id", [purpose]
        )

    def first_seq_for(self, purpose: Purpose) -> int:
        """The sequence number of the first answer that was asked for this purpose; 0 without one."""
        return int(self._db.value("SELECT coalesce(min(seq), 0) FROM answers WHERE purpose = ?", [purpose]))

    def images_answered_otherwise(self, purpose: Purpose) -> Int64:
        """Images that ever got a label or skip that was not asked for this purpose, by id; also when taken back."""
        return self._image_ids(
            "SELECT DISTINCT image_id FROM answers WHERE kind IN ('label', 'skip') AND purpose IS DISTINCT FROM ? "
            "ORDER BY image_id",
            [purpose],
        )

    def purposes(self, image_ids: Iterable[int]) -> dict[int, list[Purpose]]:
        """What images were asked for, oldest first, by image id; those that nobody asked are left out."""
        rows = self._db.rows(
            "SELECT image_id, purpose FROM answers "
            "WHERE purpose IS NOT NULL AND kind <> 'undo' AND image_id IN (SELECT unnest(?::INTEGER[])) ORDER BY seq",
            [[int(i) for i in image_ids]],
        )
        by_image: dict[int, list[Purpose]] = {}
        for image_id, purpose in rows:
            by_image.setdefault(image_id, []).append(Purpose(purpose))
        return by_image

    def count_since_last(self, purpose: Purpose, modes: Iterable[AnswerMode]) -> int:
        """How many images were answered, in one of these modes and for another purpose, after the last for this one."""
        return int(
            self._db.value(
                """
                WITH given AS (SELECT unnest(?::TEXT[]) AS mode)
                SELECT count(*) FROM current_answers
                WHERE purpose <> ? AND mode IN (SELECT mode FROM given) AND seq > (
                    SELECT coalesce(max(seq), 0) FROM standing_answers
                    WHERE purpose = ? AND kind IN ('label', 'skip') AND mode IN (SELECT mode FROM given)
                )
                """,
                [[mode.value for mode in modes], purpose, purpose],
            )
        )

    def answered_images(self) -> Int64:
        """Images with a label or skip that stands, by id."""
        return self._image_ids("SELECT image_id FROM current_answers ORDER BY image_id")

    def counts_by_class(self) -> dict[int, int]:
        """Current labels per class id, of images that nobody excluded; classes without any are left out."""
        return dict(
            self._db.rows(
                "SELECT l.class_id, count(*) FROM current_labels l JOIN images i ON i.id = l.image_id "
                "WHERE i.status <> 'excluded' GROUP BY l.class_id ORDER BY l.class_id"
            )
        )

    def tally(self) -> Tally:
        """How many images of the pool are labelled, skipped and left; hidden ones with an answer count as answered."""
        return self.census(0).tally

    def census(self, after_seq: int) -> Census:
        """Everything that is counted of images and labels but of excluded ones; ``new``: labels given after an answer.

        A label is trainable if its image is in the pool and was never asked for the audit, and its class is in use.
        A label that only says again what the newest round has trained on teaches nothing: it is not new.
        """
        # Answers are few and images many: what nobody answered is counted by its columns and joined with nothing.
        with self._db.moment() as cursor:
            all_images = cursor.execute(
                "SELECT split = 'pool', status = 'ready', count(*) FROM images WHERE status <> 'excluded' GROUP BY ALL"
            ).fetchall()
            groups = cursor.execute(_ANSWERED, [after_seq]).fetchall()
        by_class: Counter[int] = Counter()
        trainable: Counter[int] = Counter()
        unanswered = Counter({(in_pool, is_ready): n for in_pool, is_ready, n in all_images})
        labelled = skipped = new = 0
        for kind, in_pool, is_ready, class_id, in_use, audited, is_new, n in groups:
            unanswered[in_pool, is_ready] -= n
            if kind == "label" and class_id is not None:
                by_class[class_id] += n
                if in_pool and in_use and not audited:
                    trainable[class_id] += n
                    new += n * is_new
            if in_pool:
                labelled += n * (kind == "label")
                skipped += n * (kind == "skip")
        left, hidden = unanswered[True, True], unanswered[True, False]
        tally = Tally(labelled + skipped + left, labelled, skipped, left, hidden)
        return Census(tally, dict(by_class), dict(trainable), new)

    def count(self, kind: AnswerKind | None = None) -> int:
        """How many events are stored, of one kind or of all."""
        return int(self._db.value("SELECT count(*) FROM answers WHERE ?::TEXT IS NULL OR kind = ?", [kind, kind]))

    def of_image(self, image_id: int) -> list[StoredAnswer]:
        """Everything that was said of an image, oldest first."""
        return self._stored("WHERE image_id = ? ORDER BY seq", [image_id])

    def history(self, annotator: str | None = None, limit: int = 100, before: int | None = None) -> list[StoredAnswer]:
        """The last standing answers, newest first, of one annotator or of all; not what only moved images."""
        return self._stored(
            f"WHERE kind NOT IN {_OF_ACTS} AND (?::TEXT IS NULL OR annotator = ?) "
            "AND (?::BIGINT IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?",
            [annotator, annotator, before, before, limit],
            source="standing_answers",
        )

    def given_by(self, annotator: str) -> Given:
        """How many labels of an annotator stand, and how many of them are unlike a known class."""
        row = self._db.row(
            """
            SELECT count(*), count(*) FILTER (i.known_class IS NOT NULL
                AND l.class_id <> coalesce(k.merged_into, i.known_class))
            FROM current_labels l JOIN images i ON i.id = l.image_id LEFT JOIN classes k ON k.id = i.known_class
            WHERE l.annotator = ?
            """,
            [annotator],
        )
        return Given(*map(int, row)) if row else Given(0, 0)

    def others_since(self, seq: int, annotator: str, modes: Iterable[AnswerMode]) -> list[str]:
        """Who else has answered, in one of these modes, after an answer; by name."""
        rows = self._db.rows(
            "SELECT DISTINCT annotator FROM answers WHERE seq > ? AND annotator <> ? "
            "AND mode IN (SELECT unnest(?::TEXT[])) ORDER BY annotator",
            [seq, annotator, [mode.value for mode in modes]],
        )
        return [name for (name,) in rows]

    def set_aside(self) -> list[StoredAnswer]:
        """Flags that stand, and skips that stand with no later answer of their image; newest first."""
        return self._stored(
            "WHERE kind = 'flag' OR (kind = 'skip' AND seq IN (SELECT seq FROM current_answers)) ORDER BY seq DESC",
            [],
            source="standing_answers",
        )

    def two_labels(self) -> dict[int, int]:
        """The class that an import's source gave an image beside the one that was taken, by image id.

        Only of images that nobody labelled since.
        """
        rows = self._db.rows(
            """
            SELECT s.image_id, coalesce(k.merged_into, k.id) FROM standing_answers s
            JOIN classes k ON k.id = s.suggestion_class JOIN current_labels l ON l.image_id = s.image_id
            WHERE s.kind = 'flag' AND s.reason = ? AND l.seq < s.seq
              AND l.class_id <> coalesce(k.merged_into, k.id) ORDER BY s.seq
            """,
            [TWO_LABELS],
        )
        return dict(rows)

    def reviewed(self, reason: str) -> Int64:
        """Images, by id, whose label was looked at in a review and stands as it was left then.

        ``reason``: what the answers of a review give as theirs.
        """
        return self._image_ids(
            """
            SELECT l.image_id FROM current_labels l JOIN (
                SELECT image_id, max(seq) AS seq FROM standing_answers WHERE mode = ? AND reason = ? GROUP BY image_id
            ) r ON r.image_id = l.image_id
            WHERE l.seq <= r.seq ORDER BY l.image_id
            """,
            [AnswerMode.REVIEW.value, reason],
        )

    def current(self, image_id: int) -> StoredAnswer | None:
        """The label or skip that stands for an image."""
        answers = self._stored("WHERE image_id = ?", [image_id], source="current_answers")
        return answers[0] if answers else None

    def all(self) -> list[StoredAnswer]:
        """Every event in the server's order."""
        return self._stored("ORDER BY seq", [])

    def _image_ids(self, sql: str, params: list[Any] | None = None) -> Int64:
        return np.asarray(self._db.arrays(sql, params or [])["image_id"], dtype=np.int64)

    def _stored(self, condition: str, params: list[Any], *, source: str = "answers") -> list[StoredAnswer]:
        rows = self._db.rows(f"SELECT seq, answered_at, {_COLUMNS} FROM {source} {condition}", params)
        return [StoredAnswer(_answer(row[2:]), int(row[0]), row[1]) for row in rows]
