"""A full disk in front of the routes: the answer says what to do, and all goes on once there is room."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.helpers.disks import SmallDisk
from tests.helpers.served import Served
from tidal_core.store import database

POSTS = ("open", "queue", "answers", "status", "history", "release", "sweep", "thumbs")
GETS = ("classes", "why/1", "stands-for/1", "neighbours/1")


@pytest.fixture
def served(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    # Another program takes the room between the look whether there is any and the checkpoint.
    monkeypatch.setattr(database.Database, "_has_room", lambda self: True)
    monkeypatch.setattr(database, "OPEN_AGAIN_WAIT_SECONDS", 0.0)
    made = Served()
    yield made
    made.close()


def test_no_route_says_500_on_a_full_disk_and_every_one_works_again_once_there_is_room(
    disk: SmallDisk, served: Served
) -> None:
    (item,) = served.items(n=1)
    body = {"tab": "tab-two", "answers": [served.label(item)], "held": [item["image"]]}
    disk.fill()
    assert not served.project.store.database.checkpoint()  # from here on DuckDB refuses everything

    with served.project.store.database.reading():
        assert not served.project.store.database.checkpoint()
        everything = [*(served.post(path, body) for path in POSTS), *(served.get(path) for path in GETS)]
    then = [served.post(path, body) for path in POSTS]

    assert {answer.status_code for answer in everything} == {507}
    assert all("Free some space there" in answer.json()["error"] for answer in everything)
    assert {answer.status_code for answer in then} <= {200, 507}
    # A page of the log may have room for some more answers.
    sent = (served.post("answers", {"answers": [served.label(item)]}).status_code for _ in range(1_000))
    acknowledged = len(list(itertools.takewhile(lambda status: status == 200, sent)))
    assert acknowledged < 1_000
    disk.free()
    assert [served.post(path, body).status_code for path in POSTS] == [200] * len(POSTS)
    assert [served.get(path).status_code for path in GETS] == [200] * len(GETS)
    assert served.project.store.answers.count() == acknowledged + 1
