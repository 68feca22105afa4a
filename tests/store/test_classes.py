"""Classes: names and keys that may be, and what holds when several threads change them at once."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.samples import image, label
from tidal_core.errors import InputError, NotFound
from tidal_core.images.importers.base import FoundClass, FoundImage
from tidal_core.images.labels import LabelBook
from tidal_core.records import Split
from tidal_core.store import Store
from tidal_core.store.class_rules import RESERVED_KEYS, checked_name
from tidal_core.store.classes import Classes
from tidal_core.store.database import Database
from tidal_core.store.migrations import MIGRATIONS


def at_once(*tasks: Callable[[], object]) -> list[BaseException]:
    """Run tasks in threads that begin together; what they raised."""
    gate, raised = threading.Barrier(len(tasks)), list[BaseException]()

    def run(task: Callable[[], object]) -> None:
        gate.wait()
        try:
            task()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def names(store: Store) -> list[str]:
    return [record.name for record in store.classes.all()]


def test_digit_classes_get_their_own_digit_as_key(store: Store) -> None:
    added = store.classes.add(["0", "7"])
    assert [record.key for record in added] == ["0", "7"]


def test_a_name_in_use_is_returned_and_not_added_again(store: Store) -> None:
    assert [record.id for record in store.classes.add(["dog", " owl ", "crow", "dog"])] == [2, 3, 4, 2]
    assert names(store) == ["cat", "dog", "owl", "crow"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "\n\t",
        "x" * 5_000,
        "bell\a",
        "nul\0",
        "half \ud800",
        "\u200b",
        "\u200d",
        "cat\u202e",
        "c\u00adat",
        "\u0301",
    ],
)
def test_a_name_that_cannot_be_one_is_refused_everywhere_and_nothing_is_kept(store: Store, name: str) -> None:
    with pytest.raises(InputError, match="class name") as added:
        store.classes.add(["crow", name])
    with pytest.raises(InputError, match="class name"):
        store.classes.change(1, name=name)

    assert len(str(added.value)) < 200
    assert names(store) == ["cat", "dog", "owl"]


def test_a_name_is_kept_with_single_blanks(store: Store) -> None:
    store.classes.change(1, name="  wild\n cat ")
    assert names(store) == ["wild cat", "dog", "owl"]


def test_the_name_of_a_class_out_of_use_is_refused_in_words(store: Store) -> None:
    store.classes.retire(2)
    store.classes.merge(3, into=1)

    with pytest.raises(InputError, match="'dog' belongs to this project but is no longer in use"):
        store.classes.add(["dog"])
    with pytest.raises(InputError, match="'owl' was merged into 'cat'"):
        store.classes.add(["owl"])
    (crow,) = store.classes.add(["crow"])
    with pytest.raises(InputError, match="no longer in use"):
        store.classes.change(crow.id, name="dog")
    with pytest.raises(InputError, match="was merged into 'cat'"):
        store.classes.change(crow.id, name="owl")
    assert store.classes.change(1, name="owl").name == "owl", "its own part may give it the name"


@pytest.mark.parametrize("key", ["A", "/", "ab", "u", "ü", " ", "٣", 5])
def test_a_key_that_cannot_be_one_is_refused(store: Store, key: object) -> None:
    with pytest.raises(InputError, match=r"key .* (cannot be used|is taken)"):
        store.classes.change(1, key=key)


def test_a_taken_key_is_refused_and_none_is_allowed(store: Store) -> None:
    with pytest.raises(InputError, match="is taken"):
        store.classes.change(1, key=store.classes.get(2).key)
    assert store.classes.change(1, key="").key == ""
    assert store.classes.change(1, key="").key == ""


@pytest.mark.parametrize(
    "values", [{"colour": "red"}, {"colour": "#12345"}, {"position": -1}, {"position": "1"}, {"position": 2**40}]
)
def test_a_colour_or_position_that_cannot_be_one_is_refused(store: Store, values: dict[str, object]) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        store.classes.change(1, **values)


@pytest.mark.parametrize(
    "ask",
    [
        lambda classes: classes.get(9),
        lambda classes: classes.change(9, name="x"),
        lambda classes: classes.arrange([1, 9]),
        lambda classes: classes.merge(9, into=1),
        lambda classes: classes.merge(1, into=9),
        lambda classes: classes.retire(9),
        lambda classes: classes.bring_back(9),
    ],
)  # fmt: skip
def test_an_unknown_class_is_refused(store: Store, ask: Callable[[object], object]) -> None:
    before = store.classes.all(include_retired=True)
    with pytest.raises(NotFound, match="no class 9"):
        ask(store.classes)
    assert store.classes.all(include_retired=True) == before


def test_two_threads_that_add_never_make_an_id_or_a_key_twice(store: Store) -> None:
    for trial in range(200):
        assert at_once(
            lambda trial=trial: store.classes.add([f"left {trial}", f"both {trial}"]),
            lambda trial=trial: store.classes.add([f"both {trial}", f"right {trial}"]),
        ) == []  # fmt: skip

    records = store.classes.all()
    assert [record.id for record in records] == list(range(1, 604))
    assert len({record.name for record in records}) == 603
    keys = [record.key for record in records if record.key]
    assert len(set(keys)) == len(keys)


def test_of_two_merges_into_each_other_one_stands(store: Store) -> None:
    for trial in range(50):
        left, right = store.classes.add([f"left {trial}", f"right {trial}"])
        raised = at_once(
            lambda left=left, right=right: store.classes.merge(left.id, right.id),
            lambda left=left, right=right: store.classes.merge(right.id, left.id),
        )
        assert len(raised) == 1
        assert isinstance(raised[0], InputError)
        assert len({f"left {trial}", f"right {trial}"} & set(names(store))) == 1


def test_a_class_is_merged_once(store: Store) -> None:
    store.classes.merge(1, into=2)
    with pytest.raises(InputError, match="'cat' is already merged into another one"):
        store.classes.merge(1, into=3)
    store.classes.merge(2, into=3)
    assert {record.merged_into for record in store.classes.all(include_retired=True)} == {3, None}


def test_a_class_is_not_merged_into_itself(store: Store) -> None:
    before = store.classes.all(include_retired=True)
    with pytest.raises(InputError, match="'cat' cannot be merged into itself"):
        store.classes.merge(1, into=1)
    assert store.classes.all(include_retired=True) == before


def test_classes_added_beside_an_import_with_labels_keep_every_label_with_its_class(store: Store) -> None:
    images = range(1, 11)

    def bring_labels() -> None:
        book = LabelBook(store)
        for image_id in images:
            item = FoundImage(f"{image_id}.jpg", f"/photos/{image_id}.jpg", label=f"kind {image_id}")
            book.add(image_id, item, as_known=False, is_new=False, is_again=False)
        book.finish()

    def add_by_hand() -> None:
        for number in range(40):
            store.classes.add([f"by hand {number}"])

    assert at_once(bring_labels, add_by_hand) == []

    records = {record.id: record.name for record in store.classes.all()}
    assert len(records) == 3 + 10 + 40
    labels = store.answers.labels()
    assert [records[class_id] for class_id in labels.class_ids.tolist()] == [f"kind {image_id}" for image_id in images]


def test_classes_of_a_source_beside_the_same_ones_by_hand_are_made_once(store: Store) -> None:
    kinds = [f"kind {number}" for number in range(30)]

    assert at_once(
        lambda: LabelBook(store).add_classes([FoundClass(kind) for kind in kinds]),
        lambda: [store.classes.add([kind]) for kind in reversed(kinds)],
    ) == []  # fmt: skip

    assert sorted(names(store)) == sorted(["cat", "dog", "owl", *kinds])


def test_labels_to_train_on_are_of_the_classes_that_come_with_them(store: Store) -> None:
    store.images.add([image(number) for number in range(11, 71)])
    added = store.classes.add([f"kind {number}" for number in range(60)])
    store.answers.record([label(f"e{number}", 11 + number, added[number].id) for number in range(60)])
    done = threading.Event()

    def merge_all() -> None:
        try:
            for record in added:
                store.classes.merge(record.id, into=1)
        finally:
            done.set()

    merging = threading.Thread(target=merge_all)
    merging.start()
    asked = 0
    while not done.is_set() or not asked:
        labels, classes = store.labels_and_classes()
        assert set(labels.class_ids.tolist()) <= {record.id for record in classes}
        asked += 1
    merging.join()
    assert set(store.labels_and_classes()[0].class_ids.tolist()) == {1}


def test_a_file_with_an_id_twice_is_mended_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    old = Database(path, MIGRATIONS[:1])
    with old.write() as cursor:
        for row in ("1, 'cat', 'c', 0", "2, 'dog', 'd', 1", "2, 'owl', 'o', 1", "2, 'dog', 'd', 2"):
            cursor.execute(
                "INSERT INTO classes (id, name, key, position, colour) "
                f"SELECT *, '#105bc3' FROM (VALUES ({row})) t(id, name, key, position)"
            )
    old.close()

    with Store(path) as store:
        records = store.classes.all(include_retired=True)
        assert sorted((record.name, record.merged_into or 0) for record in records) == [
            ("cat", 0), ("dog", 0), ("dog", 2), ("owl", 0),
        ]  # fmt: skip
        assert len({record.id for record in records}) == 4
        assert (store.classes.get(1).name, store.classes.get(2).name) == ("cat", "dog")
    with Store(path) as again:
        assert again.classes.all(include_retired=True) == records


def test_a_name_is_the_same_however_its_accents_are_written(store: Store) -> None:
    (composed,) = store.classes.add(["caf\u00e9"])
    assert store.classes.add(["cafe\u0301"]) == [composed]
    assert store.classes.add(["\U0001f469\u200d\U0001f33e", "\u2665\ufe0f"])[0].name == "\U0001f469\u200d\U0001f33e"


@pytest.mark.parametrize(
    "ask",
    [
        lambda classes: classes.change(2, key="x"),
        lambda classes: classes.change(3, name="tawny owl"),
        lambda classes: classes.retire(2),
        lambda classes: classes.retire(3),
        lambda classes: classes.merge(1, into=2),
        lambda classes: classes.merge(1, into=3),
    ],
)  # fmt: skip
def test_a_class_out_of_use_is_changed_no_more(store: Store, ask: Callable[[object], object]) -> None:
    store.classes.retire(2)
    store.classes.merge(3, into=1)
    before = store.classes.all(include_retired=True)
    with pytest.raises(InputError, match=r"(no longer in use|merged)"):
        ask(store.classes)
    assert store.classes.all(include_retired=True) == before


def test_the_last_class_stays_in_use(store: Store) -> None:
    store.classes.retire(2)
    store.classes.merge(3, into=1)
    with pytest.raises(InputError, match="'cat' is the last one in use and stays"):
        store.classes.retire(1)
    assert names(store) == ["cat"]


def test_a_class_is_named_once_in_an_order_and_keeps_its_place_when_it_is_out_of_use(store: Store) -> None:
    with pytest.raises(InputError, match="'dog' is named twice"):
        store.classes.arrange([2, 1, 2])
    store.classes.merge(2, into=1)
    store.classes.arrange([3, 2, 1])
    assert [(record.id, record.position) for record in store.classes.all(include_retired=True)] == [
        (3, 0), (2, 1), (1, 2),
    ]  # fmt: skip


def test_a_label_of_a_class_that_went_out_of_use_with_another_is_refused(store: Store) -> None:
    store.classes.merge(1, into=2)
    store.classes.retire(2)
    (outcome,) = store.answers.record([label("e1", 1, class_id=1)])
    assert outcome.refused == "The class 'dog' is no longer in use; choose another one."


def test_test_images_of_a_merged_class_are_of_the_one_it_was_merged_into(store: Store) -> None:
    store.images.add([image(11, known=1, split=Split.TEST), image(12, known=2, split=Split.TEST)])
    store.classes.merge(1, into=3)
    assert [part.tolist() for part in store.images.test_set()] == [[11, 12], [3, 2]]


def test_an_edit_of_what_others_have_changed_is_refused(store: Store) -> None:
    cat, dog, _ = store.classes.all()
    store.classes.change(1, name="lion", shown=cat)
    with pytest.raises(InputError, match="name of the class 'cat' was changed from 'cat' to 'lion' meanwhile"):
        store.classes.change(1, name="tiger", shown=cat)
    with pytest.raises(InputError, match="meanwhile"):
        store.classes.merge(2, into=1, shown=(dog, cat))
    assert store.classes.change(1, key="x", shown=cat).key == "x", "the key is as it was shown"


def test_a_merge_that_is_undone_leaves_every_label_with_the_class_it_was_given_as(store: Store) -> None:
    store.answers.record([label("e1", 1, class_id=1), label("e2", 2, class_id=2)])
    store.classes.merge(1, into=2)
    store.answers.record([label("e3", 3, class_id=2)])
    assert store.answers.counts_by_class() == {2: 3}

    assert store.classes.bring_back(1).key == "1"

    assert store.answers.counts_by_class() == {1: 1, 2: 2}
    assert names(store) == ["cat", "dog", "owl"]


def test_a_class_comes_back_with_those_that_were_merged_into_it_before(store: Store) -> None:
    store.classes.merge(1, into=2)
    store.classes.merge(2, into=3)

    store.classes.bring_back(2)

    assert [record.merged_into for record in store.classes.all(include_retired=True)] == [2, None, None]
    store.classes.bring_back(1)
    assert names(store) == ["cat", "dog", "owl"]


def test_a_retired_class_comes_back_with_another_key_where_its_own_is_taken(store: Store) -> None:
    store.classes.retire(1)
    store.classes.change(2, key="1")

    assert store.classes.bring_back(1).key == "c"
    with pytest.raises(InputError, match="'cat' is in use already"):
        store.classes.bring_back(1)


def test_a_class_whose_name_another_has_by_now_does_not_come_back(store: Store) -> None:
    store.classes.merge(3, into=1)
    store.classes.change(1, name="owl")
    with pytest.raises(InputError, match="Another class is called 'owl' by now"):
        store.classes.bring_back(3)


def test_an_order_by_hand_keeps_keys_and_colours(store: Store) -> None:
    before = {record.id: (record.key, record.colour) for record in store.classes.all()}
    store.classes.arrange([3, 1, 2], keep_looks=True)
    assert [record.id for record in store.classes.all()] == [3, 1, 2]
    assert {record.id: (record.key, record.colour) for record in store.classes.all()} == before


NAMES = st.sampled_from(["cat", "dog", "owl", "Cat", " dog ", "crow", "", "\u200b", "x" * 201]) | st.text(max_size=3)
KEYS = st.sampled_from(["a", "A", "/", "ab", "u", "1", "", None]) | st.text(max_size=2)
IDS = st.integers(0, 7)
EDITS = st.one_of(
    st.builds(lambda names: lambda classes: classes.add(names), st.lists(NAMES, max_size=3)),
    st.builds(lambda i, name: lambda classes: classes.change(i, name=name), IDS, NAMES),
    st.builds(lambda i, key: lambda classes: classes.change(i, key=key), IDS, KEYS),
    st.builds(lambda i, j: lambda classes: classes.merge(i, into=j), IDS, IDS),
    st.builds(lambda i: lambda classes: classes.retire(i), IDS),
    st.builds(lambda i: lambda classes: classes.bring_back(i), IDS),
    st.builds(lambda ids: lambda classes: classes.arrange(ids), st.lists(IDS, max_size=4)),
)


def check_laws(store: Store) -> None:
    """What holds of the classes whatever was done to them, by one or by many at once."""
    records = store.classes.all(include_retired=True)
    in_use = store.classes.all()
    by_id = {record.id: record for record in records}
    assert len(by_id) == len(records)
    assert len({record.name for record in in_use}) == len(in_use) >= 1
    keys = [record.key for record in in_use if record.key]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 1 and key in "0123456789abcdefghijklmnopqrstuvwxyz" for key in keys)
    assert not set(keys) & RESERVED_KEYS
    assert len({record.position for record in records}) == len(records)
    for record in records:
        assert checked_name(record.name) == record.name
        if record.merged_into is not None:
            assert by_id[record.merged_into].merged_into is None, "never a chain"


def done(edit: Callable[[Classes], object], store: Store) -> None:
    """Do it, or be refused in words."""
    with suppress(InputError, NotFound):
        edit(store.classes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDITS, max_size=25))
def test_whatever_is_done_to_classes_leaves_them_whole(store: Store, edits: list[Callable[[Classes], object]]) -> None:
    for edit in edits:  # on what the example before has left
        done(edit, store)
        check_laws(store)


def test_whatever_many_do_at_once_leaves_classes_whole(store: Store) -> None:
    def many(seed: int) -> None:
        rng = random.Random(seed)
        for number in range(40):
            one, other, third = (rng.randrange(1, 12) for _ in range(3))
            edits: list[Callable[[Classes], object]] = [
                partial(Classes.add, names=[f"{seed} {number}", f"both {number}"]),
                partial(Classes.change, class_id=one, name=f"both {number}"),
                partial(Classes.change, class_id=one, key=rng.choice("abcxyz")),
                partial(Classes.merge, class_id=one, into=other),
                partial(Classes.retire, class_id=third),
                partial(Classes.bring_back, class_id=other),
                partial(Classes.arrange, class_ids=[one, other, third]),
            ]
            done(rng.choice(edits), store)

    assert at_once(*(lambda seed=seed: many(seed) for seed in range(4))) == []
    check_laws(store)
