"""The pages that look at rounds, in a real browser: a click on the map, a live round, an address that was sent."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.made_up import Size, make
from tests.browser.driver import click_point
from tests.browser.screenshots import training_for_long
from tests.browser.server import Server
from tests.helpers.gates import RoundGate
from tidal_core.figures import cloud

pytestmark = pytest.mark.browser

SIZE = Size(labelled=60, pool=80, test=40, rounds=2, epochs=8)

# Notes every frame in which no drawn figure was in the place of the live one, and how many points the newest has.
WATCH = """
() => {
  window.tidalSeen = { blank: 0, points: [] };
  const look = () => {
    const drawn = [...document.querySelectorAll(".st-key-live-figure .js-plotly-plot")].filter((plot) => {
      const path = plot.querySelector(".scatterlayer .trace path.js-line");
      const wide = plot.getBoundingClientRect().width > 500;
      return wide && path && path.getBoundingClientRect().width > 0 && getComputedStyle(plot).visibility === "visible";
    });
    if (!drawn.length) window.tidalSeen.blank += 1;
    const points = Math.max(0, ...drawn.map((plot) => plot._fullData?.[0]?.x?.length ?? 0));
    if (points && window.tidalSeen.points.at(-1) !== points) window.tidalSeen.points.push(points);
    window.requestAnimationFrame(look);
  };
  look();
}
"""

# Where on the screen a point of the data map lies, and which image it is. The outermost point to the left: nothing
# else lies on top of it.
POINT = """
() => {
  const plot = document.querySelector("[class*='st-key-map-'] .js-plotly-plot");
  const trace = plot._fullData[0], { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
  let place = 0;
  trace.x.forEach((x, i) => { if (x < trace.x[place]) place = i; });
  return {
    image: Number(trace.customdata[place]),
    x: box.x + xaxis._offset + xaxis.l2p(trace.x[place]),
    y: box.y + yaxis._offset + yaxis.l2p(trace.y[place]),
  };
}
"""


LIVE = "[...document.querySelectorAll('.st-key-live-figure .js-plotly-plot')]"
LISTENED_TO = f"() => {LIVE}.every((plot) => plot.tidalMoved)"
RANGES = f"() => {LIVE}.map((plot) => plot._fullLayout.xaxis.range)"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("TIDAL_HOME", str(folder))
    return folder


@pytest.fixture
def looked_at(home: Path) -> Iterator[Server]:
    make("made-up", SIZE).close()
    with Server(home) as server:
        yield server


def test_the_first_visitor_by_the_address_of_a_life_sees_it_within_the_app(looked_at: Server, page: Page) -> None:
    page.goto(f"{looked_at.url}/dynamics?project=made-up&image=7")

    expect(page.get_by_text("Image 7", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Training")).to_be_visible()
    expect(page.locator(".st-key-life .js-plotly-plot")).to_be_visible()

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{looked_at.url}/uncertainty?project=made-up")
    scores = page.get_by_role("radiogroup", name="Score").get_by_role("radio")
    expect(scores.last).to_be_visible()
    for score in scores.all():
        expect(score).to_be_in_viewport(ratio=1)


def test_a_click_on_a_point_of_the_data_map_shows_that_images_life(looked_at: Server, page: Page) -> None:
    page.goto(f"{looked_at.url}/dynamics?project=made-up&view=map")
    page.wait_for_selector("[class*='st-key-map-'] .js-plotly-plot .scatterlayer .point")

    point = click_point(page, "[class*='st-key-map-'] .js-plotly-plot", POINT)

    expect(page.get_by_text(f"Image {point['image']}", exact=True)).to_be_visible()
    expect(page.locator(".st-key-life .js-plotly-plot .scatterlayer .trace").first).to_be_visible()


def test_a_map_of_many_images_is_drawn_with_webgl_and_without(home: Path, page: Page) -> None:
    make("crowd", Size(labelled=cloud.PLAIN + 100, pool=20, test=20, rounds=1, epochs=2)).close()
    with Server(home) as server:
        address = f"{server.url}/dynamics?project=crowd&view=map"
        page.goto(address)
        if page.evaluate("() => !!document.createElement('canvas').getContext('webgl')"):
            page.wait_for_function(
                "() => document.querySelector('[class*=st-key-map-] .js-plotly-plot')"
                "?._fullLayout?._plots?.xy?._scene?.count > 0"
            )
            expect(page.locator("[class*='st-key-map-'] .gl-container canvas").first).to_be_visible()
            expect(page.get_by_text("WebGL")).to_have_count(0)

        page.add_init_script(
            "const real = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
            "  return kind.includes('webgl') ? null : real.call(this, kind, ...more); };"
        )
        page.goto(address)

        drawn = re.compile(rf"no WebGL, so {cloud.PLAIN:,} of 3,\d\d\d points are drawn")
        expect(page.get_by_text(drawn)).to_be_visible()
        page.wait_for_selector("[class*='st-key-map-'] .js-plotly-plot .scatterlayer .point")
        # Of a crowd the points to the left lie on top of each other.
        rightmost = POINT.replace("x < trace.x[place]", "x > trace.x[place]")
        point = click_point(page, "[class*='st-key-map-'] .js-plotly-plot", rightmost)
        expect(page.get_by_text(f"Image {point['image']}", exact=True)).to_be_visible()


def test_a_live_round_gains_epochs_without_a_click_and_without_flicker(home: Path, gate: RoundGate, page: Page) -> None:
    assert os.environ["TIDAL_HOME"] == str(home)
    project = training_for_long(labels=24)
    project.store.settings.save(dataclasses.replace(project.settings, preset="quick"))
    project.close()
    gate.allow(2)
    with Server(home, gate=gate) as server:
        page.goto(f"{server.url}/training?project=live")
        # Its points: a line between two epochs of the same accuracy has no height, and counts as not to be seen.
        page.locator(".st-key-live-figure .scatterlayer .trace .points path:visible").first.wait_for()
        page.evaluate(WATCH)
        for epochs in (3, 4, 5):
            gate.allow(epochs)
            page.wait_for_function("(epochs) => window.tidalSeen.points.at(-1) === epochs", arg=epochs)

        seen = page.evaluate("() => window.tidalSeen")

        assert seen["blank"] == 0
        assert seen["points"][-3:] == [3, 4, 5]
        assert seen["points"] == sorted(seen["points"])

        # Who looks closer goes on looking at that; a double click shows all of it, with what is new.
        page.wait_for_function(LISTENED_TO)
        box = page.locator(".st-key-live-figure .nsewdrag").first.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.2 * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
        page.mouse.up()
        expect(page.get_by_text("stands still while you look closer")).to_be_visible()
        before = page.evaluate(RANGES)
        gate.allow(8)
        expect(page.get_by_test_id("stMetricValue").filter(has_text="8 of ")).to_be_visible()
        assert page.evaluate(RANGES) == before
        assert page.evaluate("() => window.tidalSeen.points.at(-1)") == 5
        page.mouse.dblclick(box["x"] + box["width"] / 2, middle)
        page.wait_for_function("() => window.tidalSeen.points.at(-1) === 8")

        page.get_by_role("button", name="Cancel this round").click()
        expect(page.get_by_text(re.compile("was cancelled"))).to_be_visible()


# How many figures a page had been sent when its first one was drawn.
FIRST = """
() => {
  const look = () => {
    if (!document.querySelector(".js-plotly-plot .main-svg")) return;
    observer.disconnect();
    window.tidalSent = document.querySelectorAll(".js-plotly-plot, [data-testid='stSkeleton']").length;
  };
  const observer = new MutationObserver(look);
  const whole = { childList: true, subtree: true };
  document.addEventListener("DOMContentLoaded", () => observer.observe(document.body, whole));
}
"""


@pytest.mark.parametrize(("address", "least"), [("uncertainty", 4), ("training", 3), ("dynamics?view=life", 3)])
def test_the_first_figure_is_drawn_before_the_rest_of_the_page_is_sent(
    looked_at: Server, page: Page, address: str, least: int
) -> None:
    page.add_init_script(f"({FIRST})()")

    page.goto(f"{looked_at.url}/{address}{'&' if '?' in address else '?'}project=made-up")

    expect(page.locator(".js-plotly-plot .main-svg:first-child")).not_to_have_count(0)
    page.wait_for_function("(n) => document.querySelectorAll('.js-plotly-plot').length >= n", arg=least)
    assert page.evaluate("() => window.tidalSent") == 1


def test_a_page_is_whole_also_where_no_figure_can_be_drawn(looked_at: Server, page: Page) -> None:
    page.route(re.compile(r"/static/js/.*[Pp]lotly.*\.js"), lambda route: route.abort())

    page.goto(f"{looked_at.url}/training?project=made-up")

    expect(page.get_by_role("heading", name="History")).to_be_visible()
