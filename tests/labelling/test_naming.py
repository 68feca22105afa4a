"""What of an image's name is shown before the answer: nothing that gives the class away, anywhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.helpers.finished import finish_round
from tests.helpers.served import Served
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.naming import blind_rule
from tidal_core.projects import Project
from tidal_core.store.images import NamesInUse


@pytest.fixture
def project() -> Iterator[Project]:
    made = tiny_project(6, test=0)
    yield made
    made.close()


def call_images(project: Project, *names: str) -> None:
    """Name the images in turn; their files are gone, as are those of all tiny projects."""
    images = project.store.images.all()
    project.store.images.set_places(
        [(image.id, f"/photos/{image.id}.png", names[index % len(names)]) for index, image in enumerate(images)]
    )


def forget_known_classes(project: Project) -> None:
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET known_class = NULL")


def shown(name: str, *classes: str) -> str:
    path = PurePosixPath(name)
    folders = [] if str(path.parent) == "." else [str(path.parent)]
    return blind_rule(NamesInUse(folders, [path.stem], known_classes=False), classes).of(name)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("sunflowers/0123.jpg", ("sunflowers",)),
        ("sunflowers/0123.jpg", ("Sunflower",)),
        ("train/n02099601-golden_retriever/0123.jpg", ("Golden retriever", "cat")),
        ("7/0123.jpg", ("7", "8")),
        ("犬の写真/0123.jpg", ("犬", "猫")),
        ("TULIPS/sub/0123.jpg", ("tulips",)),
    ],
)
def test_folders_that_are_called_like_a_class_are_not_shown(name: str, classes: tuple[str, ...]) -> None:
    assert shown(name, *classes) == "0123.jpg"


@pytest.mark.parametrize("name", ["cat.0123.jpg", "a/0123_CAT.png", "type2 (7).png", "katze-0123.jpg"])
def test_a_file_name_that_holds_a_class_is_not_shown(name: str) -> None:
    assert shown(name, "cat", "Type 2", "Katze") == ""


@pytest.mark.parametrize("name", ["site 3/IMG_0123.jpg", "2023-05/d/0123.jpg", "0123.jpg", "digit 0007"])
def test_what_tells_nothing_is_shown(name: str) -> None:
    assert shown(name, "cat", "7", "d 1", "") == name


def test_the_store_lists_folders_and_files_without_their_numbers(project: Project) -> None:
    call_images(project, "a/b/cat.001.jpg", "a/b/cat.002.jpg", "x.1/y", "flat 7.png")

    names = project.store.images.names_in_use()

    assert sorted(names.folders) == ["a/b", "x.1"]
    assert sorted(names.stems) == ["cat.", "flat ", "y"]
    assert names.known_classes


def test_folders_are_not_shown_where_classes_came_with_the_images(project: Project) -> None:
    call_images(project, "A/1.png", "B/2.png")

    assert desk_of(project).names().of("A/1.png") == "1.png"


def test_one_telling_folder_hides_all_of_them(project: Project) -> None:
    forget_known_classes(project)
    call_images(project, "green/1.png", "weeds/2.png")

    assert desk_of(project).names().of("weeds/2.png") == "2.png"


def test_a_class_that_is_added_later_hides_its_folder(project: Project) -> None:
    forget_known_classes(project)
    call_images(project, "weeds/2.png")
    assert desk_of(project).names().of("weeds/2.png") == "weeds/2.png"

    project.store.classes.add(["weed"])

    assert desk_of(project).names().of("weeds/2.png") == "2.png"


@pytest.mark.parametrize(("wanted", "expected"), [("path", "red/1.png"), ("file", "1.png"), ("nothing", "")])
def test_the_setting_decides(served: Served, wanted: str, expected: str) -> None:
    call_images(served.project, "red/1.png")
    settings = dataclasses.replace(served.project.settings, shown_names=wanted)
    served.project.store.settings.save(settings)

    assert {item["name"] for item in served.items(n=3)} == {expected}


def test_nothing_that_the_labelling_page_is_sent_holds_the_folder(served: Served) -> None:
    call_images(served.project, "secretfolder/1.png")
    for index in range(6):
        item = served.items("tab-one", 1)[0]
        served.answer(served.label(item, class_id=index % 3 + 1))
    finish_round(served.project)
    item = served.items("tab-two", 1)[0]
    texts = [
        served.post("open", {"tab": "tab-three", "n": 5}).text,
        served.post("queue", {"tab": "tab-four", "n": 5}).text,
        served.post("history", {}).text,
        served.post("status", {"tab": "tab-one"}).text,
        served.get(f"why/{item['image']}").text,
        served.get(f"neighbours/{item['image']}").text,
        served.post("sweep", {"tab": "tab-five", "n": 5}).content.decode("utf-8", "replace"),
    ]

    assert all("1.png" in text for text in (texts[0], texts[1], texts[2], texts[6])), texts
    assert not any("secretfolder" in text for text in texts)


def test_an_image_that_cannot_be_shown_is_not_named_by_its_folder(served: Served) -> None:
    call_images(served.project, "secretfolder/1.png")
    item = served.items(n=1)[0]
    served.project.pixels.unlink()

    refused = served.get(f"image/{item['image']}?v={item['version']}")

    assert "1.png" in json.loads(refused.text)["error"]
    assert "secretfolder" not in refused.text


def test_labelled_images_beside_which_one_is_compared_have_no_folder_either(served: Served) -> None:
    call_images(served.project, "secretfolder/1.png")
    label_next(served.project, 12)
    finish_round(served.project)
    item = served.items(n=1)[0]

    groups = served.get(f"neighbours/{item['image']}").json()["groups"]

    assert {near["name"] for group in groups for near in group["items"]} == {"1.png"}
