"""Every page as a person sees it: ``python -m tests.browser.screenshots [FOLDER]`` (``make screenshots``).

Three projects (empty, a round that trains, many rounds), two widths, two themes; one picture each of the whole page,
named state-page-width-theme.png. ``--eight`` leaves out the round that trains: every page in eight states. For looking
at: it checks nothing but that pages open without an exception.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.made_up import Size, make
from tests.browser.driver import BROWSER_MS, launch
from tests.browser.server import ROOT, Server
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.records import Split
from tidal_core.server.studio import DEMO_SETTINGS, make_demo
from tidal_core.store.answers import ImportedLabels
from tidal_core.ui.address import SCREENS, TABS

FULL = Size(labelled=300, pool=900, test=300, rounds=8, epochs=40)
VIEWS = {
    "dynamics": ("view", ("life", "map", "groups", "aside")),
    "project": ("tab", TABS),
    "present": ("screen", SCREENS),
}
STATES = ("empty", "live", "full")
WIDTHS = (1440, 390)  # pixels: a laptop, a phone
TALLEST = 6_000  # pixels


# No figure is empty, and nothing that stands for what is still to come is left, nor the wait for a first figure.
DRAWN = """
() => [...document.querySelectorAll(".stPlotlyChart")].every((figure) => figure.querySelector(".main-svg"))
  && !document.querySelector('[data-testid="stSkeleton"], .st-key-first-figure')
"""


def prepare(home: Path) -> dict[str, str]:
    """The three projects below one home: state to slug."""
    os.environ["TIDAL_HOME"] = str(home)
    make_demo().close()
    make("handwriting", FULL).close()
    training_for_long().close()
    return {"empty": "digits", "live": "live", "full": "handwriting"}


def training_for_long(labels: int = 300) -> Project:
    """Digits with labels for a round that takes minutes: the worker begins it when the studio opens."""
    project = create_project("live", dataclasses.replace(DEMO_SETTINGS, title="Live", preset="paper"))
    ingest(project, "digits", labels="known")
    images = [image for image in project.store.images.all(Split.POOL) if image.known_class is not None][:labels]
    classes = [image.known_class for image in images if image.known_class is not None]
    project.store.answers.import_labels(ImportedLabels([image.id for image in images], classes, ["me"] * len(images)))
    return project


def places() -> Iterator[tuple[str, str]]:
    """Name and address of every page and of its views."""
    for path in sorted((ROOT / "pages").glob("*.py")):
        address = "" if path.stem == "label" else path.stem
        name, views = VIEWS.get(path.stem, ("", ()))
        if not views:
            yield path.stem, address
        for view in views:
            yield f"{path.stem}-{view.lower().replace(' ', '-')}", f"{address}?{name}={quote(view)}"


def settle(page: Page) -> None:
    """Wait until there is a page, its script has ended and its figures have been drawn."""
    page.locator("h1, .labeller").first.wait_for(timeout=BROWSER_MS)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=BROWSER_MS)
    page.wait_for_function(DRAWN, timeout=BROWSER_MS)
    page.wait_for_timeout(700)


def picture(page: Page, url: str, width: int, path: Path) -> None:
    """One page, as tall as it is."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(url, wait_until="commit")
    settle(page)
    tall = page.evaluate("() => document.querySelector('[data-testid=stMain]')?.scrollHeight ?? 900")
    page.set_viewport_size({"width": width, "height": min(max(int(tall) + 10, 700), TALLEST)})
    page.wait_for_timeout(700)
    page.screenshot(path=path)
    if page.locator('[data-testid="stException"]').count():
        print(f"an exception on {path.name}", flush=True)


def take(
    browser: Browser, server: Server, slugs: dict[str, str], folder: Path, only: str, states: tuple[str, ...] = STATES
) -> None:
    """All pictures."""
    themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for theme in themes:
        for width in WIDTHS:
            context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
            page = context.new_page()
            for state in states:
                for name, address in places():
                    if only and only not in f"{state}-{name}-{width}-{theme}":
                        continue
                    joint = "&" if "?" in address else "?"
                    url = f"{server.url}/{address}{joint}project={slugs[state]}"
                    picture(page, url, width, folder / f"{state}-{name}-{width}-{theme}.png")
            context.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="screenshots", type=Path)
    parser.add_argument("--only", default="", help="only pictures whose name holds this")
    parser.add_argument("--eight", action="store_true", help="empty and full only")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        slugs = prepare(home)
        with Server(home) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            states = tuple(state for state in STATES if state != "live" or not given.eight)
            take(browser, server, slugs, given.folder, given.only, states)
            browser.close()
    print(f"{len(list(given.folder.glob('*.png')))} pictures in {given.folder}")


if __name__ == "__main__":
    main()
