"""What must be refused at the routes, and what must hold whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.helpers.served import Served
from tidal_core.records import Purpose
from tidal_core.store import columns
from tidal_core.store import queue as queue_module

POSTS = ("open", "queue", "answers", "status", "history", "release", "sweep", "thumbs", "bulk")
GETS = ("classes", "image/1?v=0&size=256", "why/1", "stands-for/1", "neighbours/1", "collection", "collection/counts")


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One studio for the requests that must change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("refusing")))
        made = Served()
    yield made
    assert made.project.store.answers.count() == 0
    made.close()


@pytest.mark.parametrize("path", POSTS)
def test_a_post_without_the_token_is_refused(refusing: Served, path: str) -> None:
    assert (
        refusing.post(path, {"tab": "tab-one", "answers": [], "token": "schl\u00fcssel"}, headers={}).status_code == 403
    )
    headers = {"X-Tidal-Token": "guessed"}
    assert refusing.post(path, {"tab": "tab-one", "answers": []}, headers=headers).status_code == 403


@pytest.mark.parametrize("path", GETS)
def test_a_get_without_the_token_is_refused(refusing: Served, path: str) -> None:
    assert refusing.get(path, headers={}).status_code == 403
    assert refusing.get(path, headers={"X-Tidal-Token": "guessed"}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://example.org", "null", "http://localhost.example.org", "http://localhost:1"]
)
def test_a_foreign_origin_is_refused_even_with_the_token(refusing: Served, origin: str) -> None:
    headers = {"X-Tidal-Token": refusing.studio.token, "Origin": origin}

    assert refusing.post("answers", {"answers": []}, headers=headers).status_code == 403
    assert refusing.get("classes", headers=headers).status_code == 403


def test_the_studios_own_origin_is_served(refusing: Served) -> None:
    headers = {"X-Tidal-Token": refusing.studio.token, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}

    assert refusing.post("answers", {"answers": []}, headers=headers).status_code == 200


def test_a_cross_site_request_without_an_origin_is_refused(refusing: Served) -> None:
    headers = {"X-Tidal-Token": refusing.studio.token, "Sec-Fetch-Site": "cross-site"}

    assert refusing.get("classes", headers=headers).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(refusing: Served, kind: str) -> None:
    response = refusing.send(
        "POST",
        "answers",
        content=b'{"answers": []}',
        headers={"X-Tidal-Token": refusing.studio.token, "Content-Type": kind},
    )

    assert response.status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"answers": ' * 50_000, b'{"answers": NaN}',
        b'{"answers": [{"image": ' + b"9" * 5_000 + b"}]}", b'{"answers": [{"note": "\\ud83d"}]}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(refusing: Served, body: bytes) -> None:
    response = refusing.send(
        "POST",
        "answers",
        content=body,
        headers={"X-Tidal-Token": refusing.studio.token, "Content-Type": "application/json"},
    )

    assert response.status_code == 400


def test_ten_megabytes_are_refused_whether_or_not_their_length_is_declared(refusing: Served) -> None:
    headers = {"X-Tidal-Token": refusing.studio.token, "Content-Type": "application/json"}
    chunks = [b'{"answers": "'] + [b"x" * 1_000_000] * 10 + [b'"}']

    declared = refusing.send("POST", "answers", content=b"".join(chunks), headers=headers)
    streamed = refusing.send_chunks("answers", chunks, headers)

    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert "1,000,000 bytes" in declared.json()["error"]


def test_an_answer_for_an_unknown_image_or_class_is_refused_and_the_others_stand(served: Served) -> None:
    one, two, three = served.items(n=3)

    results = served.answer(
        served.label(one), served.label({**two, "image": 99_999}), served.label(two, 77), served.label(three)
    )

    assert [result["refused"] is None for result in results] == [True, False, False, True]
    assert "no image 99999" in results[1]["refused"]
    assert "no class 77" in results[2]["refused"]
    assert served.project.store.answers.count() == 2


@pytest.mark.parametrize("slug", ["nothing", "..", "%2e%2e", "tiny%00", "Tiny", "a" * 300])
def test_an_unknown_project_is_not_found(served: Served, slug: str) -> None:
    assert served.post("answers", {"answers": []}, slug=slug).status_code in {400, 404}


def test_an_id_used_twice_with_other_content_is_refused_and_the_first_stands(served: Served) -> None:
    (item,) = served.items(n=1)
    first = served.label(item, 1)

    said = [served.answer(first)[0], served.answer(first)[0], served.answer({**first, "class": 2})[0]]

    assert [result["seq"] for result in said] == [1, 1, None]
    assert "first one is kept" in said[2]["refused"]
    assert [stored.answer.class_id for stored in served.project.store.answers.all()] == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "short"}, {"id": "../../../../etc"}, {"id": 7}, {"kind": "model"}, {"kind": None}, {"image": "1"},
        {"image": -1}, {"image": 2**40}, {"image": True}, {"image": 1.5}, {"class": None}, {"class": "1"},
        {"note": "x" * 501}, {"reason": 5}, {"suggestion": [1]}, {"suggestion": [1, 2.0]}, {"suggestion": "x"},
        {"mode": "autopilot"}, {"shown": "perhaps"}, {"ms": -1}, {"round": "one"}, {"purpose": "none"},
        {"kind": "undo", "undoes": None},
    ],
)  # fmt: skip
def test_a_malformed_answer_is_named_and_nothing_is_stored(refusing: Served, change: dict[str, object]) -> None:
    good, bad = ({"image": image, "purpose": "seed", "round": None} for image in (1, 2))

    response = refusing.post("answers", {"answers": [refusing.label(good), {**refusing.label(bad), **change}]})

    assert response.status_code == 400
    assert response.json()["error"]


def test_a_refusal_names_the_field_what_it_is_and_what_it_must_be(refusing: Served) -> None:
    good = refusing.label({"image": 1, "purpose": "seed", "round": None})

    refused = refusing.post("answers", {"answers": [good, {**good, "image": "one"}]})

    assert refused.json()["error"] == (
        "image of answers, number 2, is 'one'; it must be a whole number from 0 to 2147483647."
    )


def test_a_beacon_may_carry_the_token_in_its_body(served: Served) -> None:
    (item,) = served.items(n=1)
    body = {"token": served.studio.token, "answers": [served.label(item)], "release": "tab-one"}

    response = served.post("answers", body, headers={})

    assert response.status_code == 200
    assert served.project.store.answers.count() == 1
    assert all(waiting.holder is None for waiting in served.project.store.queue.items()[:10])


def test_the_worker_expects_rounds_once_an_image_has_been_served(served: Served) -> None:
    image, worker = served.project.store.images.get(1), served.studio.worker
    served.get("queue?tab=tab-one&n=3")
    before = worker.rounds_expected

    served.get(f"image/1?v={image.sha256[:16]}&size=256")

    assert not before
    assert worker.rounds_expected


def test_an_image_is_served_by_id_and_content_only(refusing: Served) -> None:
    image = refusing.project.store.images.get(1)

    good = refusing.get(f"image/1?v={image.sha256[:16]}&size=256")

    assert good.status_code == 200
    assert good.content[:8] == b"\x89PNG\r\n\x1a\n"  # the original is gone: what the pixel cache has left
    assert good.headers["cache-control"] == "no-store"
    assert refusing.get("image/1?v=wrong&size=256").status_code == 404
    assert refusing.get(f"image/1?v={image.sha256[:16]}&size=100000").status_code == 400
    assert refusing.get("image/99999?v=0&size=256").status_code == 404
    assert refusing.get(f"image/{2**70}?v=0&size=256").status_code == 404
    assert refusing.get("image/..%2F..%2Fetc%2Fpasswd").status_code == 404


def test_names_with_markup_travel_as_text(served: Served) -> None:
    name = "<img src=x onerror=alert(1)>"
    served.project.store.classes.add([name])

    response = served.get("classes")

    assert response.headers["content-type"] == "application/json"
    assert name in [record["name"] for record in response.json()["classes"]]


def test_two_tabs_never_hold_the_same_image(served: Served) -> None:
    one = {item["image"] for item in served.items("tab-one", 20)}
    two = {item["image"] for item in served.items("tab-two", 20)}

    assert len(one) == len(two) == 20
    assert not one & two


def test_a_clock_moved_back_by_a_day_holds_no_image_and_keeps_the_order(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.items("tab-one", 2)
    served.answer(served.label(before[0]))
    yesterday = columns.utc_now() - timedelta(days=1)
    monkeypatch.setattr(queue_module, "utc_now", lambda: yesterday)
    monkeypatch.setattr("tidal_core.store.answers.utc_now", lambda: yesterday)

    after = served.items("tab-two", 1)
    results = served.answer(served.label(after[0], 2))

    assert after[0]["image"] == before[1]["image"]
    assert results[0]["seq"] == 2
    assert [stored.seq for stored in served.project.store.answers.all()] == [1, 2]


def test_an_undo_puts_the_image_in_front_for_the_tab_that_undid(served: Served) -> None:
    one, *_ = served.items("tab-one", 3)
    label = served.label(one)
    served.answer(label)

    undo = {**label, "id": "event-undo-1", "kind": "undo", "undoes": label["id"]}
    assert served.answer(undo, tab="tab-one")[0]["refused"] is None

    assert served.project.store.queue.items()[0].image_id == one["image"]
    assert one["image"] not in {item["image"] for item in served.items("tab-two", 30)}
    assert served.items("tab-one", 1)[0]["image"] == one["image"]


def test_an_undo_of_anothers_image_or_of_nothing_is_refused(served: Served) -> None:
    one, two = served.items(n=2)
    label = served.label(one)
    served.answer(label)

    wrong = [
        {**served.label(two), "kind": "undo", "undoes": label["id"]},
        {**served.label(one), "kind": "undo", "undoes": "event-never"},
    ]

    assert all(result["refused"] for result in served.answer(*wrong))


def test_purposes_are_stored_as_they_were_served(served: Served) -> None:
    (item,) = served.items(n=1)

    served.answer(served.label(item))

    assert served.project.store.answers.all()[0].answer.purpose is Purpose.SEED
