"""Faults of ``store``: what is kept and what is read of it."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "store/answers.py",
        "store/test_answers.py labelling/test_desk.py labelling/test_bulk.py rounds/test_audit.py",
        ("an id used again is stored again", "if before is not None:", "if False:"),
        ("other content under an id accepted", "if _answer(before[1:]) in (answer, sent):", "if True:"),
        (
            "an answered image stays in the queue",
            'cursor.execute("DELETE FROM queue WHERE image_id = ?", [answer.image_id])',
            "pass",
        ),
        (
            "labels of test images trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.status <> 'excluded' AND c.retired_at IS NULL",
        ),
        (
            "labels of retired classes trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.split = 'pool' AND i.status <> 'excluded'",
        ),
        (
            "labels of excluded images trained on",
            "WHERE i.split = 'pool' AND i.status <> 'excluded' AND c.retired_at IS NULL",
            "WHERE i.split = 'pool' AND c.retired_at IS NULL",
        ),
        (
            "an undo of another image",
            "if row is None or row[0] != answer.image_id or row[1] in _OF_ACTS:",
            "if row is None or row[1] in _OF_ACTS:",
        ),
        (
            "an undo keeps the purpose it was sent with",
            "return replace(answer, purpose=Purpose(row[0]) if row and row[0] else None)",
            "return answer",
        ),
        (
            "what was undone was never audited",
            "WHERE purpose = ? AND kind <> 'undo' ORDER BY image_id",
            "WHERE purpose = ? AND kind <> 'undo' AND image_id IN (SELECT image_id FROM current_answers) ORDER BY image_id",  # noqa: E501
        ),
        (
            "hidden images are left",
            "left, hidden = unanswered[True, True], unanswered[True, False]",
            "left, hidden = unanswered[True, True] + unanswered[True, False], 0",
        ),
    ),
    *in_module(
        "store/queue.py",
        "labelling/test_desk.py store/test_database.py",
        (
            "a tab takes over a lease that runs",
            '(holder IS NULL OR lease_until < ?))\n                """,\n                [holder, now + timedelta(seconds=seconds), holder, [int(i) for i in image_ids], now]',  # noqa: E501
            '(holder IS NULL OR lease_until > ?))\n                """,\n                [holder, now + timedelta(seconds=seconds), holder, [int(i) for i in image_ids], now]',  # noqa: E501
        ),
        (
            "two tabs get one image",
            "WHERE (holder IS NULL OR holder = ? OR lease_until < ? OR lease_until > ?)",
            "WHERE (TRUE OR holder = ? OR lease_until < ? OR lease_until > ?)",
        ),
        ("a new ranking drops the leases", "for holder in {row[5] for row in held}:", "for holder in set():"),
        ("the last first", "ORDER BY position LIMIT ?", "ORDER BY position DESC LIMIT ?"),
        (
            "an undone image asked last",
            "SELECT coalesce(min(position), 0) - 1 FROM queue",
            "SELECT coalesce(max(position), 0) + 1 FROM queue",
        ),
        (
            "what is on screen given up",
            '"WHERE holder = ? AND image_id NOT IN (SELECT unnest(?::INTEGER[]))"',
            '"WHERE holder = ? AND (TRUE OR image_id NOT IN (SELECT unnest(?::INTEGER[])))"',
        ),
    ),
    *in_module(
        "store/rounds.py",
        "store/test_rounds.py rounds/test_run.py",
        ("two rounds at once", "if active is not None:", "if False:"),
        ("moved from a state it has left", "if row[0] != before.value:", "if False:"),
        (
            "epochs kept that come again",
            "DELETE FROM epochs WHERE round_id = ? AND epoch > ?",
            "DELETE FROM epochs WHERE round_id = ? AND epoch > ? + 1",
        ),
        (
            "curves kept that come again",
            "DELETE FROM curves WHERE round_id = ? AND epoch > ?",
            "DELETE FROM curves WHERE round_id = ? AND epoch > ? + 1",
        ),
    ),
    *in_module(
        "store/curves.py",
        "store/test_rounds.py",
        (
            "positions for class ids",
            "class_order[np.maximum(curves.class_index, 0)]",
            "np.maximum(curves.class_index, 0)",
        ),
        (
            "epochs in any order",
            "WHERE round_id = ? AND image_id = ? ORDER BY epoch",
            "WHERE round_id = ? AND image_id = ? ORDER BY -epoch",
        ),
    ),
    *in_module(
        "store/scores.py",
        "store/test_rounds.py labelling/test_desk.py rounds/test_calibrated.py",
        (
            "scores added to those of before",
            'cursor.execute("DELETE FROM scores WHERE round_id = ? AND part = ?", [round_id, part])',
            "pass",
        ),
        ("a sheet shows what is answered", "AND s.image_id NOT IN (SELECT image_id FROM current_answers)", ""),
        (
            "the temperature multiplies",
            "[round_id, 1 / temperature, [int(i) for i in image_ids]]",
            "[round_id, temperature, [int(i) for i in image_ids]]",
        ),
        ("the least certain first", "ORDER BY p DESC, image_id\n", "ORDER BY p, image_id\n"),
    ),
    *in_module(
        "store/views.py",
        "store/test_views.py",
        ("the bands of the next class", "pa.array(places + 1, pa.int32())", "pa.array(places, pa.int32())"),
    ),
    *in_module(
        "store/predictions.py",
        "store/test_predictions.py store/test_views.py rounds/test_calibrated.py pages/test_measured.py",
        (
            "pool images among the changed counted twice",
            "now.part = 'pool' AND before.round_id = ? AND before.part = 'pool'",
            "before.round_id = ? AND before.part = 'pool'",
        ),
        ("known classes do not follow a merge", '"coalesce(k.merged_into, i.known_class)"', '"i.known_class"'),
        (
            "predictions do not follow a merge",
            '_PREDICTED = standing_class("s.predicted")',
            '_PREDICTED = "s.predicted"',
        ),
        ("audit labels among the chosen", "AND coalesce(l.purpose, '') <> 'audit'", ""),
    ),
    *in_module(
        "store/classes.py",
        "store/test_classes.py",
        (
            "the merge of a merge stays",
            "for record in known if record.merged_into == class_id]",
            "for record in known if record.id == 0]",
        ),
        ("a class merged into itself", "if source.id == target.id:", "if False:"),
        ("merged into one out of use", "if not target.is_in_use:", "if False:"),
        ("a key twice", "if key and key in {record.key for record in in_use}:", "if False:"),
        ("an edit of what others changed", "if before != after:", "if False:"),
    ),
    *in_module(
        "store/images.py",
        "store/test_database.py rounds/test_audit.py images/test_ingest.py",
        (
            "rows of another order",
            "return [images_by_id[i] for i in wanted if i in images_by_id]",
            "return list(images_by_id.values())",
        ),
    ),
    *in_module(
        "store/migrations.py",
        "store/test_consensus.py",
        (
            "settled labels are votes like others",
            "ORDER BY settled DESC, by_crowdlab DESC",
            "ORDER BY by_crowdlab DESC",
        ),
        ("the oldest wins a tie", "by_crowdlab DESC, votes DESC, seq DESC", "by_crowdlab DESC, votes DESC, seq ASC"),
        ("a skip is a vote", "CASE WHEN l.kind = 'label' AND t.retired_at IS NULL", "CASE WHEN TRUE"),
        (
            "merged classes are counted apart",
            "OVER (PARTITION BY l.image_id, t.id)",
            "OVER (PARTITION BY l.image_id, k.id)",
        ),
        (
            "everything that a person said is a vote",
            "QUALIFY row_number() OVER (PARTITION BY image_id, annotator ORDER BY seq DESC) = 1",
            "",
        ),
    ),
    *in_module(
        "store/people.py",
        "labelling/test_people.py",
        (
            "settlements are agreement",
            """_IN_SIGHT = "('settle', 'review', 'bulk')\"""",
            """_IN_SIGHT = "('bulk', 'bulk')\"""",
        ),
        ("settled images are open", " AND NOT bool_or(settled)", ""),
    ),
]
