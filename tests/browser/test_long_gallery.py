"""The gallery of a list that is longer than what the browser has of it: scrolled, chosen from and come back to."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.made_up import Size, make
from tests.browser.driver import Browsing
from tests.browser.server import Server
from tests.helpers.gates import wait_for

pytestmark = pytest.mark.browser

IMAGES = 4_000


@pytest.fixture
def gallery(page: Page, shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> Browsing:
    slug = f"long-{secrets.token_hex(3)}"
    with monkeypatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(shared_server.home))
        make(slug, Size(labelled=100, pool=IMAGES - 100, test=0, rounds=1, epochs=3)).close()
    return Browsing(page, shared_server.url, slug).open()


IDS = """async (where) => {
  const { api, filters } = window.tidalGallery();
  const address = where === null ? filters.address() : `collection?${new URLSearchParams({ where })}`;
  const bytes = await (await api.request(address)).arrayBuffer();
  const length = new DataView(bytes).getUint32(0);
  const { n } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return [...new Int32Array(bytes, 4 + length, n)];
}"""
KNOWS_ALL_ANSWERS = """async () => {
  const gallery = window.tidalGallery();
  return (await gallery.api.json("collection/version")).version === gallery.version;
}"""
OTHERS = """([ids, name]) => {
  const { api, classes } = window.tidalGallery();
  const { id } = classes.find((each) => each.name === name);
  return api.json("bulk", { act: "label", ids, class: id, annotator: "another tab" });
}"""
SCROLL_TO = "(place) => { const { grid } = window.tidalGallery(); grid.reveal(place); }"
IN_BROWSER = "() => { const { list } = window.tidalGallery(); return list.images(0, list.n).length; }"
BAR = """(share) => {
  const { scroller, scroll } = window.tidalGallery().grid;
  scroller.scrollTop = share * (scroller.scrollHeight - scroller.clientHeight);
  scroll.settle(); // before the browser says that it has scrolled
}"""
FIRST_ROW = "() => window.tidalGallery().grid.visible()[0]"
SHOWN = """(place) => {
  const { grid, list } = window.tidalGallery();
  const there = [...grid.tiles()].find((tile) => tile.place === place);
  return grid.isWhole && list.image(place) > 0 && Number(there?.dataset.image) === list.image(place);
}"""


def ids(page: Page, where: str | None = None) -> list[int]:
    """The images of a condition, or all of those that are shown, in their order."""
    found: list[int] = page.evaluate(IDS, where)
    return found


def tile(page: Page, place: int) -> Locator:
    return page.locator(f"#tidal-tile-{place}")


def show(page: Page, place: int) -> None:
    page.evaluate(SCROLL_TO, place)
    page.wait_for_function(SHOWN, arg=place)


def test_a_range_over_rows_that_the_browser_never_had_acts_on_exactly_these_rows_of_the_order(
    page: Page, gallery: Browsing
) -> None:
    gallery.choose({"is": "unlabelled", "sort": "margin"})
    order = ids(page)
    assert len(order) == IMAGES - 100
    tile(page, 3).click()
    show(page, 3_000)
    assert page.evaluate(IN_BROWSER) < 2_000
    tile(page, 3_000).click(modifiers=["Shift"])
    expect(page.locator(".count")).to_contain_text("2,998 selected")
    meanwhile = order[1_500:1_503] + order[:2]
    page.evaluate(OTHERS, [meanwhile, "7"])
    page.wait_for_function(KNOWS_ALL_ANSWERS)  # of the rows on its screen
    before = set(ids(page, 'label="5"'))

    page.keyboard.press("5")

    gallery.wait_done("2,995 images are now 5")
    expect(page.locator(".result")).to_contain_text("3 were answered meanwhile")
    now = set(ids(page, 'label="5"')) - before
    assert now == set(order[3:3_001]) - set(meanwhile)
    gallery.wait_shown(IMAGES - 100 - 2_995 - 5)
    expect(page.locator(".count")).not_to_contain_text("selected")  # they have left the list
    page.keyboard.press("u")
    gallery.wait_done("Taken back")
    gallery.wait_shown(IMAGES - 100 - 5)
    assert ids(page) == [image for image in order if image not in meanwhile]


def test_all_rows_can_be_scrolled_to_however_many_pixels_they_are(page: Page, gallery: Browsing) -> None:
    order = ids(page)
    page.evaluate("() => { const { grid } = window.tidalGallery(); grid.scroll.tallest = 6000; grid.layout(true); }")
    page.get_by_role("grid", name="Images").focus()

    page.keyboard.press("End")

    page.wait_for_function(SHOWN, arg=IMAGES - 1)
    expect(tile(page, IMAGES - 1)).to_have_attribute("data-image", str(order[-1]))
    expect(tile(page, IMAGES - 1)).to_be_in_viewport()
    page.keyboard.press("Shift+Home")
    page.wait_for_function(SHOWN, arg=0)
    expect(page.locator(".count")).to_contain_text("4,000 selected")
    # The bar, dragged to its middle, shows the middle; the wheel goes on from there by as much as it says.
    page.evaluate(BAR, 0.5)
    wait_for(lambda: 1_800 <= page.evaluate(FIRST_ROW) * columns(page) <= 2_200, "the middle of the list")
    page.evaluate(BAR, 1)
    page.wait_for_function(SHOWN, arg=IMAGES - 1)
    box = page.get_by_role("grid", name="Images").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    rows = [page.evaluate(FIRST_ROW)]
    for _ in range(12):
        top = page.evaluate("() => window.tidalGallery().grid.scroll.top")
        page.mouse.wheel(0, -300)
        page.wait_for_function("(top) => Math.abs(window.tidalGallery().grid.scroll.top - top + 300) < 2", arg=top)
        rows.append(page.evaluate(FIRST_ROW))
    assert rows == sorted(rows, reverse=True)
    page.evaluate(BAR, 0)
    page.wait_for_function(SHOWN, arg=0)
    expect(tile(page, 0)).to_be_in_viewport()


def test_whoever_comes_back_from_an_image_stands_at_that_image_again(page: Page, gallery: Browsing) -> None:
    gallery.choose({"sort": "-id"})
    show(page, 2_500)
    image = tile(page, 2_500).get_attribute("data-image")
    assert image == str(IMAGES - 2_500)
    tile(page, 2_500).dblclick()
    page.wait_for_url("**/dynamics**")

    page.go_back()

    page.wait_for_url("**/gallery**")
    page.wait_for_function("() => window.tidalGallery()?.root.dataset.ready === 'yes'")
    page.wait_for_function(SHOWN, arg=2_500)
    expect(tile(page, 2_500)).to_have_attribute("data-image", image)
    expect(tile(page, 2_500)).to_be_in_viewport()
    assert page.evaluate("() => window.tidalGallery().grid.current") == 2_500


def test_a_list_that_the_studio_no_longer_has_changes_nothing_and_is_read_anew(page: Page, gallery: Browsing) -> None:
    page.get_by_role("button", name="Select all").click()
    page.evaluate("() => localStorage.setItem('tidal:name', 'Zoe')")  # whose lists are others
    flagged = gallery.count("flagged")

    page.keyboard.press("f")

    expect(page.locator(".result")).to_contain_text("Nothing was changed: the list had to be read anew.")
    assert gallery.count("flagged") == flagged
    expect(page.locator(".count")).to_contain_text("4,000 selected")  # it has the same images in the same order
    page.keyboard.press("f")
    gallery.wait_done("4,000 images are flagged")
    assert gallery.count("flagged") == IMAGES


def columns(page: Page) -> int:
    """How many images stand side by side."""
    return int(page.get_by_role("grid", name="Images").get_attribute("aria-colcount") or 0)
