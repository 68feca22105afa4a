"""Projects that are not as one would like them, on the pages that look at rounds, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.made_up import Size, make
from tests.browser.server import Server
from tests.pages.looking import fail_round, start_round
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.projects import create_project

pytestmark = pytest.mark.browser

PAGES = ("dynamics?view=life", "dynamics?view=groups", "uncertainty", "progress")
NO_ROUND = Size(labelled=0, pool=30, test=5, rounds=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos in a folder: red, green, blue."""
    folder = tmp_path_factory.mktemp("photos")
    for place, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (60 + place, 50), colour).save(folder / f"{colour}.png")
    return folder


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Server]:
    """One server with an odd project of every kind."""
    home = tmp_path_factory.mktemp("odd") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(home))
        make("one-label", Size(labelled=1, pool=20, test=10, rounds=1, epochs=3, first=1)).close()
        make("one-class", Size(labelled=0, pool=20, test=0, rounds=0, classes=1), class_names=("thing",)).close()
        many = tuple(f"species {number}" for number in range(200))
        make("many", Size(labelled=60, pool=80, test=40, rounds=2, epochs=4, classes=200), class_names=many).close()
        failed = make("failed", NO_ROUND)
        failed.store.settings.save(ProjectSettings(rounds_enabled=False))
        fail_round(failed, start_round(failed), "The disk is full.")
        failed.close()
        own = create_project("own", ProjectSettings(title="Own", training_size=16))
        ingest(own, str(photos))
        own.close()
        with Server(home) as server:
            yield server


def visit(page: Page, server: Server, address: str, project: str) -> None:
    """Open a page to the end of its script; fails on an exception in it."""
    page.goto(f"{server.url}/{address}{'&' if '?' in address else '?'}project={project}")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator('[data-testid="stException"]').count() == 0


def test_two_hundred_classes_are_drawn_on_every_page(odd: Server, page: Page) -> None:
    for address in PAGES:
        visit(page, odd, address, "many")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()


@pytest.mark.parametrize(
    ("project", "address", "said"),
    [
        ("one-label", "dynamics?view=life", "Image 1"),
        ("one-label", "progress", "Progress"),
        ("one-class", "uncertainty", "at least two classes"),
        ("one-label", "replay", "Round 1 of 1, epoch 1 of 3"),
        ("many", "replay?round=2&epoch=4", "Round 2 of 2, epoch 4 of 4"),
        ("failed", "replay", "The disk is full."),
        ("failed", "training", "The disk is full."),
        ("failed", "dynamics?view=map", "The disk is full."),
    ],
)
def test_a_page_says_what_there_is_to_say(odd: Server, page: Page, project: str, address: str, said: str) -> None:
    visit(page, odd, address, project)

    expect(page.locator("[data-testid=stMain]").get_by_text(said).first).to_be_visible()


def test_an_image_is_shown_after_its_file_was_renamed_and_after_it_vanished(
    odd: Server, page: Page, photos: Path
) -> None:
    def shows(image: int) -> bool:
        visit(page, odd, f"dynamics?image={image}", "own")
        expect(page.get_by_text(f"Image {image}", exact=True)).to_be_visible()
        picture = page.locator("[data-testid=stMain] [data-testid=stImage] img")
        expect(picture).to_be_visible()
        return bool(picture.evaluate("one => one.complete && one.naturalWidth > 0"))

    (photos / "green.png").rename(photos / "grass.png")
    (photos / "blue.png").unlink()

    for image in (1, 2):  # blue, and green, which is now grass: from the files, in the order of their names
        assert shows(image)
