"""The gallery's page: what the component is handed, what stays in the address, and what an empty project says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.tiny import tiny_project
from tests.pages.looking import made_up, open_page, start_round, texts
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError
from tidal_core.projects import create_project
from tidal_core.server.studio import Studio
from tidal_core.store.where import parse
from tidal_core.ui.gallery import SORTS


def handed(page: AppTest) -> dict[str, Any]:
    """What the component was given."""
    (mounted,) = [
        node.proto for node in page.get("bidi_component") if node.proto.component_name.endswith("tidal_gallery")
    ]
    data: dict[str, Any] = json.loads(mounted.json)
    return data


def test_the_filter_of_the_address_is_handed_to_the_component(studio: Studio) -> None:
    tiny_project(12, test=0).close()

    data = handed(open_page("gallery", "tiny", where="margin<0.2", label="red", sort="-id", nonsense="1"))

    assert data["filter"] == {
        "where": "margin<0.2", "is": "", "label": "red", "predicted": "", "by": "", "sort": "-id", "as": "",
    }  # fmt: skip
    assert data["features"] is False


def test_a_project_without_images_says_where_they_come_from(studio: Studio) -> None:
    create_project("bare", ProjectSettings(title="Bare"), ("a", "b")).close()

    page = open_page("gallery", "bare")

    assert "This project has no images yet." in texts(page)
    assert not [node for node in page.get("bidi_component") if "gallery" in node.proto.component_name]


def test_a_round_that_ends_is_a_new_version_of_what_the_model_says(studio: Studio) -> None:
    project = made_up(studio)
    before = handed(open_page("gallery"))["version"]

    start_round(project)

    assert handed(open_page("gallery"))["version"] != before


@pytest.mark.parametrize("sort", SORTS)
def test_each_order_is_one_that_the_collection_knows(studio: Studio, sort: str) -> None:
    project = made_up(studio)

    ids = project.store.collection.ids(parse("", []), sort=sort.removeprefix("-"), descending=sort.startswith("-"))

    assert len(ids) == project.store.images.count()
    with pytest.raises(InputError):
        project.store.collection.ids(parse("", []), sort=sort + "x")
