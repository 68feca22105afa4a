"""Classes over HTTP: one that is missing is added by whoever labels, and what a class is can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.served import Served
from tests.store.samples import label


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    made = Served()
    yield made
    made.close()


def test_a_class_that_is_added_is_in_the_list_of_every_tab_and_a_known_name_is_no_new_one(served: Served) -> None:
    before = served.get("classes").json()
    added = served.post("classes/add", {"name": " pink  one ", "annotator": "ana"}).json()
    after = served.get("classes").json()

    assert after["version"] == added["version"] != before["version"]
    assert after["classes"] == added["classes"]
    assert after["classes"][-1] == {"id": added["class"], "name": "pink one", "key": "4", "colour": "#008b79"}
    assert served.project.store.classes.history()[-1].author == "ana"
    assert served.post("classes/add", {"name": "red"}).json()["class"] == 1
    assert len(served.get("classes").json()["classes"]) == 4

    refused = served.post("classes/add", {"name": "x" * 300})
    assert (refused.status_code, "characters cannot be used" in refused.json()["error"]) == (400, True)
    served.project.store.classes.retire(2)
    refused = served.post("classes/add", {"name": "green"})
    assert "is no longer in use" in refused.json()["error"]


def test_what_a_class_is_comes_with_its_images_and_how_they_were_chosen(served: Served) -> None:
    served.project.store.classes.change(1, description="as blood")
    served.project.store.answers.record([label("e1", 5, 1)])

    about = served.get("about-class?id=1").json()

    assert (about["name"], about["description"], about["how"]) == (
        "red",
        "as blood",
        "The first ones that were labelled.",
    )
    assert [item["image"] for item in about["items"]] == [5]
    assert served.get("about-class?id=99").status_code == 404
    assert served.get("about-class?id=x").status_code == 400
