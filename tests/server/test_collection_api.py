"""The collection over HTTP: which images, how many of each kind, one act on many."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.helpers.finished import finish_round
from tests.helpers.frozen import SETTINGS
from tests.helpers.served import Served
from tidal_core.records import Int64
from tidal_core.rounds import features
from tidal_core.store.where import EVERYTHING


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


class Page(NamedTuple):
    """What a page has of the collection."""

    head: dict[str, Any]
    ids: Int64
    labels: Int64
    predicted: Int64
    marks: Int64


def collection(served: Served, query: str = "", path: str = "collection") -> Page:
    response = served.get(f"{path}?{query}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-encoding"] == "identity", "else Streamlit compresses it, which takes longer"
    (length,) = struct.unpack(">I", response.content[:4])
    assert length % 4 == 0
    columns = np.frombuffer(response.content[4 + length :], "<i4").astype(np.int64).reshape(4, -1)
    return Page(json.loads(response.content[4 : 4 + length]), *columns)


def test_the_collection_is_ids_labels_predictions_and_marks(served: Served) -> None:
    finish_round(served.project)
    chosen = served.project.store.collection.chosen(EVERYTHING)

    page = collection(served)

    assert page.head["n"] == 75
    for got, wanted in zip(page[1:], chosen, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_page_has_the_rows_asked_for_and_its_answer_does_not_grow_with_the_collection(served: Served) -> None:
    whole, few = collection(served), collection(served, "where=id%3C%3D12")

    page, of_few = collection(served, "from=3&rows=5&image=60"), collection(served, "where=id%3C%3D12&from=3&rows=5")

    assert (page.head["n"], page.head["from"], page.head["rows"], page.head["at"]) == (75, 3, 5, 59)
    assert page.head["list"] == whole.head["list"]
    for part, all_of_it in zip(page[1:], whole[1:], strict=True):
        np.testing.assert_array_equal(part, all_of_it[3:8])
    sizes = [len(served.get(f"collection?{query}").content) for query in ("rows=5", "where=id%3C%3D12&rows=5")]
    assert abs(sizes[0] - sizes[1]) <= 4  # a number in the head has another digit
    assert (of_few.head["n"], of_few.head["at"]) == (12, None)
    assert of_few.head["list"] == few.head["list"] != whole.head["list"]
    beyond = collection(served, "from=80&rows=5")
    assert (beyond.head["n"], beyond.head["rows"], len(beyond.ids)) == (75, 0, 0)


def test_a_list_that_was_shown_stays_what_it_was_with_the_labels_of_now(served: Served) -> None:
    shown = collection(served, "where=unlabelled&sort=id&descending=1&rows=4")
    served.post("bulk", {"act": "label", "where": "id>=50 and id<60", "class": 2})

    later = collection(served, f"list={shown.head['list']}&from=10&rows=20")
    anew = collection(served, "where=unlabelled&sort=id&descending=1&rows=4")

    assert later.ids.tolist() == list(range(65, 45, -1))
    assert later.labels.tolist() == [2 * (50 <= image < 60) for image in range(65, 45, -1)]
    assert later.head["seq"] > shown.head["seq"]
    assert anew.head["list"] != shown.head["list"]


@pytest.mark.parametrize("first", [0, 7, 40])
@pytest.mark.parametrize("last", [40, 59])
def test_a_range_of_rows_that_no_page_has_acts_on_exactly_the_rows_of_the_order_that_was_seen(
    served: Served, first: int, last: int
) -> None:
    finish_round(served.project)
    seen = collection(served, "where=unlabelled&sort=margin&rows=3")
    whole = collection(served, f"list={seen.head['list']}")
    in_range = whole.ids[first : last + 1]
    answered = served.project.store.collection.ids(EVERYTHING)[:3].tolist() + in_range[:2].tolist()
    served.post("bulk", {"act": "label", "ids": answered, "class": 1})  # another person: the order of now is another
    before = served.project.store.answers.labels()

    done = served.post(
        "bulk",
        {"act": "label", "list": seen.head["list"], "runs": [first, last + 1 - first], "class": 3,
         "seen": seen.head["seq"]},
    ).json()  # fmt: skip

    test_images = set(range(61, 76))
    wanted = set(in_range.tolist()) - test_images - set(before.image_ids.tolist())
    after = served.project.store.answers.labels()
    now_three = set(after.image_ids[after.class_ids == 3].tolist()) - set(
        before.image_ids[before.class_ids == 3].tolist()
    )
    assert now_three == wanted
    assert (done["changed"], done["left"]) == (len(wanted), len(in_range) - len(wanted))


def test_places_of_a_list_are_followed_into_the_list_of_now(served: Served) -> None:
    old = collection(served, "where=id%3C%3D20&sort=id&descending=1")
    new = collection(served, "where=id%3E%3D10")

    told = served.post("collection/follow", {"list": old.head["list"], "runs": [2, 3, 4, 2], "to": new.head["list"]})

    assert told.json() == {"runs": [0, 2, 4, 3]}  # 18, 17, 16 and 11, 10


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("bulk", {"act": "flag", "list": "0" * 24, "runs": [0, 1]}),
        ("collection/table", {"list": "0" * 24, "runs": [0, 1]}),
        ("collection/follow", {"list": "0" * 24, "runs": [], "to": "0" * 24}),
    ],
)
def test_a_list_that_nobody_was_shown_is_gone_and_nothing_is_done(
    served: Served, path: str, body: dict[str, Any]
) -> None:
    name = collection(served).head["list"]
    ann = {"X-Tidal-Token": served.studio.token, "X-Tidal-Annotator": "Ann"}

    assert served.post(path, body).status_code == 410
    assert served.post(path, {**body, "list": name, "to": name}, headers=ann).status_code == 410  # of somebody else
    assert served.get(f"collection?list={'0' * 24}").status_code == 410
    assert served.project.store.answers.count() == 0


def test_a_condition_and_an_order_choose_and_sort(served: Served) -> None:
    page = collection(served, "where=id%3E10%20and%20id%3C%3D13&sort=id&descending=1")

    assert page.ids.tolist() == [13, 12, 11]
    assert collection(served, "where=skipped").ids.tolist() == []


@pytest.mark.parametrize("path", ["collection", "collection/counts"])
def test_a_condition_that_cannot_be_read_is_answered_with_what_is_expected(served: Served, path: str) -> None:
    refused = served.get(f"{path}?where=label%3Dmauve")

    assert refused.status_code == 400
    assert "There is no class 'mauve' in this project; its classes are 'red'" in refused.json()["error"]
    assert served.get("collection?sort=colour").status_code == 400


def test_counts_are_by_class_id_with_nought_for_none(served: Served) -> None:
    served.post("bulk", {"act": "label", "ids": [1, 2], "class": 2, "annotator": "Ann"})

    counts = served.get("collection/counts?where=id%3C5").json()

    assert (counts["n"], counts["labels"], counts["predicted"]) == (4, {"2": 2, "0": 2}, {"0": 4})
    assert (counts["states"]["labelled"], counts["annotators"]) == (2, {"Ann": 2})


def test_the_version_changes_with_every_act_and_round(served: Served) -> None:
    versions = [collection(served).head["version"]]
    for body in ({"act": "flag", "ids": [1]}, {"act": "queue", "ids": [2]}, {"act": "exclude", "ids": [3]}):
        served.post("bulk", body)
        versions.append(served.get("collection/version").json()["version"])
    finish_round(served.project)
    versions.append(served.get("collection/counts").json()["version"])

    assert len(set(versions)) == 5


def test_an_act_is_answered_with_its_id_and_undone_by_it(served: Served) -> None:
    done = served.post("bulk", {"act": "label", "where": "id<=3 or id=70", "class": 1}).json()

    assert done == {
        "act": done["act"],
        "changed": 3,
        "left": 1,
        "why": "1 image left as before: 1 is a test image.",
    }
    assert done["act"].startswith("bulk-label-")
    undone = served.post("bulk", {"act": "undo", "undo": done["act"]}).json()
    assert (undone["changed"], undone["left"]) == (3, 0)
    assert served.project.store.answers.counts_by_class() == {}


def test_two_hundred_thousand_ids_may_be_named_and_no_more(served: Served) -> None:
    ids = list(range(1, 200_001))

    assert served.post("bulk", {"act": "flag", "ids": ids}).json()["changed"] == 75
    assert served.post("bulk", {"act": "flag", "ids": [*ids, 1]}).status_code == 400
    large = served.post("bulk", {"act": "flag", "ids": [1], "note": "x" * 3_000_000})
    assert large.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        {}, {"act": "delete", "ids": [1]}, {"act": "label", "ids": [1]}, {"act": "label", "ids": [1], "class": 99},
        {"act": "skip"}, {"act": "skip", "ids": [1], "where": "id=1"}, {"act": "skip", "ids": [-1]},
        {"act": "skip", "ids": ["1"]}, {"act": "skip", "ids": [1.5]}, {"act": "skip", "ids": [2**31]},
        {"act": "skip", "where": "no such"}, {"act": "skip", "where": "x" * 2_001}, {"act": "skip", "where": 5},
        {"act": "undo"}, {"act": "undo", "undo": "event-0001"}, {"act": "skip", "ids": [1], "undo": "bulk-skip-1"},
        {"act": "undo", "undo": "bulk-undo-aaaaaaaa"}, {"act": "undo", "undo": "bulk-%-aaaaaaaa"},
        {"act": "skip", "ids": [1], "key": "short"}, {"act": "skip", "ids": [1], "key": "a-%_aaaaaa"},
        {"act": "skip", "list": "0" * 24}, {"act": "skip", "runs": [1]}, {"act": "skip", "list": "x", "runs": [1]},
        {"act": "skip", "ids": [1], "list": "0" * 24, "runs": [1]}, {"act": "skip", "list": "0" * 24, "runs": [-1]},
        {"act": "skip", "ids": [1], "seen": -1}, {"act": "flag", "ids": [1], "note": "x" * 501},
    ],
)  # fmt: skip
def test_a_malformed_act_is_refused_and_changes_nothing(served: Served, body: dict[str, Any]) -> None:
    refused = served.post("bulk", body)

    assert refused.status_code == 400
    assert refused.json()["error"]
    assert served.project.store.answers.count() == 0


def test_skipped_flagged_and_excluded_images_are_marked(served: Served) -> None:
    for act, ids in (("skip", [3, 4]), ("flag", [4, 5]), ("exclude", [6])):
        assert served.post("bulk", {"act": act, "ids": ids}).json()["changed"] == len(ids)

    assert collection(served, "where=id%3C8").marks.tolist() == [0, 0, 1, 3, 2, 4, 0]


def test_images_come_by_likeness_where_they_have_features() -> None:
    made = Served(SETTINGS)
    store = features.wanted(made.project)
    assert store is not None
    images = np.array([2, 3, 4])
    points = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float16)
    store.write(made.project.store.images.pixel_rows(images), points, (2,))

    alike = collection(made, "where=id%3C6", "collection/alike/3").ids.tolist()
    refused = made.get("collection/alike/5")
    made.close()

    assert alike == [3, 4, 2, 1, 5]
    assert (refused.status_code, "no features" in refused.json()["error"]) == (400, True)


def test_a_project_without_features_has_no_map_and_is_told_why(served: Served) -> None:
    refused = served.get("collection/map")

    assert refused.status_code == 400
    assert "Choose a pretrained model" in refused.json()["error"]


def test_the_map_has_a_place_and_a_probability_for_each_image_with_features() -> None:
    served = Served(SETTINGS)
    store, project = features.wanted(served.project), served.project
    assert store is not None
    rows = project.store.images.pixel_rows(np.arange(2, 12))
    store.write(rows, np.random.default_rng(0).normal(size=(10, 4)).astype(np.float16), (4,))
    try:
        response = served.get("collection/map")

        (length,) = struct.unpack(">I", response.content[:4])
        head, body = json.loads(response.content[4 : 4 + length]), response.content[4 + length :]
        assert (head["n"], head["kind"], head["missing"]) == (10, "principal", project.store.images.count() - 10)
        assert np.frombuffer(body[:40], "<i4").tolist() == list(range(2, 12))
        x, y, p = np.frombuffer(body[40:], "<f4").reshape(3, 10)
        assert np.abs([x, y]).max() <= 1
        assert np.isnan(p).all()  # no round yet
    finally:
        served.close()
