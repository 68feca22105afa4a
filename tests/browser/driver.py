"""Driving the labelling page: open it, press keys, and keep a record of what was painted at each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright

from tests.helpers.gates import WAIT_SECONDS, wait_for

BROWSER_MS = 1000 * WAIT_SECONDS  # ends what hangs

WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")

# Registered before the component: sees every key first, and notes which image is painted at that moment. The pixels
# of the canvas are noted too, so that "painted" is not only the component's own word.
WITNESS = """
window.tidalKeys = [];
window.tidalRoot = () => {
  const look = (node) => {
    for (const each of node.querySelectorAll("*")) {
      if (!each.shadowRoot) continue;
      const found = each.shadowRoot.querySelector(".labeller") || look(each.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  if (!window.tidalFound || !window.tidalFound.isConnected) window.tidalFound = look(document);
  return window.tidalFound;
};
window.addEventListener("keydown", (event) => {
  const root = window.tidalRoot();
  if (!root) return;
  const canvas = root.querySelector(".stage canvas");
  let pixels = null;
  if (window.tidalPixels && canvas && canvas.width <= 64) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    pixels = [...data].filter((_, i) => i % 4 === 0);
  }
  window.tidalKeys.push({ key: event.key, image: Number(root.dataset.painted) || null, at: event.timeStamp, pixels });
}, true);
"""


@dataclass(frozen=True)
class Key:
    """One key that was pressed, and the image that was painted then."""

    key: str
    image: int | None
    pixels: list[int] | None


def let_timers_end(page: Page, milliseconds: int) -> None:
    """Until every timer that the page has set for that time has fired.

    A browser fires timers in the order in which they are due, so this holds on however slow a machine.
    """
    page.evaluate("(ms) => new Promise((done) => setTimeout(done, ms))", milliseconds)


def rest_on(page: Page, x: float, y: float) -> None:
    """Come to rest on a point of a plotly figure until its label is shown."""
    page.mouse.move(x + 1, y + 1)
    page.mouse.move(x, y)
    page.wait_for_selector(".hoverlayer .hovertext")
    let_timers_end(page, 250)


def press(page: Page) -> None:
    """Click where the mouse rests.

    Not ``mouse.click``: it moves once more just before it presses, and plotly, which looks at a move up to 50 ms late,
    then takes a point's label away while the button is down; the click finds nothing (seen on a busy machine).
    """
    page.mouse.down()
    let_timers_end(page, 60)
    page.mouse.up()


# Counts the clicks that a plotly figure took for clicks on a point.
_COUNT_CLICKS = """(figure) => {
  window.tidalClicks = 0;
  document.querySelector(figure).on("plotly_click", () => (window.tidalClicks += 1));
}"""


def click_point(page: Page, figure: str, point: str) -> dict[str, Any]:
    """Click a point of the plotly figure at a selector until plotly has taken it, and say what ``point`` answered.

    ``point`` is a script that says where on the screen (x, y) it is. A figure may be drawn anew, or the page move
    below the mouse, between the look and the click: then it is looked again.
    """
    clicked: list[dict[str, Any]] = []

    def tried() -> bool:
        page.evaluate(_COUNT_CLICKS, figure)
        found: dict[str, Any] = page.evaluate(point)
        clicked.append(found)
        page.mouse.move(found["x"] + 1, found["y"] + 1)
        page.mouse.move(found["x"], found["y"])
        let_timers_end(page, 250)
        press(page)
        return bool(page.evaluate("() => window.tidalClicks"))

    wait_for(tried, "a click on a point")
    return clicked[-1]


def launch(playwright: Playwright, *, webgl: bool = True) -> Browser:
    """The Chromium of this machine, without a window.

    ``webgl`` emulates a graphics card on the CPU, for plotly's clouds of points; every frame of every page is then
    drawn by that emulation, so what measures time, or draws no clouds, goes without.
    """
    from tests.browser.chromium import find

    args = ["--no-sandbox", *(WEBGL if webgl else ("--disable-gpu",))]
    return playwright.chromium.launch(executable_path=find(), args=args)


class Labelling:
    """The labelling page in one tab."""

    def __init__(self, page: Page, url: str, slug: str = "digits", *, pixels: bool = False) -> None:
        self.page, self.url, self.slug = page, url, slug
        self.errors: list[str] = []
        page.set_default_timeout(BROWSER_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.add_init_script(WITNESS + (f"window.tidalPixels = {'true' if pixels else 'false'};"))

    @property
    def root(self) -> Locator:
        """The component."""
        return self.page.locator(".labeller")

    def open(self) -> Labelling:
        """Load the page and wait for the first painted image."""
        self.page.goto(f"{self.url}/?project={self.slug}", wait_until="commit")
        self.wait_painted()
        return self

    def wait_painted(self) -> int:
        """Wait until an image is on screen; its id."""
        self.page.wait_for_function("() => Number(window.tidalRoot()?.dataset.painted) > 0")
        painted = self.painted()
        assert painted is not None
        return painted

    def painted(self) -> int | None:
        """The image on screen, or None while there is none."""
        value = self.page.evaluate("() => Number(window.tidalRoot()?.dataset.painted) || null")
        return None if value is None else int(value)

    def press(self, key: str) -> int | None:
        """Wait for an image, press a key, wait until another image is on screen; the image that was there before."""
        before = self.wait_painted()
        self.page.keyboard.press(key)
        self.wait_other_than(before)
        return before

    def wait_other_than(self, image: int) -> None:
        """Wait until another image is on screen."""
        self.page.wait_for_function(
            "(image) => { const now = Number(window.tidalRoot().dataset.painted); return now > 0 && now !== image; }",
            arg=image,
        )

    def pressed_keys(self) -> list[Key]:
        """Every key so far, with the image that was painted."""
        found: list[dict[str, Any]] = self.page.evaluate("() => window.tidalKeys")
        return [Key(match["key"], match["image"], match["pixels"]) for match in found]

    def wait_saved(self) -> None:
        """Wait until the outbox is empty."""
        self.page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('tidal:outbox:'))")

    def queue(self) -> list[int]:
        """The images that come next in this tab."""
        found: list[int] = self.page.evaluate(
            "() => window.tidalRoot().getRootNode().__tidalLabeller.single.items.map((item) => item.image)"
        )
        return found

    def waiting(self) -> int:
        """How many answers are in the outbox."""
        return int(
            self.page.evaluate(
                "() => Object.keys(localStorage).filter((key) => key.startsWith('tidal:outbox:')).length"
            )
        )

    def wait_ranking(self, round_id: int) -> None:
        """Wait until the queue is the ranking of a round."""
        self.page.wait_for_function(
            "(id) => Number(window.tidalRoot().dataset.ranking) >= id", arg=round_id, timeout=BROWSER_MS
        )


FIND_GALLERY = """
window.tidalGallery = () => {
  const look = (node) => {
    for (const each of node.querySelectorAll("*")) {
      if (!each.shadowRoot) continue;
      const inside = each.shadowRoot.__tidalGallery || look(each.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  return look(document);
};
"""


FIND_REPLAY = """
window.tidalFind = (inside) => {
  const look = (node) => {
    for (const each of node.querySelectorAll("*")) {
      const found = inside(each) || (each.shadowRoot && look(each.shadowRoot));
      if (found) return found;
    }
    return null;
  };
  return look(document);
};
window.tidalReplayPage = () => window.tidalFind((each) => each.shadowRoot?.__tidalReplay);
window.tidalPlayer = () => window.tidalFind((each) => each.tidalPlayer ?? each.shadowRoot?.__tidalReplay?.player);
"""
"""The player of a replay, on the studio's page or an exported one: ``window.tidalPlayer()``."""


class Browsing:
    """The gallery in one tab."""

    def __init__(self, page: Page, url: str, slug: str) -> None:
        self.page, self.address = page, f"{url}/gallery?project={slug}"
        page.set_default_timeout(BROWSER_MS)
        page.add_init_script(FIND_GALLERY)

    def open(self) -> Browsing:
        """Load the page and wait for its images."""
        self.page.goto(self.address, wait_until="commit")
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Until all thumbnails on screen are painted."""
        self.page.wait_for_function("() => window.tidalGallery()?.root.dataset.ready === 'yes'", polling=5)

    def wait_shown(self, images: int) -> None:
        """Until so many images are to be scrolled through, and those on screen are painted."""
        self.page.wait_for_function(
            "(n) => { const { root } = window.tidalGallery() ?? {};"
            " return root?.dataset.ready === 'yes' && Number(root.dataset.shown) === n; }",
            arg=images,
        )

    def wait_done(self, text: str) -> None:
        """Until an act has been answered in these words, and its images are shown."""
        self.page.wait_for_function(
            "(text) => { const { root, acts } = window.tidalGallery();"
            " return root.querySelector('.result').textContent.includes(text) && !acts.busy; }",
            arg=text,
            polling=5,
        )
        self.wait_ready()

    def choose(self, filters: dict[str, str]) -> float:
        """Choose images, as chips, menus and words do; milliseconds until their thumbnails were painted."""
        self.page.evaluate("(filters) => window.tidalGallery().filters.choose(filters)", filters)
        self.wait_ready()
        return float(self.page.evaluate("() => Number(window.tidalGallery().root.dataset.ms)"))

    def count(self, condition: str) -> int:
        """How many images the server says fulfil a condition."""
        return int(
            self.page.evaluate(
                "async (where) => (await window.tidalGallery().api.json("
                "`collection/counts?${new URLSearchParams({ where })}`)).n",
                condition,
            )
        )
