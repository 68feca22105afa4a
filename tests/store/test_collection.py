"""What is remembered of the collection is as new as the file, whoever changed it, and is read anew only then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, ImageStatus
from tidal_core.store import Store
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.collection import Collection
from tidal_core.store.where import FIELDS, STATES, parse

NOBODY = np.empty(0, np.int64)


@pytest.fixture
def project() -> Iterator[Project]:
    made = make("collection", Size(labelled=12, pool=12, test=6, rounds=2, epochs=3, classes=3))
    yield made
    made.close()


def answered(store: Store) -> None:
    store.answers.record([Answer("new", AnswerKind.LABEL, 20, class_id=1, annotator="carl")])


def taken_back(store: Store) -> None:
    store.answers.record([Answer("undo", AnswerKind.UNDO, 3, undoes="made-up-2")])


def flagged(store: Store) -> None:
    store.answers.record([Answer("flag", AnswerKind.FLAG, 5)])


def excluded(store: Store) -> None:
    store.acts.perform(Act(ActKind.EXCLUDE), lambda: np.array([7]), NOBODY)


def hidden(store: Store) -> None:
    store.images.set_status([8], ImageStatus.HIDDEN)


def one_hidden_for_another(store: Store) -> None:
    store.images.set_status([8], ImageStatus.HIDDEN)
    store.collection.counts(parse("", []))
    store.images.set_status([8], ImageStatus.READY)
    store.images.set_status([9], ImageStatus.HIDDEN)


def moved(store: Store) -> None:
    store.images.set_places([(4, "digits:900", "elsewhere/four.png")])


def known_otherwise(store: Store) -> None:
    store.images.set_known_classes({28: 2, 29: 2, 30: 1})


def merged(store: Store) -> None:
    store.classes.merge(2, 1)


def another_round_is_the_newest(store: Store) -> None:
    with store.database.write() as cursor:
        cursor.execute("UPDATE rounds SET state = 'failed' WHERE id = 2")


CHANGES = (
    answered, taken_back, flagged, excluded, hidden, one_hidden_for_another, moved, known_otherwise, merged,
    another_round_is_the_newest,
)  # fmt: skip


def everything(collection: Collection, store: Store) -> list[object]:
    """All that can be asked: each state, order, count and class."""
    classes = store.classes.all()
    told: list[object] = [collection.counts(parse("", classes))]
    told += [collection.ids(parse(state, classes)).tolist() for state in STATES]
    told += [collection.ids(parse("", classes), sort=name).tolist() for name in FIELDS]
    told += [column.tolist() for column in collection.chosen(parse("name~four or id>0", classes))]
    return told


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_remembered_is_as_new_as_the_file(project: Project, change: Callable[[Store], None]) -> None:
    store = project.store
    before, version = everything(store.collection, store), store.collection.now().version

    change(store)

    now = everything(store.collection, store)
    assert now == everything(Collection(store.database), store)
    assert store.collection.now().version != version
    assert now != before


def test_what_says_nothing_of_images_leaves_what_is_remembered(project: Project) -> None:
    store = project.store
    before = store.collection.now().version
    known = store.collection.now().facts

    store.queue.lease("a tab", 2, 30.0, set())
    store.settings.set("note", "1")

    assert store.collection.now().version == before
    assert store.collection.now().facts is known


def test_a_moment_stays_as_it_was(project: Project) -> None:
    store = project.store
    moment = store.collection.now()
    labelled = parse("labelled", [])
    n = moment.count(labelled)

    answered(store)

    assert (moment.count(labelled), store.collection.count(labelled)) == (n, n + 1)
    assert moment.seq < store.collection.now().seq
