"""Which answer of an image counts when several people gave one, against the rule in plain Python."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np

from tests.store.samples import image
from tidal_core.records import Answer, AnswerKind, AnswerMode
from tidal_core.store import Store
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.answers import ImportedLabels

IN_SIGHT = {AnswerMode.REVIEW, AnswerMode.BULK}
PEOPLE = ("ann", "bo", "cy", "di")


def the_one_that_counts(events: list[Answer], merged: dict[int, int], retired: set[int]) -> Answer | None:
    """The rule: settled, else most votes, else the newest; each person's last standing answer is the vote."""
    undone = {event.undoes for event in events if event.kind is AnswerKind.UNDO}
    votes: dict[str, tuple[int, Answer]] = {}
    for place, event in enumerate(events):
        if event.kind in (AnswerKind.LABEL, AnswerKind.SKIP) and event.event_id not in undone:
            votes[event.annotator] = (place, event)
    if not votes:
        return None
    into = {event.event_id: merged.get(event.class_id or 0, event.class_id) for _, event in votes.values()}
    counted = Counter(
        into[event.event_id]
        for _, event in votes.values()
        if event.kind is AnswerKind.LABEL and into[event.event_id] not in retired
    )
    first = min(place for place, _ in votes.values())

    def rank(vote: tuple[int, Answer]) -> tuple[bool, int, int]:
        place, event = vote
        settled = event.mode is AnswerMode.SETTLE or (event.mode in IN_SIGHT and place > first)
        n = counted[into[event.event_id]] if event.kind is AnswerKind.LABEL else 0
        return settled and len(votes) > 1, n, place

    return max(votes.values(), key=rank)[1]


def test_the_answer_that_counts_is_the_rules_for_random_answers_undos_and_merges(store: Store) -> None:
    store.images.add([image(number) for number in range(11, 41)])
    classes = [1, 2, 3]
    rng = random.Random(22)
    events: dict[int, list[Answer]] = {number: [] for number in range(1, 41)}
    modes = [AnswerMode.SINGLE] * 6 + [AnswerMode.REVIEW, AnswerMode.SETTLE, AnswerMode.SWEEP]
    for number in range(400):
        place, who = rng.randint(1, 40), rng.choice(PEOPLE[: 1 + rng.randint(0, 3)])
        before = [event for event in events[place] if event.kind is not AnswerKind.UNDO]
        if before and rng.random() < 0.25:
            event = rng.choice(before).undone(f"event-{number}", annotator=who, mode=AnswerMode.SINGLE)
        elif rng.random() < 0.15:
            event = Answer(f"event-{number}", AnswerKind.SKIP, place, annotator=who, reason="unclear")
        else:
            label = rng.choice(classes)
            event = Answer(f"event-{number}", AnswerKind.LABEL, place, label, annotator=who, mode=rng.choice(modes))
        assert store.answers.record([event])[0].new
        events[place].append(event)

    def check(merged: dict[int, int], retired: set[int]) -> None:
        expected = {image: the_one_that_counts(of, merged, retired) for image, of in events.items()}
        stored = {image: store.answers.current(image) for image in events}
        assert {i: s and s.answer.event_id for i, s in stored.items()} == {
            i: e and e.event_id for i, e in expected.items()
        }
        labels = store.answers.labels()
        given = dict(zip(labels.image_ids.tolist(), labels.class_ids.tolist(), strict=True))
        in_use = {
            i: merged.get(e.class_id or 0, e.class_id)
            for i, e in expected.items()
            if e is not None and e.kind is AnswerKind.LABEL
        }
        assert given == {i: c for i, c in in_use.items() if c not in retired}

    check({}, set())
    store.classes.merge(classes[1], classes[0])
    check({classes[1]: classes[0]}, set())
    store.classes.retire(classes[2])
    check({classes[1]: classes[0]}, {classes[2]})


def test_votes_of_merged_classes_are_counted_together(store: Store) -> None:
    cat, tabby, dog = 1, 2, 3
    for who, label in (("ann", cat), ("bo", tabby), ("cy", dog)):
        store.answers.record([Answer(f"event-{who}", AnswerKind.LABEL, 1, label, annotator=who)])
    assert store.answers.labels().class_ids.tolist() == [dog], "one vote each: the newest"

    store.classes.merge(tabby, cat)

    assert store.answers.labels().class_ids.tolist() == [cat]


def test_an_act_over_others_answers_counts_and_one_on_a_new_image_is_a_vote(store: Store) -> None:
    cat, dog, none = 1, 2, np.empty(0, np.int64)
    for who in ("ann", "bo"):
        store.answers.record([Answer(f"event-{who}", AnswerKind.LABEL, 1, cat, annotator=who)])

    store.acts.perform(Act(ActKind.LABEL, dog, annotator="cy"), lambda: np.array([1, 2]), none)
    for who in ("ann", "bo"):
        store.answers.record([Answer(f"later-{who}", AnswerKind.LABEL, 2, cat, annotator=who)])

    assert store.answers.labels().class_ids.tolist() == [dog, cat]


def test_labels_of_an_import_by_several_people_are_votes(store: Store) -> None:
    cat, dog = 1, 2

    store.answers.import_labels(ImportedLabels([1, 1, 1], [cat, cat, dog], ["ann", "bo", "cy"]))

    assert store.answers.labels().class_ids.tolist() == [cat]
