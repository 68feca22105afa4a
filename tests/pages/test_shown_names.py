"""No page shows an image's folder to people who may still label it, where folders may be classes."""

from __future__ import annotations

import pytest

from tests.pages.looking import made_up, open_page
from tests.pages.test_hostile_names import parts_of
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind
from tidal_core.server.studio import Studio

FOLDER = "secretfolder"


def in_a_folder(studio: Studio) -> Project:
    project = made_up(studio)
    project.store.images.set_places(
        [
            (image.id, f"/photos/{image.id}.png", f"{FOLDER}/photo {image.id}.png")
            for image in project.store.images.all()
        ]
    )
    image_id = int(project.store.images.unlabelled_ids()[0])
    project.store.answers.record([Answer("skipped-1", AnswerKind.SKIP, image_id, reason="unclear")])
    return project


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("dynamics", {"view": "life"}), ("dynamics", {"view": "aside"}), ("dynamics", {"view": "map"}),
        ("replay", {}), ("uncertainty", {}), ("progress", {}), ("predictions", {}),
    ],
)  # fmt: skip
def test_pages_that_show_images_do_not_show_their_folder(studio: Studio, page: str, query: dict[str, str]) -> None:
    project = in_a_folder(studio)
    if query.get("view") == "life":
        query = {**query, "image": str(project.store.images.unlabelled_ids()[0])}

    shown = [text for _, _, text in parts_of(open_page(page, **query))]

    assert not [text for text in shown if FOLDER in text]
    assert page != "dynamics" or any("photo" in text for text in shown)
