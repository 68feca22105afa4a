"""The gallery by mouse, and by keyboard alone: choose, select, relabel, take it back, come again."""

from __future__ import annotations

import dataclasses
import secrets

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks.made_up import Size, make
from tests.browser.driver import Browsing
from tests.browser.server import Server
from tidal_core.rounds import features

pytestmark = pytest.mark.browser

LABELLED_THREE = "labelled and label=3"


@pytest.fixture
def gallery(page: Page, shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> Browsing:
    slug = f"gallery-{secrets.token_hex(3)}"
    with monkeypatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(shared_server.home))
        project = make(slug, Size(labelled=120, pool=100, test=0, rounds=1, epochs=3))
        settings = project.settings
        frozen = dataclasses.replace(settings, preset="frozen", training_size=32, strategy="exact-margin")
        project.store.settings.save(frozen, shown=settings)
        store = features.wanted(project)
        assert store is not None
        ids, rows = project.store.images.ids_and_pixel_rows()
        store.write(rows, np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float16), (8,))
        project.close()
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


CORNERS = """() => {
  const { left, top, width, height } = window.tidalGallery().plane.canvas.getBoundingClientRect();
  const corners = [[0.5, 0.002], [0.002, 0.002], [0.002, 0.998], [0.5, 0.998]];
  return corners.map(([x, y]) => [left + x * width, top + y * height]);
}"""
SIDES = """() => {
  const { plane, list } = window.tidalGallery();
  const middle = plane.canvas.width / 2;
  const within = (test) => [...list.all.images].filter((image, place) => test(plane.at(place)[0]));
  return [within((x) => x < middle - 3), within((x) => x > middle + 3)];
}"""
SELECTED = """() => {
  const { selection, list } = window.tidalGallery();
  return list.images(0, list.n).filter((image, place) => selection.has(place));
}"""
LABEL_ELSEWHERE = """([ids, name]) => {
  const { api, classes } = window.tidalGallery();
  const { id } = classes.find((each) => each.name === name);
  return api.json("bulk", { act: "label", ids, class: id, annotator: "another tab" });
}"""


def test_the_map_has_the_selection_of_the_grid_and_labels_of_another_tab_show(page: Page, gallery: Browsing) -> None:
    page.goto(f"{gallery.address}&as=map", wait_until="commit")
    page.wait_for_function("() => window.tidalGallery()?.plane.placed === 220")
    gallery.wait_ready()
    expect(page.locator(".chip .n").first).not_to_be_empty()  # nothing moves the map any more
    begin, *corners = page.evaluate(CORNERS)
    page.mouse.move(*begin)
    page.mouse.down()
    for corner in corners:
        page.mouse.move(*corner, steps=2)
    left, right = map(set, page.evaluate(SIDES))  # a finer map does not take its place while a line is drawn
    page.mouse.up()

    selected = page.evaluate(SELECTED)
    assert left
    assert right
    assert left <= set(selected)
    assert not right & set(selected)
    page.keyboard.press("5")
    gallery.wait_done("now 5")
    page.get_by_role("button", name="Grid", exact=True).click()
    gallery.wait_ready()
    assert page.evaluate(SELECTED) == selected

    page.evaluate(LABEL_ELSEWHERE, [[1, 2, 3], "7"])

    for image in (1, 2, 3):
        expect(page.locator(f'.tile[data-image="{image}"] .caption .text')).to_have_text("7")
    assert page.evaluate(SELECTED) == selected
    page.get_by_role("gridcell").nth(0).dblclick()
    page.wait_for_url("**/dynamics**")
    page.go_back()
    page.wait_for_url("**/gallery**")
    gallery.wait_ready()


SKIP_ELSEWHERE = (
    """() => window.tidalGallery().api.json("bulk", { act: "skip", ids: [150], annotator: "another tab" })"""
)


def test_where_no_image_is_like_that_the_gallery_goes_on_looking(page: Page, gallery: Browsing) -> None:
    gallery.choose({"is": "skipped"})
    gallery.wait_shown(0)
    expect(page.locator(".nothing")).to_have_text("No image is like that.")
    page.evaluate(SKIP_ELSEWHERE)

    gallery.wait_shown(1)
    expect(page.locator(".chip", has_text="skipped")).to_have_text("skipped1")


def columns(page: Page) -> int:
    """How many images stand side by side."""
    return int(page.get_by_role("grid", name="Images").get_attribute("aria-colcount") or 0)
