"""The presenter's view on the demo: all of its screens by key, with what they show brought about live."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import Server
from tidal_core.ui.address import SCREENS

pytestmark = pytest.mark.browser

# The screen whose keys are heard; the component of the keys lies in a shadow of its own.
SHOWN = """(name) => {
  for (const host of document.querySelectorAll("*")) {
    const sign = host.shadowRoot?.querySelector("[data-listens-for]");
    if (sign) return sign.dataset.listensFor === name;
  }
  return false;
}"""

# How many images lie in the grid of the screen, all of them painted.
TILES = """(n) => {
  for (const host of document.querySelectorAll(".st-key-present-exhibit *")) {
    const grid = host.shadowRoot?.querySelector(".tiles");
    const images = [...(grid?.querySelectorAll("img") ?? [])];
    if (grid) return images.length === n && images.every((image) => image.complete && image.naturalWidth);
  }
  return false;
}"""

# Notes every frame in which the curve of the first round is not to be seen, and how many epochs it has.
WATCH = """() => {
  window.tidalSeen = { blank: 0, epochs: [] };
  const look = () => {
    const place = document.querySelector("[class*='st-key-present-round-']");
    const drawn = [...(place?.querySelectorAll(".js-plotly-plot") ?? [])].filter((plot) => {
      const line = plot.querySelector(".scatterlayer .trace path.js-line");
      return line && plot.getBoundingClientRect().width > 500;
    });
    if (place && !drawn.length) window.tidalSeen.blank += 1;
    const epochs = Math.max(0, ...drawn.map((plot) => plot._fullData?.[0]?.x?.length ?? 0));
    if (epochs && window.tidalSeen.epochs.at(-1) !== epochs) window.tidalSeen.epochs.push(epochs);
    window.requestAnimationFrame(look);
  };
  look();
}"""


def on_screen(page: Page, name: str) -> None:
    """Wait until a screen is shown, and see that all of it is on the screen and nothing else."""
    page.wait_for_function(SHOWN, arg=name)
    expect(page.locator(".st-key-present h1")).to_be_visible()
    expect(page.locator('[data-stale="true"]')).to_have_count(0)
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)
    expect(page.locator('[data-testid="stSidebar"]')).to_be_hidden()
    expect(page.get_by_text("Esc: leave")).to_be_in_viewport(ratio=1)


def test_the_whole_story_is_told_by_keys_and_brought_about_live(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    sentence = page.locator(".st-key-present [data-testid=stMarkdownContainer] p").first

    page.goto(f"{server.url}/present?project=digits")
    on_screen(page, "collection")
    expect(page.get_by_role("heading", name="1,297 images")).to_be_visible()
    expect(sentence).to_contain_text("Nobody has said yet what they show.")
    page.wait_for_function(TILES, arg=60)

    page.keyboard.press("ArrowRight")
    on_screen(page, "first")
    page.keyboard.press("Control+ArrowRight")  # the browser's own
    page.keyboard.press("Enter")
    expect(sentence).to_contain_text("The autopilot gave them from known classes")
    page.wait_for_function(TILES, arg=10)

    page.keyboard.press("Space")
    on_screen(page, "round")
    expect(sentence).to_have_text("10 more labels, and the model learns for the first time.")
    page.keyboard.press("Enter")
    page.locator("[class*='st-key-present-round-'] .js-plotly-plot .js-line").first.wait_for()
    page.evaluate(WATCH)
    expect(sentence).to_contain_text("Of images that it never saw it gets")
    seen = page.evaluate("() => window.tidalSeen")
    assert seen["blank"] == 0
    assert seen["epochs"], "of a short round on a slow machine it may be the last one only"
    assert seen["epochs"] == sorted(seen["epochs"])

    page.keyboard.press("PageDown")
    on_screen(page, "unsure")
    expect(sentence).to_have_text(re.compile(r"^Is it “\d” or “\d”\? In the end the model gives"))
    expect(page.locator("[class*='st-key-present-unsure-'] .js-plotly-plot")).to_be_visible()

    page.keyboard.press("ArrowRight")
    on_screen(page, "next")
    expect(sentence).to_contain_text("20 of 1,277 images without a label.")
    page.wait_for_function(TILES, arg=20)

    page.keyboard.press("ArrowRight")
    on_screen(page, "gain")
    expect(page.get_by_role("button", name="Race TiDAL entropy against random (Enter)")).to_be_visible()
    assert re.search(r"[?&]screen=gain(&|$)", page.url)
    page.reload()
    on_screen(page, "gain")

    page.keyboard.press("ArrowRight")
    on_screen(page, "mistake")
    expect(sentence).to_contain_text("No curve speaks against any of the 20 labels")
    page.keyboard.press("Enter")
    expect(sentence).to_contain_text(re.compile("is the most doubtful: .* The class known from the import is"))
    expect(page.locator("[class*='st-key-present-mistake-'] .js-plotly-plot")).to_be_visible()
    expect(page.locator('.st-key-present [data-stale="true"]')).to_have_count(0)
    doubtful = sentence.inner_text()
    page.keyboard.press("k")
    expect(sentence).not_to_have_text(doubtful)

    page.keyboard.press("End")
    on_screen(page, SCREENS[-1])
    expect(page.get_by_role("heading", name="40 of 1,297 labelled")).to_be_visible()
    page.wait_for_function(TILES, arg=24)
    page.keyboard.press("ArrowRight")  # there is no other
    for name in reversed(SCREENS[:-1]):
        page.keyboard.press("ArrowLeft")
        on_screen(page, name)

    page.get_by_role("button", name="Next").click()
    on_screen(page, "first")
    page.keyboard.press("PageUp")
    on_screen(page, "collection")
    page.keyboard.press("Escape")
    expect(page.locator(".labeller")).to_be_visible()
    expect(page.locator('[data-testid="stSidebar"]')).to_be_visible()


def test_keys_that_come_faster_than_screens_are_all_counted(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/present?project=digits")
    on_screen(page, "collection")

    for _ in range(4):
        page.keyboard.press("ArrowRight")

    on_screen(page, "next")
    expect(page.get_by_text("after the first round")).to_be_visible()
