"""Answers are stored once, in order, and never rewritten."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.samples import image, label, undo
from tidal_core.records import Answer, AnswerKind, ImageStatus, Purpose, QueueItem, Split
from tidal_core.store import Store
from tidal_core.store.answers import ImportedLabels

EVENT = st.tuples(st.integers(1, 4), st.sampled_from(["label", "skip", "undo"]), st.integers(1, 3))


def test_an_answer_is_acknowledged_with_its_place_in_the_order(store: Store) -> None:
    outcomes = store.answers.record([label("a", 1), label("b", 2)])
    assert [(o.seq, o.new) for o in outcomes] == [(1, True), (2, True)]


def test_the_same_event_sent_again_is_acknowledged_and_not_stored_again(store: Store) -> None:
    store.answers.record([label("a", 1)])
    (again,) = store.answers.record([label("a", 1)])
    assert (again.seq, again.new, again.refused) == (1, False, None)
    assert store.answers.count() == 1


def test_a_used_id_with_other_content_is_refused_and_the_first_stands(store: Store) -> None:
    store.answers.record([label("a", 1, class_id=1)])
    (other,) = store.answers.record([label("a", 1, class_id=2)])
    assert other.refused is not None
    assert "first one is kept" in other.refused
    assert store.answers.labels().class_ids.tolist() == [1]


def test_one_refused_event_does_not_stop_the_others(store: Store) -> None:
    outcomes = store.answers.record([label("a", 99), label("b", 1, class_id=7), label("c", 2)])
    assert [o.refused is not None for o in outcomes] == [True, True, False]
    assert [o.seq for o in outcomes] == [None, None, 1]


def test_an_undo_takes_the_label_back_and_an_older_one_stands_again(store: Store) -> None:
    store.answers.record([label("a", 1, 1), label("b", 1, 2), undo("u", "b", 1)])
    assert store.answers.labels().class_ids.tolist() == [1]


def test_an_undo_of_another_images_answer_is_refused(store: Store) -> None:
    store.answers.record([label("a", 1)])
    (outcome,) = store.answers.record([undo("u", "a", 2)])
    assert outcome.refused is not None


def test_a_skip_after_a_label_takes_the_label_away(store: Store) -> None:
    store.answers.record([label("a", 1), Answer("b", AnswerKind.SKIP, 1, reason="unclear")])
    assert store.answers.labels().image_ids.tolist() == []


def test_what_images_were_asked_for_is_known_when_it_was_taken_back(store: Store) -> None:
    store.answers.record([label("a", 1), label("b", 10, purpose=Purpose.AUDIT), undo("u", "b", 10)])
    assert store.answers.images_asked_for(Purpose.AUDIT).tolist() == [10]
    assert store.answers.images_answered_otherwise(Purpose.AUDIT).tolist() == [1]
    assert store.answers.purposes([1, 10]) == {10: [Purpose.AUDIT]}


def test_an_undo_has_the_purpose_of_what_it_takes_back_and_may_be_sent_twice(store: Store) -> None:
    wrong = replace(undo("u", "a", 1), purpose=Purpose.QUERY)
    store.answers.record([label("a", 1, purpose=Purpose.AUDIT), wrong])
    assert store.answers.all()[1].answer.purpose is Purpose.AUDIT
    (again,) = store.answers.record([wrong])
    assert (again.seq, again.new, again.refused) == (2, False, None)


def test_a_merged_class_counts_as_the_one_it_went_into(store: Store) -> None:
    store.answers.record([label("a", 1, 1), label("b", 2, 2)])
    store.classes.merge(2, into=1)
    assert store.answers.counts_by_class() == {1: 2}


def test_an_answered_image_leaves_the_queue(store: Store) -> None:
    store.queue.replace([QueueItem(0, 1, Purpose.SEED), QueueItem(1, 2, Purpose.SEED)])
    store.answers.record([label("a", 1)])
    assert [item.image_id for item in store.queue.items()] == [2]


def test_answers_are_there_after_the_file_is_opened_again(tmp_path: Path) -> None:
    with Store(tmp_path / "p.duckdb") as first:
        first.images.add([image(1)])
        first.classes.add(["cat"])
        first.answers.record([label("a", 1)])
    with Store(tmp_path / "p.duckdb") as second:
        assert [stored.answer for stored in second.answers.all()] == [label("a", 1)]


def test_imported_labels_stand_in_their_order_under_events_of_their_own(store: Store) -> None:
    store.answers.record([label("a", 1)])
    assert store.answers.import_labels(ImportedLabels([3, 2, 2], [1, 2, 1], ["eve", "eve", "bob"])) == 3
    assert store.answers.import_labels(ImportedLabels([4], [1], ["eve"])) == 1
    stored = store.answers.all()
    assert [one.seq for one in stored] == [1, 2, 3, 4, 5]
    assert [(one.answer.image_id, one.answer.class_id, one.answer.annotator) for one in stored[1:]] == [
        (3, 1, "eve"),
        (2, 2, "eve"),
        (2, 1, "bob"),
        (4, 1, "eve"),
    ]
    assert len({one.answer.event_id for one in stored}) == 5
    assert store.answers.labels().class_ids.tolist() == [1, 1, 1, 1]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["label", "skip", "undo"]), st.integers(1, 3)), max_size=12)
)
def test_the_current_label_is_the_last_standing_answer(events: list[tuple[int, str, int]]) -> None:
    standing: dict[int, list[tuple[str, int | None]]] = {}
    with Store(Path(":memory:")) as store:
        store.images.add([image(i) for i in range(1, 5)])
        store.classes.add(["cat", "dog", "owl"])
        for number, (image_id, kind, class_id) in enumerate(events):
            event = f"e{number}"
            stack = standing.setdefault(image_id, [])
            if kind == "undo":
                if stack:
                    store.answers.record([undo(event, stack.pop()[0], image_id)])
            elif kind == "skip":
                store.answers.record([Answer(event, AnswerKind.SKIP, image_id, reason="unclear")])
                stack.append((event, None))
            else:
                store.answers.record([label(event, image_id, class_id)])
                stack.append((event, class_id))
        labels = store.answers.labels()
        expected = {i: stack[-1][1] for i, stack in standing.items() if stack and stack[-1][1] is not None}
        assert dict(zip(labels.image_ids.tolist(), labels.class_ids.tolist(), strict=True)) == expected


def test_labels_to_train_on_are_of_the_pool_and_of_classes_in_use(store: Store) -> None:
    store.images.add([image(11, split=Split.TEST), image(12)])
    store.answers.record([label("a", 1, 1), label("b", 2, 2), label("c", 11, 1), label("d", 12, 3)])
    store.classes.retire(3)

    assert store.answers.labels().image_ids.tolist() == [1, 2]
    assert store.answers.census(0).trainable == {1: 1, 2: 1}
    assert store.answers.census(1).new == 1


def test_images_are_counted_once_each_and_hidden_ones_are_not_left(store: Store) -> None:
    store.images.set_status([9, 10], ImageStatus.HIDDEN)
    skip = Answer("s", AnswerKind.SKIP, 4)
    store.answers.record([label("a", 1), label("b", 2, 2), label("c", 2, 1), skip, label("d", 10)])

    tally = store.answers.tally()

    assert tally == (9, 3, 1, 5, 1)
    assert store.answers.census(0).by_class == store.answers.counts_by_class() == {1: 3}


def test_a_label_that_was_asked_for_the_audit_is_counted_and_not_trained_on(store: Store) -> None:
    store.answers.record([label("a", 1, purpose=Purpose.AUDIT), label("b", 2)])

    census = store.answers.census(0)

    assert (census.by_class, census.trainable, census.new) == ({1: 2}, {1: 1}, 1)
