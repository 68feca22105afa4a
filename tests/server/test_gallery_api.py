"""Thumbnails with the names that may be shown, and the labels of some images, for the gallery."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.served import Served
from tidal_core.images.previews import unpack
from tidal_core.server.owner_client import ROWS_HEADER


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    made = Served(n=6)
    yield made
    made.close()


def tiles(served: Served, images: list[int]) -> tuple[dict[str, str], list[int]]:
    """Names by id, and the images whose thumbnail came."""
    body = served.post("tiles", {"images": images}).content
    (length,) = struct.unpack_from(">I", body)
    return json.loads(body[4 : 4 + length]), [image.id for image in unpack(body[4 + length :])]


def test_each_image_comes_with_the_name_that_may_be_shown(served: Served) -> None:
    images = served.project.store.images
    images.set_places([(image.id, image.uri, f"secret/photo {image.id}.png") for image in images.all()])

    names, pictures = tiles(served, [3, 1, 999])

    assert names == {"3": "photo 3.png", "1": "photo 1.png"}
    assert pictures == [3, 1]


def test_of_a_photo_that_is_gone_what_the_model_saw_is_shown(served: Served) -> None:
    images = served.project.store.images
    images.set_places([(2, "/nowhere/gone.png", "gone.png")])

    names, pictures = tiles(served, [2])

    assert (names, pictures) == ({"2": "gone.png"}, [2])


def test_the_labels_of_the_chosen_images_are_a_table(served: Served) -> None:
    assert served.post("bulk", {"act": "label", "class": 2, "ids": [1, 2, 3]}).json()["changed"] == 3

    answer = served.post("collection/table", {"ids": [3, 1, 5]})

    rows = list(csv.DictReader(answer.text.splitlines()))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers[ROWS_HEADER] == "2"
    assert [(row["image_id"], row["label"]) for row in rows] == [("1", "green"), ("3", "green")]
