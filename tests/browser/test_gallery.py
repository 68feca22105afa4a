"""The gallery by mouse, and by keyboard alone: choose, select, relabel, take it back, come again."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Page, expect

from benchmarks.made_up import Size, make
from tests.browser.driver import Browsing
from tests.browser.server import Server

pytestmark = pytest.mark.browser

LABELLED_THREE = "labelled and label=3"


@pytest.fixture
def gallery(page: Page, shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> Browsing:
    slug = f"gallery-{secrets.token_hex(3)}"
    with monkeypatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(shared_server.home))
        make(slug, Size(labelled=120, pool=100, test=0, rounds=1, epochs=3)).close()
    return Browsing(page, shared_server.url, slug).open()


def by_mouse(page: Page) -> None:
    """Images that are labelled 3; the first three of them become 5."""
    page.locator(".chip", has_text="labelled").first.click()
    page.get_by_role("combobox", name="Label", exact=True).select_option("3")
    expect(page.locator(".count")).not_to_have_text("220 images")
    tiles = page.get_by_role("gridcell")
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    page.get_by_role("toolbar", name="To the selected images").get_by_role("button", name="5 5").click()


def by_keyboard(page: Page) -> None:
    """The same."""
    page.keyboard.press("/")
    page.keyboard.type("labelled and label=3")
    page.keyboard.press("Enter")
    expect(page.locator(".count")).not_to_have_text("220 images")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("5")


@pytest.mark.parametrize("journey", [by_mouse, by_keyboard])
def test_images_are_found_relabelled_and_taken_back_and_the_address_leads_there_again(
    page: Page, gallery: Browsing, journey: object
) -> None:
    threes, fives = gallery.count(LABELLED_THREE), gallery.count("label=5")
    assert callable(journey)

    journey(page)

    gallery.wait_done("3 images are now 5")
    gallery.wait_shown(threes - 3)
    assert (gallery.count(LABELLED_THREE), gallery.count("label=5")) == (threes - 3, fives + 3)
    page.keyboard.press("Control+z")
    gallery.wait_done("Taken back")
    gallery.wait_shown(threes)
    assert gallery.count("label=5") == fives
    page.wait_for_function("() => /label/.test(location.search)")
    page.reload(wait_until="commit")
    gallery.wait_shown(threes)
    expect(page.get_by_role("grid", name="Images")).to_have_attribute("aria-rowcount", str(-(-threes // columns(page))))


def columns(page: Page) -> int:
    """How many images stand side by side."""
    return int(page.get_by_role("grid", name="Images").get_attribute("aria-colcount") or 0)
