"""Two people on one project: agreement, what is to be settled, what each may see, how each labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from tests.helpers.served import Served
from tidal_core.labelling import people
from tidal_core.labelling.desk import desk_of
from tidal_core.records import AnswerMode


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.project.store.settings.save(dataclasses.replace(made.project.settings, double_share=1.0))
    yield made
    made.close()


def both_answer(served: Served, of_ann: list[int], of_bo: list[int]) -> list[int]:
    """The first images, in the order in which ann got them; each of the two answers with these classes."""
    items = served.items("tab-ann", len(of_ann), annotator="ann")
    served.answer(*(served.label(item, c, annotator="ann") for item, c in zip(items, of_ann, strict=True)))
    second = {item["image"]: item for item in served.items("tab-bo", len(of_bo), annotator="bo")}
    images = [item["image"] for item in items]
    served.answer(*(served.label(second[i], c, annotator="bo") for i, c in zip(images, of_bo, strict=True)))
    return images


def test_agreement_is_of_what_was_said_blind_and_a_settlement_does_not_change_it(served: Served) -> None:
    images = both_answer(served, [1, 1, 2, 2], [1, 2, 2, 2])
    before = people.agreement_of(served.project)

    (open_one,) = people.to_settle(served.project, "cy")
    given, why = people.settle(desk_of(served.project), open_one, 3, "event-settle-1", "cy")

    assert (before.result.images, before.result.unanimous, before.names) == (4, 3, ("ann", "bo"))
    assert open_one.image_id == images[1]
    assert [(said.annotator, said.class_id) for said in open_one.said] == [("ann", 1), ("bo", 2)]
    assert open_one.counts == 2, "a tie: the newest"
    assert given is not None, why
    assert people.agreement_of(served.project).result == before.result
    assert people.to_settle(served.project, "cy") == []
    current = served.project.store.answers.current(images[1])
    assert current is not None
    assert (current.answer.class_id, current.answer.annotator, current.answer.mode) == (3, "cy", AnswerMode.SETTLE)


def test_a_settled_label_stands_above_later_answers_until_it_is_undone(served: Served) -> None:
    images = both_answer(served, [1], [2])
    desk, store = desk_of(served.project), served.project.store
    (open_one,) = people.to_settle(served.project, "ann")
    given, _ = people.settle(desk, open_one, 1, "event-settle-1", "cy")
    assert given is not None

    for who in ("di", "el"):
        late = {"image": images[0], "purpose": "again", "round": None}
        served.answer(served.label(late, 2, annotator=who))
    assert store.answers.labels().class_ids.tolist() == [1]

    desk.record([given.undone("event-undo-1", annotator="cy", mode=AnswerMode.SETTLE)])
    assert store.answers.labels().class_ids.tolist() == [2]


def test_what_changed_meanwhile_is_not_settled(served: Served) -> None:
    images = both_answer(served, [1], [2])
    (open_one,) = people.to_settle(served.project, "cy")
    served.answer(served.label({"image": images[0], "purpose": "again", "round": None}, 1, annotator="di"))

    given, why = people.settle(desk_of(served.project), open_one, 3, "event-settle-1", "cy")

    assert given is None
    assert "meanwhile" in why


def test_nobody_is_asked_to_settle_what_they_are_still_to_answer_themselves(served: Served) -> None:
    served.project.store.settings.save(dataclasses.replace(served.project.settings, people_per_image=3))
    images = both_answer(served, [1], [2])

    assert [each.image_id for each in people.to_settle(served.project, "ann")] == images
    assert people.to_settle(served.project, "cy") == []


def test_a_disagreement_ends_where_classes_are_merged(served: Served) -> None:
    both_answer(served, [1], [2])
    assert people.to_settle(served.project, "ann")

    served.project.store.classes.merge(2, 1)

    assert people.to_settle(served.project, "ann") == []
    assert people.agreement_of(served.project).result.unanimous == 1


def test_each_persons_work_is_counted(served: Served) -> None:
    images = both_answer(served, [1, 1, 2], [1, 2, 2])
    (open_one,) = people.to_settle(served.project, "cy")
    people.settle(desk_of(served.project), open_one, 1, "event-settle-1", "cy")

    ann, bo = served.project.store.people.all()

    assert (ann.annotator, ann.labels, ann.skips, ann.median_seconds) == ("ann", 3, 0, pytest.approx(0.812))
    assert (ann.shared, ann.with_consensus) == (3, 3)
    assert (bo.shared, bo.with_consensus) == (3, 2)
    assert ann.timed == 2
    known = {image.id: image.known_class for image in served.project.store.images.many(images)}
    right = sum(known[image] == said for image, said in zip(images, [1, 1, 2], strict=True))
    assert (ann.known, ann.right) == (sum(c is not None for c in known.values()), right)


def test_how_people_label_is_the_owners_to_show(served: Served) -> None:
    assert people.may_see_people(served.project, is_owner=True)
    assert not people.may_see_people(served.project, is_owner=False)
    shown = dataclasses.replace(served.project.settings, people_shown=True)
    served.project.store.settings.save(shown)
    assert people.may_see_people(served.project, is_owner=False)
