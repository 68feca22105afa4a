"""A project of 8,000 classes, as many as iNaturalist has: the page opens, and a class is found by typing."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import Server
from tests.images.photos import save
from tidal_core.images.ingest import ingest
from tidal_core.projects import create_project, open_project

pytestmark = pytest.mark.browser


def test_one_of_eight_thousand_classes_is_found_by_typing(page: Page, tidal_home: Path, tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "photos" / f"{i}.jpg", seed=i)
    project = create_project("species", classes=tuple(f"species {i:04d}" for i in range(8_000)))
    ingest(project, str(tmp_path / "photos"))
    project.close()

    with Server(tidal_home) as server:
        labelling = Labelling(page, server.url, "species").open()
        first = labelling.wait_painted()
        page.keyboard.press("/")
        page.keyboard.type("7654")
        page.keyboard.press("Enter")
        expect(labelling.root.locator(".last strong")).to_have_text("You said species 7654")
        labelling.wait_other_than(first)
        labelling.wait_saved()

    project = open_project("species")
    (stored,) = project.store.answers.all()
    assert stored.answer.class_id is not None
    assert project.store.classes.get(stored.answer.class_id).name == "species 7654"
    assert stored.answer.image_id == first
    project.close()
