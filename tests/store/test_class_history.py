"""The history of the classes: authors, old projects, and rounds that keep the names they were made with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidal_core.errors import InputError, NotFound
from tidal_core.records import RoundRecord, RoundState
from tidal_core.store import Store
from tidal_core.store.class_words import event_in_words
from tidal_core.store.database import Database
from tidal_core.store.migrations import MIGRATIONS


def a_round(store: Store) -> RoundRecord:
    record = store.rounds.create(
        config="{}", strategy="random", class_ids=[each.id for each in store.classes.all()], last_seq=0,
        started_by="person", image_ids=np.array([1]), image_class_ids=np.array([1]),
    )  # fmt: skip
    return store.rounds.move(record.id, RoundState.WAITING, RoundState.CANCELLED)


def told(store: Store) -> list[str]:
    events = store.classes.history()
    names = {record.id: record.name for record in store.classes.all(include_retired=True)}
    return [f"{event.author}: {event_in_words(event, names, events)}" for event in events]


def test_a_round_is_told_in_its_own_names_and_what_became_of_them(store: Store) -> None:
    first = a_round(store)
    assert store.classes.names_told(first) == ""
    store.classes.change(1, name="puma", author="ana")
    store.classes.merge(2, into=3, author="ben")
    store.classes.change(3, colour="#123456", description="hoots")
    second = a_round(store)
    store.classes.add(["fox"])
    store.classes.arrange([4, 3, 1], keep_looks=True)

    assert store.classes.names_told(store.rounds.get(1)) == (
        "Classes are named as in round 1: 'cat' is 'puma' now; 'dog' counts as 'owl' now; 'fox' has come since; "
        "one class has another colour now; their order is another one now."
    )
    assert store.classes.names_told(second) == (
        "Classes are named as in round 2: 'fox' has come since; their order is another one now."
    )
    then, now = store.classes.then_and_now(first)
    assert [then[class_id].name for class_id in first.class_ids] == ["cat", "dog", "owl"]
    assert (then[3].colour, then[3].description, now[3].description) != ("#123456", "", "hoots")
    store.classes.retire(1)
    assert "'cat' is no longer in use" in store.classes.names_told(first)


def test_every_change_is_told_with_its_author_and_an_undo_names_what_it_undid(store: Store) -> None:
    store.classes.change(1, name="puma", key="p", author="ana")
    store.classes.change(2, examples=[3, 4], author="ben")
    store.classes.retire(3, author="ana")
    store.classes.bring_back(3, author="ben")
    store.classes.merge(1, into=2, author="ana")
    store.classes.undo(6, author="ben")
    store.classes.change(1, name="puma", author="ana")

    assert told(store) == [
        "me: Added the classes 'cat', 'dog', 'owl'",
        "ana: 'cat': renamed it 'puma', gave it the key 'p'",
        "ben: 'dog': chose 2 example images",
        "ana: Retired the class 'owl'",
        "ben: Brought back the class 'owl'",
        "ana: Merged 'puma' into 'dog'",
        "ben: Undid “Merged 'puma' into 'dog'”",
    ], "what changes nothing is no event"


def test_an_undo_brings_the_key_back_where_it_is_free_and_refuses_in_words_where_something_is_in_the_way(
    store: Store,
) -> None:
    store.classes.retire(1)
    store.classes.change(2, key="1")
    store.classes.undo(2)
    assert store.classes.get(1).key == "c"

    store.classes.change(3, key="x")
    store.classes.change(3, key="")
    store.classes.change(2, key="x")
    with pytest.raises(InputError, match="Two classes would be answered by the key 'x' then"):
        store.classes.undo(6)
    with pytest.raises(InputError, match="came later and stands in the way: undo that one first"):
        store.classes.undo(5)
    with pytest.raises(NotFound, match="no change 99"):
        store.classes.undo(99)
    store.classes.undo(7)
    store.classes.undo(6)
    assert store.classes.get(3).key == "x"
    with pytest.raises(InputError, match="undone already"):
        store.classes.undo(6)

    (fox,) = store.classes.add(["fox"])
    store.classes.undo(len(store.classes.history()))
    assert fox.id not in {record.id for record in store.classes.all()}
    store.classes.undo(len(store.classes.history()))
    assert store.classes.get(fox.id).is_in_use, "an undo is undone"


def test_a_project_from_before_the_history_begins_one_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    before = [step.name for step in MIGRATIONS].index("the history of the classes")
    old = Database(path, MIGRATIONS[:before])
    with old.write() as cursor:
        cursor.execute(
            "INSERT INTO classes (id, name, key, colour, position) VALUES (1, 'cat', 'c', '#105bc3', 0), "
            "(2, 'dog', 'd', '#bfac06', 1)"
        )
        cursor.execute(
            "INSERT INTO rounds (id, state, config, strategy, class_ids, last_seq, labels, started_by, created_at) "
            "VALUES (1, 'done', '{}', 'random', '1,2', 0, 0, 'person', now()::TIMESTAMP)"
        )
    old.close()

    with Store(path) as store:
        record = store.rounds.get(1)
        assert store.classes.names_told(record) == ""
        assert told(store) == [": The history of the classes begins; what was changed earlier is not known"]
        with pytest.raises(InputError, match="nothing to undo"):
            store.classes.undo(1)
        store.classes.change(1, name="puma")
        assert store.classes.names_told(record) == (
            "Classes are named as in round 1, as far as is known (it is older than the history of the classes): "
            "'cat' is 'puma' now."
        )
    with Store(path) as again:
        assert len(again.classes.history()) == 2


def test_a_new_project_begins_its_history_with_its_first_classes(tmp_path: Path) -> None:
    with Store(tmp_path / "p.duckdb") as store:
        assert store.classes.history() == []
        store.classes.add(["cat"])
        assert [event.seq for event in store.classes.history()] == [1]


def test_a_new_class_gets_a_colour_that_no_other_has_while_one_is_free(store: Store) -> None:
    store.classes.retire(1)
    new = store.classes.add([f"kind {number}" for number in range(9)])
    colours = [record.colour for record in store.classes.all()]
    assert len(set(colours[:10])) == 10
    assert new[-1].colour in colours[:10]
