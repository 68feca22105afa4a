"""The tables, as numbered steps. Append a step; never change one that has been released.

No secondary indexes: keep rows sorted by what they are looked up by (DuckDB skips blocks by their minimum and
maximum), an index costs four times the insert time, and indexes have open reports of damaged files upstream. The one
primary key is the answers' event id, because "stored once" must hold whatever a browser sends. Ids of classes are
unique because ``Classes`` reads the last one and writes the next in one transaction, under the one write lock of the
one process that has the file; a key would add only the index, and cannot be made in the transaction that mends a file
("Cannot create index with outstanding updates").
"""

from __future__ import annotations

from typing import NamedTuple


class Migration(NamedTuple):
    """One step: its statements run with its record in one transaction."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "the project's tables",
        (
            "CREATE TABLE settings (key TEXT NOT NULL, value TEXT NOT NULL)",
            """
            CREATE TABLE images (
                id INTEGER NOT NULL, uri TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL,
                width INTEGER NOT NULL, height INTEGER NOT NULL, bytes BIGINT NOT NULL, split TEXT NOT NULL,
                known_class INTEGER, status TEXT NOT NULL, pixel_row INTEGER NOT NULL, audit_order INTEGER,
                phash UBIGINT, imported_at TIMESTAMP NOT NULL
            )
            """,
            """
            CREATE TABLE classes (
                id INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, colour TEXT NOT NULL,
                position INTEGER NOT NULL, merged_into INTEGER, retired_at TIMESTAMP
            )
            """,
            """
            CREATE TABLE answers (
                event_id TEXT PRIMARY KEY, seq BIGINT NOT NULL, kind TEXT NOT NULL, image_id INTEGER NOT NULL,
                class_id INTEGER, undoes TEXT, reason TEXT, note TEXT, annotator TEXT NOT NULL, mode TEXT NOT NULL,
                suggestion_class INTEGER, suggestion_p DOUBLE, suggestion_shown TEXT NOT NULL, milliseconds INTEGER,
                round_id INTEGER, purpose TEXT, answered_at TIMESTAMP NOT NULL
            )
            """,
            # An answer stands until an undo names it; the last standing label or skip of an image is its state.
            """
            CREATE VIEW standing_answers AS
            SELECT a.* FROM answers a
            WHERE a.kind <> 'undo' AND a.event_id NOT IN (SELECT undoes FROM answers WHERE undoes IS NOT NULL)
            """,
            """
            CREATE VIEW current_answers AS
            SELECT * FROM standing_answers WHERE kind IN ('label', 'skip')
            QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY seq DESC) = 1
            """,
            """
            CREATE VIEW current_labels AS
            SELECT c.* REPLACE (coalesce(k.merged_into, k.id) AS class_id)
            FROM current_answers c JOIN classes k ON k.id = c.class_id
            WHERE c.kind = 'label'
            """,
            """
            CREATE TABLE queue (
                position INTEGER NOT NULL, image_id INTEGER NOT NULL, purpose TEXT NOT NULL, score DOUBLE,
                round_id INTEGER, holder TEXT, lease_until TIMESTAMP
            )
            """,
            """
            CREATE TABLE rounds (
                id INTEGER NOT NULL, state TEXT NOT NULL, config TEXT NOT NULL, strategy TEXT NOT NULL,
                class_ids TEXT NOT NULL, last_seq BIGINT NOT NULL, labels INTEGER NOT NULL, started_by TEXT NOT NULL,
                created_at TIMESTAMP NOT NULL, started_at TIMESTAMP, finished_at TIMESTAMP, error TEXT, checkpoint TEXT,
                heartbeat_at TIMESTAMP
            )
            """,
            """
            CREATE TABLE round_images (
                round_id INTEGER NOT NULL, image_id INTEGER NOT NULL, class_id INTEGER NOT NULL, split TEXT NOT NULL,
                td_bar FLOAT[], td_classes INTEGER[], area FLOAT, confidence FLOAT, variability FLOAT,
                correctness FLOAT, first_learnt INTEGER, forgetting INTEGER, margin_area FLOAT
            )
            """,
            """
            CREATE TABLE epochs (
                round_id INTEGER NOT NULL, epoch INTEGER NOT NULL, epochs INTEGER NOT NULL, loss DOUBLE NOT NULL,
                class_loss DOUBLE NOT NULL, td_loss DOUBLE, train_accuracy DOUBLE NOT NULL,
                learning_rate DOUBLE NOT NULL, seconds DOUBLE NOT NULL, images_per_second DOUBLE NOT NULL,
                batch_size INTEGER NOT NULL, note TEXT, finished_at TIMESTAMP NOT NULL
            )
            """,
            """
            CREATE TABLE curves (
                round_id INTEGER NOT NULL, epoch INTEGER NOT NULL, image_id INTEGER NOT NULL, p FLOAT[] NOT NULL,
                class_ids INTEGER[]
            )
            """,
            """
            CREATE TABLE scores (
                round_id INTEGER NOT NULL, image_id INTEGER NOT NULL, part TEXT NOT NULL, predicted INTEGER NOT NULL,
                p FLOAT[] NOT NULL, td FLOAT[], class_ids INTEGER[], rank INTEGER,
                entropy FLOAT, margin FLOAT, confidence FLOAT,
                td_entropy FLOAT, td_margin FLOAT, td_margin_naive FLOAT, td_confidence FLOAT,
                td_confidence_naive FLOAT
            )
            """,
            """
            CREATE TABLE metrics (
                round_id INTEGER NOT NULL, split TEXT NOT NULL, class_id INTEGER, name TEXT NOT NULL,
                value DOUBLE NOT NULL, low DOUBLE, high DOUBLE, n INTEGER NOT NULL
            )
            """,
            """
            CREATE TABLE log (
                logged_at TIMESTAMP NOT NULL, level TEXT NOT NULL, round_id INTEGER, message TEXT NOT NULL
            )
            """,
        ),
    ),
    Migration(
        "one class per id",
        (
            # Versions before this one looked for the next id outside the transaction: an import and the Project page
            # adding at once could give it twice. The first class keeps the id, and with it every label that was given
            # under it (they cannot be told apart); the others get ids of their own, those of the same name merged into
            # it, and keys are chosen anew by people.
            """
            UPDATE classes SET id = twice.new_id, key = '',
                merged_into = CASE WHEN twice.name = twice.first_name THEN twice.id ELSE merged_into END
            FROM (
                SELECT rowid AS r, id, name, first_value(name) OVER same AS first_name,
                       (SELECT max(id) FROM classes) + row_number() OVER (ORDER BY rowid) AS new_id
                FROM classes WINDOW same AS (PARTITION BY id ORDER BY rowid)
                QUALIFY row_number() OVER same > 1
            ) twice
            WHERE classes.rowid = twice.r
            """,
        ),
    ),
    Migration(
        "the exact training dynamics of every image",
        (
            # Where only a head trains. exact: p-bar, like td. exact_curve: p of each of the round's exact_epochs, one
            # after the other; null where there are too many points. The last three describe the curve of the label,
            # or of the predicted class where there is none.
            "ALTER TABLE scores ADD COLUMN exact_entropy FLOAT",
            "ALTER TABLE scores ADD COLUMN exact_margin FLOAT",
            "ALTER TABLE scores ADD COLUMN exact FLOAT[]",
            "ALTER TABLE scores ADD COLUMN exact_curve FLOAT[]",
            "ALTER TABLE scores ADD COLUMN exact_mean FLOAT",
            "ALTER TABLE scores ADD COLUMN exact_variability FLOAT",
            "ALTER TABLE scores ADD COLUMN exact_correctness FLOAT",
            "ALTER TABLE rounds ADD COLUMN exact_epochs INTEGER[]",
        ),
    ),
    Migration(
        "a merge of classes can be undone",
        (
            # merged_into is where a class ends up, merged_first what a person chose for it: they differ where that one
            # was merged, too. Undoing the later merge needs the first.
            "ALTER TABLE classes ADD COLUMN merged_first INTEGER",
            "UPDATE classes SET merged_first = merged_into",
        ),
    ),
    Migration(
        "predictions of labelled images by heads that did not train on them",
        (
            """
            CREATE TABLE fold_predictions (
                round_id INTEGER NOT NULL, image_id INTEGER NOT NULL, predicted INTEGER NOT NULL,
                p FLOAT[] NOT NULL, class_ids INTEGER[]
            )
            """,
        ),
    ),
    Migration(
        "the model's answers apart from people's",
        (
            # What a person answers stands above it, whenever that was; a retired class is nobody's.
            """
            CREATE VIEW model_labels AS
            SELECT a.* REPLACE (t.id AS class_id)
            FROM (
                SELECT * FROM standing_answers WHERE kind = 'model'
                QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY seq DESC) = 1
            ) a
            JOIN classes k ON k.id = a.class_id JOIN classes t ON t.id = coalesce(k.merged_into, k.id)
            WHERE t.retired_at IS NULL AND a.image_id NOT IN (SELECT image_id FROM current_answers)
            """,
        ),
    ),
    Migration(
        "the consensus of several people",
        (
            # Images that more than one person ever labelled or skipped (``columns.note_shared``): only these are looked
            # at closely. Of every other image the last answer is the one that counts, which costs half as much to find.
            "CREATE TABLE shared_images (image_id INTEGER NOT NULL)",
            """
            INSERT INTO shared_images SELECT image_id FROM answers WHERE kind IN ('label', 'skip')
            GROUP BY image_id HAVING min(annotator) <> max(annotator) ORDER BY image_id
            """,
            # What CROWDLAB makes of them, where a project asks for it; ``last_seq``: of the answers that it looked at.
            """
            CREATE TABLE crowdlab_labels (
                image_id INTEGER NOT NULL, class_id INTEGER NOT NULL, quality DOUBLE NOT NULL, last_seq BIGINT NOT NULL,
                round_id INTEGER NOT NULL
            )
            """,
            # Each person's last answer to an image is that person's vote, its class as merged. The order of the rule:
            # settled, CROWDLAB's choice while nobody has answered since, most votes, the newest. "settled" is an answer
            # given in sight of the others': to settle them, or over an earlier one on Review or in the gallery. A skip
            # and a class out of use are no votes.
            """
            CREATE VIEW consensus AS
            SELECT image_id, annotator, seq, settled, class_id, votes, people,
                   row_number() OVER (
                       PARTITION BY image_id ORDER BY settled DESC, by_crowdlab DESC, votes DESC, seq DESC
                   ) = 1 AS counts
            FROM (
                SELECT l.image_id, l.annotator, l.seq, t.id AS class_id,
                       l.mode = 'settle' OR (
                           l.mode IN ('review', 'bulk') AND l.seq > min(l.seq) OVER (PARTITION BY l.image_id)
                       ) AS settled,
                       coalesce(
                           l.kind = 'label' AND t.id = c.class_id
                           AND c.last_seq >= max(l.seq) OVER (PARTITION BY l.image_id), FALSE
                       ) AS by_crowdlab,
                       CASE WHEN l.kind = 'label' AND t.retired_at IS NULL
                            THEN count(*) OVER (PARTITION BY l.image_id, t.id) ELSE 0 END AS votes,
                       count(*) OVER (PARTITION BY l.image_id) AS people
                FROM (
                    SELECT * FROM standing_answers
                    WHERE kind IN ('label', 'skip') AND image_id IN (SELECT image_id FROM shared_images)
                    QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1
                ) l
                LEFT JOIN classes k ON k.id = l.class_id LEFT JOIN classes t ON t.id = coalesce(k.merged_into, k.id)
                LEFT JOIN crowdlab_labels c ON c.image_id = l.image_id
            )
            """,
            """
            CREATE OR REPLACE VIEW current_answers AS
            SELECT s.* FROM standing_answers s
            LEFT JOIN (SELECT image_id, seq FROM consensus WHERE counts) w ON w.image_id = s.image_id
            WHERE s.kind IN ('label', 'skip') AND (w.seq IS NULL OR w.seq = s.seq)
            QUALIFY row_number() OVER (PARTITION BY s.image_id ORDER BY s.seq DESC) = 1
            """,
        ),
    ),
    Migration(
        "the history of the classes",
        (
            # ``changes`` is JSON: class id -> column -> [before, after]. What a list was at some event is the list of
            # now with every later change taken back. Projects that had classes before begin with what they are now:
            # what was changed earlier is not known, and nobody is told otherwise.
            """
            CREATE TABLE class_events (
                seq INTEGER NOT NULL, kind TEXT NOT NULL, author TEXT NOT NULL, happened_at TIMESTAMP NOT NULL,
                changes TEXT NOT NULL, undoes INTEGER, details TEXT NOT NULL
            )
            """,
            """
            INSERT INTO class_events
            SELECT 1, 'start', '', make_timestamp(epoch_us(now())), '{}', NULL, '{}'
            WHERE EXISTS (SELECT 1 FROM classes)
            """,
            "ALTER TABLE classes ADD COLUMN description TEXT DEFAULT ''",
            "ALTER TABLE classes ADD COLUMN examples TEXT DEFAULT ''",
            # Rounds from before the history have none.
            "ALTER TABLE rounds ADD COLUMN class_seq INTEGER DEFAULT 0",
        ),
    ),
)
