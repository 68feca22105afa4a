"""Who gets which image, over HTTP, with a clock that the test moves: leases, late answers, second answers."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest

from tests.helpers.finished import finish_round
from tests.helpers.served import Served
from tidal_core.labelling import sheets
from tidal_core.labelling.desk import desk_of
from tidal_core.rounds import again, audit, queue_plan
from tidal_core.store import columns
from tidal_core.store import queue as queue_module


class Clock:
    """What leases go by: seconds since it was made, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        began = columns.steady_utc_now()
        for module, name in ((queue_module, "utc_now"), ("tidal_core.store.scores", "steady_utc_now")):
            target = f"{module}.{name}" if isinstance(module, str) else f"{module.__name__}.{name}"
            monkeypatch.setattr(target, lambda: began + timedelta(seconds=self.seconds))
        monkeypatch.setattr(sheets, "monotonic", lambda: self.seconds)

    def goes(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ids(items: list[dict[str, object]]) -> list[object]:
    return [item["image"] for item in items]


def ask_all_of_two(served: Served, share: float = 1.0, people: int = 2) -> None:
    served.project.store.settings.save(
        dataclasses.replace(served.project.settings, double_share=share, people_per_image=people)
    )


def test_a_tab_keeps_its_images_for_ten_minutes_and_each_word_of_it_begins_them_anew(
    served: Served, clock: Clock
) -> None:
    held = ids(served.items("tab-one", 3))

    clock.goes(599)
    served.post("status", {"tab": "tab-one", "held": held})
    clock.goes(599)
    assert not set(held) & set(ids(served.items("tab-two", 50))), "others are free, so nobody needs these"
    clock.goes(2)

    assert ids(served.items("tab-three", 3)) == held


def test_what_a_dead_tab_has_comes_to_others_at_once_when_nothing_else_is_left(served: Served, clock: Clock) -> None:
    finish_round(served.project)
    on_sheet = {image.id for image, _ in desk_of(served.project).sheet("tab-grid", 12, None, []).images}
    held = set(ids(served.items("tab-dead", 60)))
    assert on_sheet
    assert len(held | on_sheet) == served.project.store.queue.count()

    clock.goes(queue_module.SILENT_SECONDS - 1)
    assert served.items("tab-new", 60) == []
    told = served.post("status", {"tab": "tab-new", "held": []}).json()
    clock.goes(2)
    given = set(ids(served.items("tab-new", 60)))
    rest = set(ids(served.items("tab-new", 60, held=sorted(given))))

    assert told["waiting"] == told["left"] == len(held | on_sheet), "the page says that these are open elsewhere"
    assert given | rest == held | on_sheet
    assert set(served.post("status", {"tab": "tab-dead", "held": sorted(held)}).json()["lost"]) == held


def test_a_hidden_page_that_speaks_once_a_minute_keeps_the_last_images(served: Served, clock: Clock) -> None:
    held = ids(served.items("tab-hidden", 60))

    for _ in range(20):
        clock.goes(60)
        assert served.post("status", {"tab": "tab-hidden", "held": held}).json()["lost"] == []
        assert served.items("tab-two", 60) == []


def test_a_late_answer_is_kept_beside_the_other_persons_and_the_late_tab_is_told(served: Served, clock: Clock) -> None:
    late = served.items("tab-late", 2)
    clock.goes(601)
    taken = served.items("tab-two", 2)
    assert ids(taken) == ids(late)
    served.answer(*(served.label(item, 1, annotator="bo") for item in taken))

    (outcome,) = served.answer(served.label(late[0], 2, annotator="ann"), tab="tab-late")

    store = served.project.store
    assert outcome["refused"] is None
    said = {stored.answer.annotator: stored.answer.class_id for stored in store.answers.of_image(late[0]["image"])}
    assert said == {"ann": 2, "bo": 1}
    assert served.post("status", {"tab": "tab-late", "held": [late[1]["image"]]}).json()["lost"] == [late[1]["image"]]


def test_an_undone_image_is_its_tabs_for_ten_minutes(served: Served, clock: Clock) -> None:
    (item,) = served.items("tab-one", 1)
    event = served.label(item)
    served.answer(event, tab="tab-one")
    served.answer({**event, "id": "event-undo-1", "kind": "undo", "undoes": event["id"]}, tab="tab-one")

    clock.goes(599)
    assert item["image"] not in ids(served.items("tab-two", 50))
    clock.goes(2)

    assert ids(served.items("tab-three", 1)) == [item["image"]]


def test_an_image_of_the_double_share_is_asked_of_others_and_never_of_one_who_answered(served: Served) -> None:
    ask_all_of_two(served)
    first = served.items("tab-ann", 2, annotator="ann")
    served.answer(*(served.label(item, annotator="ann") for item in first), tab="tab-ann")

    of_ann = served.items("tab-ann", 60, annotator="ann")
    of_nobody = served.post("status", {"tab": "tab-x", "annotator": "ann"}).json()["waiting"]
    served.post("release", {"tab": "tab-ann"})
    of_bo = served.items("tab-bo", 2, annotator="bo")

    assert not set(ids(first)) & set(ids(of_ann))
    assert of_nobody == 58, "what waits for others only is nothing to do for ann"
    assert sorted(ids(of_bo)) == sorted(ids(first))
    assert {item["purpose"] for item in of_bo} == {"again"}
    served.answer(*(served.label(item, 2, annotator="bo") for item in of_bo), tab="tab-bo")
    assert served.project.store.queue.asked_again() == [], "two have answered"


def test_of_an_image_that_is_asked_again_nothing_is_told_before_the_answer(served: Served) -> None:
    finish_round(served.project)  # in which "me" labels six images
    store = served.project.store
    ask_all_of_two(served)
    served.items("tab-me", 1, annotator="me")
    waiting = store.queue.asked_again()
    assert len(waiting) == 6

    items = served.items("tab-bo", 6, annotator="bo")

    assert sorted(ids(items)) == sorted(waiting)
    assert {item["suggestion"] for item in items} == {None}
    assert {item["prior"] for item in items} == {None}
    why = served.get(f"why/{waiting[0]}").json()
    assert (why["classes"], why["rivals"]) == ([], [])
    beside = [item["image"] for group in served.get("neighbours/40").json()["groups"] for item in group["items"]]
    assert not set(beside) & set(waiting), "labelled images that are shown beside another one"
    assert served.post("history", {"annotator": "bo"}).json()["entries"] == []
    assert again.hidden_from(served.project, "bo") == set(waiting)
    served.answer(served.label(items[0], annotator="bo"))
    assert again.hidden_from(served.project, "bo") == set(waiting) - {items[0]["image"]}


def test_a_second_answer_that_is_taken_back_is_asked_of_the_same_person_again(served: Served) -> None:
    ask_all_of_two(served)
    (item,) = served.items("tab-ann", 1, annotator="ann")
    served.answer(served.label(item, annotator="ann"))
    (second,) = served.items("tab-bo", 1, annotator="bo")
    event = served.label(second, 2, annotator="bo")
    served.answer(event, tab="tab-bo")

    served.answer({**event, "id": "event-undo-1", "kind": "undo", "undoes": event["id"]}, tab="tab-bo")

    assert ids(served.items("tab-bo", 1, annotator="bo")) == [item["image"]]
    assert item["image"] not in ids(served.items("tab-cy", 60, annotator="cy")), "bo has it on screen"


def test_the_double_share_stands_through_rankings_and_follows_the_setting(served: Served) -> None:
    finish_round(served.project)
    ask_all_of_two(served, share=0.5)
    store = served.project.store
    asked = [item for item in served.items("tab-ann", 26, annotator="ann") if item["purpose"] != "again"]
    served.answer(*(served.label(item, annotator="ann") for item in asked))
    in_share = set(store.queue.asked_again())
    assert 3 <= len(in_share & set(ids(asked))) < len(asked)

    pool = audit.rankable(served.project)
    store.queue.replace(queue_plan.plan_queue(served.project, pool, round_id=1))
    assert in_share <= set(store.queue.asked_again())

    ask_all_of_two(served, share=1.0)
    served.items("tab-cy", 1, annotator="cy")
    assert set(ids(asked)) <= set(store.queue.asked_again())
    ask_all_of_two(served, share=0.0)
    served.items("tab-cy", 1, annotator="cy")
    assert store.queue.asked_again() == []


def test_the_gallery_tells_nobody_what_others_said_of_what_they_are_to_answer(served: Served) -> None:
    ask_all_of_two(served)
    (item,) = served.items("tab-ann", 1, annotator="ann")
    served.answer(served.label(item, 2, annotator="ann"))

    def seen_by(who: str) -> tuple[int, dict[str, int], int]:
        headers = {"X-Tidal-Token": served.studio.token, "X-Tidal-Annotator": who}
        head = served.get("collection?where=label=green", headers=headers).content
        counts = served.get("collection/counts?where=", headers=headers).json()
        n = json.loads(head[4 : 4 + int.from_bytes(head[:4], "big")])["n"]
        return n, counts["annotators"], counts["states"]["unlabelled"]

    of_ann, of_bo = seen_by("ann"), seen_by("bo")
    assert of_ann == (1, {"ann": 1}, 74), "15 of them are test images"
    assert of_bo == (0, {}, 75)
    bulk = {"act": "label", "ids": [item["image"]], "class": 3, "annotator": "bo"}
    done = served.post("bulk", bulk).json()
    assert done["changed"] == 0
    assert "without seeing what others said" in done["why"]
    assert served.post("bulk", {**bulk, "annotator": "ann"}).json()["changed"] == 1
