"""What the model's accepted classes are, and what they are not: people's labels."""

from pathlib import Path

import numpy as np
import pytest

from tests.store.samples import image, label
from tidal_core.errors import InputError, NotFound
from tidal_core.records import Answer, AnswerKind, Purpose, QueueItem, Split
from tidal_core.store import Store
from tidal_core.store.acts import Act, ActKind


def take(store: Store, *pairs: tuple[int, int]) -> str:
    """Accept classes for images."""
    image_ids, class_ids = np.array(pairs, dtype=np.int64).T
    p = np.full(len(pairs), 0.99)
    return store.model_answers.take(image_ids, class_ids, p, round_id=1, note="95 %", annotator="ann")[0]


def test_they_are_no_labels_and_count_as_none(store: Store) -> None:
    take(store, (1, 1), (2, 2))

    assert store.model_answers.images().tolist() == [1, 2]
    assert store.model_answers.counts_by_class() == {1: 1, 2: 1}
    assert not len(store.answers.labels().image_ids)
    assert not len(store.answers.answered_images())
    assert store.answers.tally().labelled == 0


@pytest.mark.parametrize("kind", [AnswerKind.LABEL, AnswerKind.SKIP])
@pytest.mark.parametrize("before", [True, False])
def test_what_a_person_says_stands_above_them(store: Store, kind: AnswerKind, before: bool) -> None:
    answer = Answer("a", kind, 1, class_id=2 if kind is AnswerKind.LABEL else None)
    if before:
        store.answers.record([answer])
    take(store, (1, 1), (2, 1))
    if not before:
        store.answers.record([answer])

    assert store.model_answers.images().tolist() == [2]
    assert (store.answers.current(1) or pytest.fail("no answer")).answer.kind is kind


def test_an_act_is_undone_as_one_and_others_stand(store: Store) -> None:
    first, second = take(store, (1, 1), (2, 1)), take(store, (2, 2), (3, 2))

    assert [act.act_id for act in store.model_answers.acts()] == [second, first]
    assert store.model_answers.undo(second, annotator="ann") == 2

    assert store.model_answers.images().tolist() == [1, 2]  # the older class of image 2 stands again
    assert store.model_answers.counts_by_class() == {1: 2}
    with pytest.raises(NotFound, match="reload"):
        store.model_answers.undo(second, annotator="ann")
    with pytest.raises(InputError, match="Finish"):
        store.model_answers.undo("%", annotator="ann")


def test_only_images_that_are_asked_get_one_and_they_leave_the_queue(store: Store) -> None:
    store.images.add([image(11, split=Split.TEST)])
    store.queue.append([QueueItem(0, 1, Purpose.QUERY), QueueItem(1, 2, Purpose.QUERY)])

    take(store, (1, 1), (11, 1))

    assert store.model_answers.images().tolist() == [1]
    assert [item.image_id for item in store.queue.items()] == [2]


def test_a_merged_class_takes_them_along_and_a_retired_one_ends_them(store: Store) -> None:
    take(store, (1, 1), (2, 2), (3, 2))
    store.classes.merge(1, into=2)
    assert store.model_answers.counts_by_class() == {2: 3}
    store.classes.retire(2)
    assert store.model_answers.counts_by_class() == {}


def test_an_excluded_image_is_not_counted(store: Store) -> None:
    take(store, (1, 1), (2, 1))
    store.acts.perform(Act(ActKind.EXCLUDE), lambda: np.array([1]), np.empty(0, np.int64))
    assert store.model_answers.counts_by_class() == {1: 1}


def test_they_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with Store(tmp_path / "p.duckdb") as store:
        store.images.add([image(1)])
        store.classes.add(["a"])
        take(store, (1, 1))
    with Store(tmp_path / "p.duckdb") as store:
        assert store.model_answers.images().tolist() == [1]
        store.answers.record([label("a", 1)])
        assert store.model_answers.acts()[0].images == 0
