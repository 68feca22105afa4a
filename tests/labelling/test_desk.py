"""The desk: the next images, sheets, counts, history."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator, Set
from datetime import timedelta

import numpy as np
import pytest

from tests.helpers.finished import finish_round
from tests.helpers.served import Served
from tidal_core import strategies
from tidal_core.config import ProjectSettings
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.images.previews import unpack
from tidal_core.labelling import explaining
from tidal_core.labelling.desk import desk_of
from tidal_core.records import Answer, AnswerKind, Purpose
from tidal_core.rounds import audit, queue_plan
from tidal_core.rounds.calibrated import temperature_of
from tidal_core.store import columns
from tidal_core.store import queue as queue_module

AUDITED = ProjectSettings(title="tiny", training_size=8, labels_per_round=6, audit_share=0.1)


@pytest.fixture
def audited() -> Iterator[Served]:
    made = Served(AUDITED, n=200)
    yield made
    made.close()


def test_images_come_in_the_queues_order_and_held_ones_not_again(served: Served) -> None:
    first = served.items(n=4)
    more = served.items(n=4, held=[item["image"] for item in first])

    queue = [item.image_id for item in served.project.store.queue.items()[:8]]
    assert [item["image"] for item in first + more] == queue


def test_a_fresh_request_gives_up_what_the_tab_had(served: Served) -> None:
    first = served.items("tab-one", 10)

    served.items("tab-one", 2, held=[first[0]["image"]], fresh=True)

    others = {item["image"] for item in served.items("tab-two", 10)}
    assert first[5]["image"] in others


def test_status_counts_labels_and_names_classes_without_one(served: Served) -> None:
    one, two = served.items(n=2)
    before = served.post("status", {"tab": "tab-one", "held": []}).json()
    served.answer(served.label(one, 1), served.label(two, 3))

    status = served.post("status", {"tab": "tab-one", "held": []}).json()

    assert before["labelled"] == 0
    assert (status["labelled"], status["new_labels"], status["labels_per_round"]) == (2, 2, 6)
    assert status["without_label"] == [2]
    assert (status["ranking"], status["round"], status["next_round"]) == (0, None, 1)


def test_an_audit_label_does_not_count_towards_the_next_round(audited: Served) -> None:
    items = audited.items(n=20)
    drawn = next(item for item in items if item["purpose"] == "audit")

    audited.answer(audited.label(drawn))

    status = audited.post("status", {"tab": "tab-one", "held": []}).json()
    assert (status["labelled"], status["new_labels"]) == (1, 0)


def test_one_in_ten_asked_images_is_the_next_of_the_audit_order(audited: Served) -> None:
    items = audited.items(n=60)

    drawn = [item["image"] for item in items if item["purpose"] == "audit"]
    orders = [image.audit_order for image in audited.project.store.images.many(drawn)]
    assert [place for place, item in enumerate(items, start=1) if item["purpose"] == "audit"] == [
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    assert orders == [0, 1, 2, 3, 4, 5]


def test_what_was_asked_since_the_last_audit_image_is_counted(audited: Served) -> None:
    items = audited.items(n=13)
    audited.answer(*(audited.label(item) for item in items))
    sweep = audited.label(audited.items(n=1)[0], mode="sweep")
    audited.answer(sweep)

    assert [item["purpose"] for item in items].index("audit") == 9
    assert audited.project.store.answers.count_since_last(Purpose.AUDIT, audit.ONE_BY_ONE) == 3


def test_no_audit_image_is_asked_when_the_share_is_nought(served: Served) -> None:
    assert {item["purpose"] for item in served.items(n=50)} == {"seed"}


def test_suggestions_come_from_the_newest_finished_round(served: Served) -> None:
    assert served.items(n=1)[0]["suggestion"] is None

    finish_round(served.project)

    item = served.items(n=1)[0]
    top = 0.5 + item["image"] / 4000
    others = 2 * ((1 - top) / 2) ** (1 / (temperature := temperature_of(served.project, 1)))
    shown = top ** (1 / temperature) / (top ** (1 / temperature) + others)
    assert item["suggestion"] == [item["image"] % 3 + 1, pytest.approx(shown, abs=1e-3)]


def test_an_undone_change_asks_for_nothing_because_the_answer_before_stands(served: Served) -> None:
    (item,) = served.items(n=1)
    first = {"id": "event-first-1", "kind": "label", "image": item["image"], "class": 1}
    change = {**first, "id": "event-change-1", "class": 2}
    served.answer(first, change)

    served.answer({**change, "id": "event-undo-1", "kind": "undo", "undoes": change["id"]})

    current = served.project.store.answers.current(item["image"])
    assert current is not None
    assert current.answer.class_id == 1
    assert served.project.store.queue.find(item["image"]) is None


def test_an_undone_sheet_does_not_come_one_image_at_a_time(served: Served) -> None:
    (item,) = served.items(n=1)
    swept = served.label(item, mode="sweep")
    served.answer(swept)

    served.answer({**swept, "id": "event-undo-1", "kind": "undo", "undoes": swept["id"]})

    assert served.project.store.answers.current(item["image"]) is None
    assert served.project.store.queue.find(item["image"]) is None


def test_history_is_a_persons_own_newest_first_and_without_what_was_undone(served: Served) -> None:
    one, two, three = served.items(n=3)
    labels = [
        served.label(one, annotator="ann"),
        served.label(two, annotator="ann"),
        served.label(three, annotator="bo"),
    ]
    served.answer(*labels)
    served.answer({**labels[1], "id": "event-undo-1", "kind": "undo", "undoes": labels[1]["id"]})

    entries = served.post("history", {"annotator": "ann"}).json()["entries"]

    assert [(entry["item"]["image"], entry["event"]["class"]) for entry in entries] == [(one["image"], 1)]


def read_sheet(content: bytes) -> tuple[dict[str, object], list[int]]:
    (length,) = struct.unpack_from(">I", content)
    return json.loads(content[4 : 4 + length]), [packed.id for packed in unpack(content[4 + length :])]


def test_there_is_no_sheet_before_the_first_round(served: Served) -> None:
    head, images = read_sheet(served.post("sweep", {"tab": "tab-one", "n": 12}).content)

    assert images == []
    assert "after the first round" in str(head["reason"])


def test_a_sheet_is_one_class_most_certain_first(audited: Served) -> None:
    finish_round(audited.project)
    desk = desk_of(audited.project)

    sheet = desk.sheet("tab-one", 12, None, [])

    ids = [image.id for image, _ in sheet.images]
    assert ids == sorted(ids, reverse=True)
    assert {image_id % 3 + 1 for image_id in ids} == {sheet.class_id}


def test_a_sheet_never_shows_an_answered_image(served: Served) -> None:
    finish_round(served.project)
    store = served.project.store
    answered = store.scores.unanswered(1, "tab-one")[0][0]
    store.answers.record([Answer("answered", AnswerKind.LABEL, answered, 1)])

    assert answered not in [image for image, _, _ in store.scores.unanswered(1, "tab-one")]


def test_the_next_sheet_is_of_another_class(served: Served) -> None:
    finish_round(served.project)
    desk = desk_of(served.project)
    first = desk.sheet("tab-one", 6, None, [])

    second = desk.sheet("tab-one", 6, first.class_id, [])

    assert second.class_id != first.class_id


def test_no_sheet_is_of_a_class_that_is_out_of_use(served: Served) -> None:
    finish_round(served.project)
    desk = desk_of(served.project)
    surest = desk.sheet("tab-one", 6, None, []).class_id
    assert surest is not None

    served.project.store.classes.retire(surest)

    offered = {desk.sheet("tab-one", 6, after, []).class_id for after in (None, 1, 2, 3)}
    assert offered == {1, 2, 3} - {surest}


def test_two_tabs_never_have_an_image_on_two_sheets_or_on_a_sheet_and_in_a_queue(served: Served) -> None:
    finish_round(served.project)
    desk = desk_of(served.project)

    one = {image.id for image, _ in desk.sheet("tab-one", 12, None, []).images}
    two = {image.id for image, _ in desk.sheet("tab-two", 12, None, []).images}
    queued = {item["image"] for item in served.items("tab-three", 40)}

    assert one
    assert two
    assert not one & two
    assert not queued & (one | two)


def test_what_was_on_the_sheet_of_a_closed_tab_is_for_others(served: Served) -> None:
    finish_round(served.project)
    desk = desk_of(served.project)
    of_closed = {image.id for image, _ in desk.sheet("tab-one", 12, None, []).images}

    desk.release("tab-one")

    queued = {item["image"] for item in served.items("tab-two", 60)}
    assert of_closed
    assert of_closed <= queued


def test_a_sheet_travels_as_one_packed_answer(served: Served) -> None:
    finish_round(served.project)

    head, _ = read_sheet(served.post("sweep", {"tab": "tab-one", "n": 12}).content)

    items = head["items"]
    assert isinstance(items, list)
    assert len(items) == 12
    assert {item["purpose"] for item in items} == {"query"}


def test_reasons_name_rank_and_both_estimators_with_their_place_in_the_pool(served: Served) -> None:
    round_id = finish_round(served.project)
    image_id = served.project.store.queue.items()[0].image_id

    why = served.get(f"why/{image_id}").json()

    facts = dict(why["facts"])
    assert "of" in facts["Rank"]
    assert "of the images" in facts["Dynamics entropy (H-bar)"]
    assert "of the images" in facts["Dynamics margin (M-bar)"]
    assert why["classes"][0]["class"] == image_id % 3 + 1
    assert f"round {round_id}" in why["age"]
    assert len(why["rivals"]) == 2


@pytest.mark.parametrize("name", strategies.names())
def test_the_reason_of_every_strategy_is_in_words_with_the_value_that_it_ranks_by(served: Served, name: str) -> None:
    round_id = finish_round(served.project, name)
    strategy, item = strategies.get(name), served.project.store.queue.items()[0]

    why = explaining.reasons(served.project, item.image_id)

    assert why.round_id == round_id
    assert why.sentence == strategy.reason
    names = [fact for fact, _ in why.facts]
    assert names[:3] == ["Used for", "Rank", (strategy.estimator or ESTIMATORS["td_entropy"]).title]


def test_an_audit_image_is_explained_by_chance_and_not_by_the_model(audited: Served) -> None:
    drawn = next(item for item in audited.items(n=20) if item["purpose"] == "audit")

    why = explaining.reasons(audited.project, drawn["image"])

    assert "at random" in why.sentence
    assert dict(why.facts)["Used for"] == "only to measure accuracy"


def test_neighbours_are_labelled_images_of_the_rival_classes(served: Served) -> None:
    finish_round(served.project)
    labelled = set(audit.training_labels(served.project).image_ids.tolist())

    groups = served.get("neighbours/40").json()["groups"]

    assert 1 <= len(groups) <= 2
    for group in groups:
        assert 1 <= len(group["items"]) <= 3
        assert {item["image"] for item in group["items"]} <= labelled


def test_a_queue_that_runs_low_is_topped_up(served: Served) -> None:
    store = served.project.store
    store.queue.replace(store.queue.items()[:3])

    assert len(served.items(n=10)) == 10


def test_a_project_keeps_its_id_and_no_other_has_it(served: Served) -> None:
    desk = desk_of(served.project)

    assert desk.project_id() == desk.project_id()
    assert len(desk.project_id()) == 16


def new_ranking(served: Served, but: Set[int] = frozenset()) -> None:
    """What the end of a round does, with the images in another order."""
    waiting = [item.image_id for item in served.project.store.queue.items() if item.image_id not in but]
    served.project.store.queue.replace(queue_plan.plan_queue(served.project, np.array(waiting[::-1])))


def test_a_new_ranking_leaves_every_tab_what_it_holds(served: Served) -> None:
    one = {item["image"] for item in served.items("tab-one", 8)}

    new_ranking(served)
    assert not one & {item["image"] for item in served.items("tab-two", 40)}
    new_ranking(served, but=one)  # one that does not even name them

    assert not one & {item["image"] for item in served.items("tab-three", 60)}
    assert one <= {item.image_id for item in served.project.store.queue.items()}
    assert [item.position for item in served.project.store.queue.items()] == list(range(60))


def test_the_image_on_screen_stays_its_tabs_when_that_fetches_a_new_ranking(served: Served) -> None:
    painted, *_ = served.items("tab-one", 8)
    new_ranking(served)

    served.items("tab-one", 8, held=[painted["image"]], fresh=True)

    assert painted["image"] not in {item["image"] for item in served.items("tab-two", 60)}


def test_what_silent_tabs_hold_is_given_out_when_nothing_else_is_left(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = columns.steady_utc_now()
    monkeypatch.setattr(queue_module, "utc_now", lambda: began)
    held = {tab: [item["image"] for item in served.items(tab, 20)] for tab in ("tab-one", "tab-two", "tab-alive")}
    later = began + timedelta(seconds=queue_module.SILENT_SECONDS - 1)
    monkeypatch.setattr(queue_module, "utc_now", lambda: later)
    served.post("status", {"tab": "tab-alive", "held": held["tab-alive"]})
    assert served.items("tab-new", 60) == [], "they may be alive"

    after = later + timedelta(seconds=2)
    monkeypatch.setattr(queue_module, "utc_now", lambda: after)

    given = [item["image"] for item in served.items("tab-new", 60)]
    assert sorted(given) == sorted(held["tab-one"] + held["tab-two"])
    lost = served.post("status", {"tab": "tab-one", "held": held["tab-one"]}).json()["lost"]
    assert lost == sorted(held["tab-one"])
    assert served.post("status", {"tab": "tab-alive", "held": held["tab-alive"]}).json()["lost"] == []


def test_images_that_nobody_holds_are_queued_while_others_hold_all_that_was(served: Served) -> None:
    store = served.project.store
    store.queue.replace(queue_plan.plan_queue(served.project, np.arange(1, 21)))
    assert len(served.items("tab-one", 20)) == 20

    assert len(served.items("tab-two", 20)) == 20


def test_people_who_fetch_while_rankings_come_never_see_the_same_image(served: Served) -> None:
    finish_round(served.project)
    desk, painted, twice = desk_of(served.project), dict[str, int](), list[int]()
    guard = threading.Lock()

    def label_on(tab: str) -> None:
        for _ in range(5):
            with guard:
                on_screen = painted.get(tab)
            items = desk.next(tab, 3, [on_screen] if on_screen else [], fresh=True)
            with guard:
                if items:
                    painted[tab] = items[0].image.id
                twice.extend(image for image in painted.values() if list(painted.values()).count(image) > 1)
            desk.sheet(f"{tab}-sheet", 2, None, [])
            desk.release(f"{tab}-sheet")

    def rank() -> None:
        for _ in range(5):
            new_ranking(served)

    threads = [threading.Thread(target=label_on, args=(f"tab-{number}",)) for number in range(4)]
    threads.append(threading.Thread(target=rank))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(painted) == 4
    assert twice == []
