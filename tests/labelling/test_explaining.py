"""Which images one stands for, and how unsettled they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.helpers.finished import finish_round
from tests.helpers.frozen import SETTINGS, give_features
from tests.helpers.served import Served
from tidal_core.labelling import explaining
from tidal_core.projects import Project
from tidal_core.records import Purpose, QueueItem
from tidal_core.rounds import audit, features, queue_plan
from tidal_core.strategies.distances import unit_length

FEW = 2  # labels a round: images that are asked next


@pytest.fixture
def served() -> Iterator[Served]:
    """60 images with features: image i points to 1.5 i + i^2 / 100 degrees, so that no two are equally near."""
    made = Served(replace(SETTINGS, training_size=8, labels_per_round=FEW))
    ids = np.arange(1, 61)
    angles = np.deg2rad(1.5 * ids + ids**2 / 100)
    give_features(made.project, {i + 1: (float(np.cos(a)), float(np.sin(a))) for i, a in enumerate(angles)})
    yield made
    made.close()


def near(served: Served, image_id: int) -> dict[str, Any]:
    answer: dict[str, Any] = served.get(f"stands-for/{image_id}").json()
    return answer


def stood_for_by_hand(project: Project, image_id: int) -> list[int]:
    """Images as alike as their features point the same way, most alike first."""
    ids = np.arange(1, 61)
    store = features.in_use(project)
    assert store is not None
    points = unit_length(store.read().standardised(project.store.images.pixel_rows(ids)).astype(np.float64))
    cosines = points @ points.T
    asked = [item.image_id for item in project.store.queue.items() if item.purpose is not Purpose.AUDIT][:FEW]
    rivals = {*audit.training_labels(project).image_ids.tolist(), *asked} - {image_id}
    free = set(project.store.images.unlabelled_ids().tolist()) - rivals - {image_id}
    own = [o for o in free if all(cosines[o - 1, image_id - 1] >= cosines[o - 1, r - 1] - 1e-6 for r in rivals)]
    return sorted(own, key=lambda other: -cosines[other - 1, image_id - 1])


def test_what_an_image_stands_for_is_shown_most_alike_first(served: Served) -> None:
    finish_round(served.project, "td-herding")
    waiting = [item.image_id for item in served.project.store.queue.items()]
    expected_of = {image_id: stood_for_by_hand(served.project, image_id) for image_id in waiting[::5]}
    assert max(map(len, expected_of.values())) > 1
    for image_id, expected in expected_of.items():
        why, answer = served.get(f"why/{image_id}").json(), near(served, image_id)

        assert (why["represents"], why["unsettled"]) == (True, "")
        if expected:
            number, them = (f"{len(expected)} images", "them") if len(expected) > 1 else ("1 image", "it")
            assert answer["sentence"] == (
                f"It stands for {number} without a label: none that is labelled or asked next is more like {them}."
            )
        assert [item["image"] for item in answer["items"]] == expected[: explaining.STOOD_FOR]


def test_how_unsettled_they_are_is_a_mean_in_words(served: Served) -> None:
    finish_round(served.project, "td-herding")
    store = served.project.store
    waiting = [item.image_id for item in store.queue.items()]
    image_id = max(waiting, key=lambda image: len(stood_for_by_hand(served.project, image)))
    others = stood_for_by_hand(served.project, image_id)
    assert len(others) > 1

    for shift, words in (
        (0.1, "no class was clearly"),
        (0.5, "one class was somewhat"),
        (0.9, "one class was clearly"),
    ):
        with store.database.write() as cursor:
            cursor.execute("UPDATE scores SET td_margin_naive = ?", [shift])
            cursor.execute("UPDATE scores SET td_margin_naive = ? WHERE image_id = ?", [shift + 0.06, others[0]])
        mean = shift + 0.06 / len(others)

        assert near(served, image_id)["unsettled"] == (
            f"During the training, as predicted, {words} ahead for them: {mean:.2f} of 1 between the two most likely "
            "classes on average."
        )


def test_an_image_that_is_outdone_everywhere_stands_for_none(served: Served) -> None:
    finish_round(served.project, "maxherding")
    image_id = served.project.store.queue.items()[0].image_id
    give_features(served.project, {image_id: (-1.0, -1.0)})  # opposite to all others

    answer = near(served, image_id)

    assert answer["sentence"] == "Every image without a label is more like another one that is labelled or asked next."
    assert (answer["unsettled"], answer["items"]) == ("", [])


def test_a_strategy_that_ranks_by_a_number_has_no_neighbourhood(served: Served) -> None:
    finish_round(served.project, "margin")
    image_id = served.project.store.queue.items()[0].image_id

    why = served.get(f"why/{image_id}").json()

    assert (why["represents"], why["unsettled"]) == (False, "")
    assert near(served, image_id) == {"sentence": "", "unsettled": "", "items": []}


def test_a_strategy_that_looks_at_dynamics_says_how_unsettled_the_image_is(served: Served) -> None:
    finish_round(served.project, "tidal-entropy")
    image_id = served.project.store.queue.items()[0].image_id

    why = served.get(f"why/{image_id}").json()

    assert re.fullmatch(
        r"During the training, as predicted, no class was clearly ahead for it: 0\.\d\d of 1 between the two most "
        r"likely classes\.",
        why["unsettled"],
    )


def test_exact_dynamics_are_told_where_all_classes_are_kept(served: Served) -> None:
    finish_round(served.project, "exact-margin")
    store, image_id = served.project.store, served.project.store.queue.items()[0].image_id
    texts = []
    for of_which in (None, [3, 1, 2]):  # the classes of the places: of many classes only some are kept
        with store.database.write() as cursor:
            cursor.execute("UPDATE scores SET exact = [0.1, 0.35, 0.55], class_ids = ?", [of_which])
        texts.append(served.get(f"why/{image_id}").json()["unsettled"])

    told = "During the training no class was clearly ahead for it: 0.20 of 1 between the two most likely classes."
    assert texts == [told, ""]


def test_without_features_nothing_is_made_up() -> None:
    served = Served()
    finish_round(served.project, "td-herding")
    image_id = served.project.store.queue.items()[0].image_id

    why, answer = served.get(f"why/{image_id}").json(), near(served, image_id)

    assert not why["represents"]
    assert "ahead for it" in why["unsettled"]
    assert (answer["sentence"], answer["items"]) == ("", [])
    served.close()


def test_the_first_images_show_what_they_stand_for_where_there_are_features(served: Served) -> None:
    queue_plan.fill_queue(served.project)
    item = served.project.store.queue.items()[0]
    expected = stood_for_by_hand(served.project, item.image_id)

    why, answer = served.get(f"why/{item.image_id}").json(), near(served, item.image_id)

    assert item.purpose is Purpose.SEED
    assert (why["represents"], answer["unsettled"]) == (True, "")
    assert str(len(expected)) in str(answer["sentence"])


@pytest.mark.parametrize("purpose", [Purpose.AUDIT, Purpose.CHOSEN])
def test_what_no_strategy_chose_stands_for_nothing(served: Served, purpose: Purpose) -> None:
    round_id = finish_round(served.project, "td-herding")
    image_id = served.project.store.queue.items()[0].image_id
    served.project.store.queue.replace([QueueItem(0, image_id, purpose, None, round_id)])

    assert not served.get(f"why/{image_id}").json()["represents"]
    assert near(served, image_id)["sentence"] == ""


def test_an_image_that_only_fills_the_queue_is_not_said_to_be_chosen(served: Served) -> None:
    finish_round(served.project, "td-herding")
    store, image_id = served.project.store, served.project.store.queue.items()[0].image_id
    with store.database.write() as cursor:
        cursor.execute("UPDATE scores SET rank = NULL WHERE image_id = ?", [image_id])

    why = served.get(f"why/{image_id}").json()

    assert (why["reason"], why["represents"], why["unsettled"]) == (explaining.TOPPED_UP, False, "")
