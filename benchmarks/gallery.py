"""How fast the gallery is on a large collection.

    python -m benchmarks.gallery [--quick]

A made-up project of 200,000 images (20,000 with a label, one finished round), the real server and a real Chromium of
1440 x 900 pixels without a graphics card. Prints one JSON line last:
  first_page_s  from the request to all thumbnails on the first screen painted; another page was open before
  filter_ms     95th percentile, over conditions that are chosen by chips, menus, words and order: from the choice to
                all thumbnails of the new screen painted
  filter_p50_ms their median
  scroll_fps    frames a second while the grid scrolls by a screen a second for five seconds
  bulk_10k_s    from the key of a class to 10,000 selected images relabelled and shown
  undo_s        from Ctrl+Z to that act taken back and shown
  memory_mb     of the tab's process after all that, with what it shares with other processes
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.made_up import Size, make
from tests.browser.driver import BROWSER_MS, Browsing, launch
from tests.browser.server import Server

LARGE = Size(labelled=20_000, pool=180_000, test=0, rounds=1, epochs=3)
SMALL = Size(labelled=60, pool=200, test=0, rounds=1, epochs=3)
SLUG = "gallery"
FILTERS = ("where", "is", "label", "predicted", "by", "sort")
CHOICES: tuple[dict[str, str], ...] = (
    {"is": "labelled"}, {"is": "unlabelled"}, {"is": "disagrees"}, {"is": ""}, {"label": "3"}, {"predicted": "5"},
    {"label": "", "predicted": "7"}, {"sort": "margin"}, {"sort": "-entropy"}, {"predicted": ""}, {"sort": "name"},
    {"where": "margin<0.2"}, {"where": "predicted=3 and margin<0.2"}, {"where": "name ~ 'page 0012'"},
    {"where": "p>0.9 and not labelled"}, {"where": "", "sort": ""}, {"by": "ada"}, {"by": "", "sort": "p_bar"},
    {"sort": "-id"}, {"is": "labelled,skipped", "label": "4"}, {"is": "", "label": "", "sort": ""},
)  # fmt: skip
SCROLL = """(seconds) => new Promise((done) => {
  const { scroller } = window.tidalGallery().grid;
  const began = performance.now();
  let frames = 0, before = began;
  const step = (now) => {
    frames += 1;
    scroller.scrollTop += (scroller.clientHeight * (now - before)) / 1000;
    before = now;
    if (now - began < 1000 * seconds) requestAnimationFrame(step);
    else done((1000 * frames) / (now - began));
  };
  requestAnimationFrame(step);
})"""


def opened(browser: Browser, url: str) -> tuple[Browsing, float]:
    """The gallery in a tab, and the seconds until its first screen was there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    first = context.new_page()
    first.set_default_timeout(BROWSER_MS)
    first.goto(f"{url}/project?project={SLUG}")  # the browser has the program, the server its modules
    first.get_by_role("heading", name="Project").first.wait_for(timeout=BROWSER_MS)
    first.close()
    began = time.perf_counter()
    gallery = Browsing(context.new_page(), url, SLUG).open()
    return gallery, time.perf_counter() - began


def filter_times(gallery: Browsing, choices: Sequence[dict[str, str]], pause: float) -> list[float]:
    """Milliseconds of each choice; between them a person looks, and it is counted how many images each has."""
    times = []
    for choice in choices:
        times.append(gallery.choose(choice))
        gallery.page.wait_for_timeout(1000 * pause)
    return times


def relabel(gallery: Browsing, n: int) -> tuple[float, float]:
    """Seconds to relabel the first n images in one act, and to take it back."""
    gallery.page.evaluate(
        "(n) => { const { grid, selection } = window.tidalGallery();"
        " selection.range(0, n - 1); grid.repaintSelection(); grid.focus(); }",
        n,
    )
    times = []
    for key, said in (("1", "now"), ("Control+z", "Taken back")):
        began = time.perf_counter()
        gallery.page.keyboard.press(key)
        gallery.wait_done(said)
        times.append(time.perf_counter() - began)
    return times[0], times[1]


def tab_megabytes(browser: Browser) -> float:
    """Resident memory of the largest process that draws a page."""
    session = browser.new_browser_cdp_session()
    processes: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]
    drawing = [int(process["id"]) for process in processes if process["type"] == "renderer"]
    return max(psutil.Process(number).memory_info().rss for number in drawing) / 1e6


def measure(
    home: Path, size: Size, *, relabelled: int, choices: Sequence[dict[str, str]], pause: float
) -> dict[str, float]:
    """All figures."""
    os.environ["TIDAL_HOME"] = str(home)
    make(SLUG, size).close()
    with Server(home) as server, sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        gallery, first = opened(browser, server.url)
        gallery.page.wait_for_timeout(1000 * pause)
        times = filter_times(gallery, choices, pause)
        gallery.choose(dict.fromkeys(FILTERS, "") | {"sort": "name"})
        fps = float(gallery.page.evaluate(SCROLL, 10 * pause))
        bulk, undo = relabel(gallery, relabelled)
        memory = tab_megabytes(browser)
        browser.close()
    return {
        "images": size.labelled + size.pool + size.test,
        "first_page_s": round(first, 2),
        "filter_ms": round(float(np.percentile(times, 95)), 1),
        "filter_p50_ms": round(float(np.percentile(times, 50)), 1),
        "scroll_fps": round(fps, 1),
        "bulk_10k_s": round(bulk, 2),
        "undo_s": round(undo, 2),
        "memory_mb": round(memory, 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="260 images, three choices, 50 images relabelled")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-gallery-"))
    try:
        if options.quick:
            figures = measure(folder / "home", SMALL, relabelled=50, choices=CHOICES[:3], pause=0.1)
        else:
            figures = measure(folder / "home", LARGE, relabelled=10_000, choices=CHOICES, pause=0.5)
        print(json.dumps(figures))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
