"""What a class is: chosen examples first, then the most typical ones, and words that say which; and a new pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.finished import finish_round
from tests.helpers.tiny import tiny_project
from tests.store.samples import label
from tidal_core.errors import InputError, NotFound
from tidal_core.labelling.about_class import about_class, choose_example
from tidal_core.labelling.splitting import split_off, undo_change
from tidal_core.projects import Project
from tidal_core.store.class_rules import MOST_EXAMPLES


@pytest.fixture
def project() -> Iterator[Project]:
    made = tiny_project(40, test=0)
    yield made
    made.close()


def test_examples_that_a_person_chose_come_first_and_the_page_says_which_they_are(project: Project) -> None:
    assert about_class(project, 1).how == "No image has this label yet."
    project.store.answers.record([label("e1", 7, 1), label("e2", 3, 1), label("e3", 5, 2)])
    first = about_class(project, 1)
    assert [image.id for image in first.images] == [7, 3]
    assert first.how == "The first ones that were labelled."

    choose_example(project, 1, 5, True, author="ana")
    choose_example(project, 1, 3, True, author="ana")
    chosen = about_class(project, 1)
    assert [image.id for image in chosen.images] == [5, 3]
    assert chosen.how == "Chosen by people as examples."
    choose_example(project, 1, 5, False)
    assert [image.id for image in about_class(project, 1).images] == [3]
    undo_change(project.store, project.store.classes.history()[-1].seq)
    assert [image.id for image in about_class(project, 1).images] == [5, 3]

    for number in range(10, 10 + MOST_EXAMPLES - 2):
        choose_example(project, 1, number, True)
    with pytest.raises(InputError, match="shows 8 images already"):
        choose_example(project, 1, 39, True)
    with pytest.raises(NotFound):
        choose_example(project, 1, 4_000, True)


def test_after_a_round_the_images_the_model_was_surest_of_are_the_typical_ones(project: Project) -> None:
    round_id = finish_round(project)
    trained = project.store.rounds.images(round_id)
    ids = [int(i) for i, c in zip(*trained, strict=True) if c == 1]
    with project.store.database.write() as cursor:
        for image_id in ids:  # as a round leaves them: p of the label, on average
            cursor.execute("UPDATE round_images SET confidence = ? WHERE image_id = ?", [image_id / 100, image_id])

    about = about_class(project, 1)

    assert [image.id for image in about.images] == sorted(ids, reverse=True)
    assert (
        about.how == f"The most typical ones: of these labels the model was surest while it trained (round {round_id})."
    )


def test_a_class_is_split_by_a_condition_and_what_was_answered_since_stays(project: Project) -> None:
    store = project.store
    store.answers.record([label(f"e{number}", number, 1 + number % 2) for number in range(1, 9)])
    with pytest.raises(InputError, match="No image of the class 'red' is like that"):
        split_off(store, 1, "name = nothing", author="ana")
    assert store.classes.history()[-1].kind == "add"

    split = split_off(store, 1, "id < 6", author="ana")

    assert split.images == 2
    assert store.answers.counts_by_class() == {1: 2, 2: 4}
    assert {item.image_id for item in store.queue.items()[:2]} == {2, 4}
    (pink,) = store.classes.add(["pink"])
    store.answers.record([label("again", 2, pink.id)])

    undo_change(store, split.seq, author="ben")

    assert store.answers.counts_by_class() == {1: 3, 2: 4, pink.id: 1}, "image 2 was answered since"
    with pytest.raises(InputError, match="undone already"):
        undo_change(store, split.seq)
    with pytest.raises(InputError, match="split the class once more"):
        undo_change(store, store.classes.history()[-1].seq)
