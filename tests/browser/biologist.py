"""A biologist's first hour, by the README's words alone: ``python -m tests.browser.biologist``.

She has photos in one flat folder (default: the shared flowers, else photos made up for it), starts the studio, makes a
project of them with her own classes, labels ten, waits for the first round, looks at the progress and takes the labels
out. Printed: the minutes from the start command to her first own photo, what she clicked, typed and pressed, and every
text that she met, once. ``--pictures`` keeps a picture of each step. For looking at: it judges nothing.

The environment is warm (installed), her home is empty. What she answers is the folder that a flower came from.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser.driver import BROWSER_MS, Labelling, launch
from tests.browser.server import Server
from tests.images.photos import FLOWERS, save

LABELS = 12  # one in ten only measures, and a round starts after ten that train
TARGET_MINUTES = 1.0

# What can be read on the screen: the page's own text, and that of the components, which lies in shadow trees.
READ = """
() => {
  const lines = [];
  const read = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) read(element.shadowRoot);
      if (!element.checkVisibility?.({ checkVisibilityCSS: true })) continue;
      if (["STYLE", "SCRIPT", "SVG"].includes(element.tagName)) continue;
      if (element.dataset?.testid === "stIconMaterial") continue;
      const texts = [...element.childNodes].filter((node) => node.nodeType === 3);
      const own = texts.map((node) => node.data).join(" ").trim();
      if (own) lines.push(element.closest("p, li, h1, h2, h3, h4, button, label")?.innerText?.trim() || own);
    }
  };
  read(document.body);
  return [...new Set(lines)];
}
"""


@dataclass
class Person:
    """Somebody at a browser: what she does is counted, what she can read is kept."""

    page: Page
    pictures: Path | None
    clicks: int = 0
    typed: int = 0  # fields
    keys: int = 0
    read: list[str] = field(default_factory=list)
    steps: int = 0

    def click(self, target: Locator) -> None:
        """Click what is there, once it is."""
        target.click()
        self.clicks += 1

    def type(self, target: Locator, text: str) -> None:
        """Fill a field."""
        target.fill(text)
        self.typed += 1

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step of the way: its seconds, and the texts that are new at its end."""
        began = time.monotonic()
        yield
        self.steps += 1
        print(f"\n== {self.steps}. {name} ({time.monotonic() - began:.1f} s)", flush=True)
        for line in self.page.evaluate(READ):
            if line not in self.read:
                self.read.append(line)
                print("   " + " / ".join(line.split("\n")))
        if self.pictures is not None:
            self.page.screenshot(path=self.pictures / f"{self.steps}-{name.replace(' ', '-')}.png", full_page=True)


def flat_folder(folder: Path, source: Path | None) -> tuple[Path, dict[str, str]]:
    """Her photos in one folder, and the class of each by file name."""
    classes: dict[str, str] = {}
    folder.mkdir()
    if source is None and not FLOWERS.exists():
        for number in range(60):
            name = save(folder / f"IMG_{number:04}.jpg", seed=number, size=(320, 240)).name
            classes[name] = f"kind {number % 3}"
        return folder, classes
    paths = sorted((source or FLOWERS).rglob("*.jpg"), key=lambda path: path.name)
    for number, path in enumerate(paths):
        name = f"IMG_{number:04}.jpg"
        shutil.copy(path, folder / name)
        classes[name] = path.parent.name
    return folder, classes


def walk(person: Person, server: Server, folder: Path, classes: dict[str, str], began: float) -> float:
    """The whole way; minutes from the start command to the first own photo."""
    page = person.page
    labelling = Labelling(page, server.url, "my-photos")
    with person.step("the first screen"):
        page.goto(server.url)
        page.locator("h1, .labeller").first.wait_for()
        labelling.wait_painted()
    with person.step("the page Project, New project"):
        person.click(page.get_by_role("link", name="Project", exact=True))
        person.click(page.get_by_role("tab", name="New project"))
        panel = page.get_by_role("tabpanel", name="New project")
        expect(panel.get_by_label("Name", exact=True)).to_be_visible()
    with person.step("a project of the folder"):
        person.type(panel.get_by_label("Name", exact=True), "My photos")
        person.type(panel.get_by_role("textbox", name="Folder or file with images"), str(folder))
        person.type(
            panel.get_by_role("textbox", name="Classes, one per line"), "\n".join(sorted(set(classes.values())))
        )
        person.click(panel.get_by_role("button", name="Create"))
        expect(page.get_by_text(f"{len(classes)} images are ready")).to_be_visible()
    with person.step("the first own photo"):
        person.click(page.get_by_role("link", name="Label now"))
        labelling.wait_painted()
        minutes = (time.monotonic() - began) / 60
    keys = page.evaluate(
        "() => Object.fromEntries([...window.tidalRoot().getRootNode().__tidalLabeller.byKey]"
        ".map(([key, each]) => [each.name, key]))"
    )
    with person.step("labels until a round"):
        for _ in range(LABELS):
            labelling.wait_painted()
            name = page.evaluate("() => window.tidalRoot().getRootNode().__tidalLabeller.single.current.name")
            labelling.press(keys[classes[name]])
            person.keys += 1
        labelling.wait_ranking(1)
    with person.step("the page Progress"):
        person.click(page.get_by_role("link", name="Progress"))
        expect(page.get_by_role("heading", name="Progress", exact=True)).to_be_visible()
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    with person.step("labels out"):
        person.click(page.get_by_role("link", name="Project", exact=True))
        person.click(page.get_by_role("tab", name="Export"))
        panel = page.get_by_role("tabpanel", name="Export")
        with page.expect_download() as download:
            person.click(panel.get_by_role("button", name="CSV").first)
        rows = download.value.path().read_text(encoding="utf-8").splitlines()
        print(f"\n   {download.value.suggested_filename}: {len(rows) - 1} labels; {rows[0]}")
    return minutes


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path, help="a folder of folders, one a class, of .jpg files")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    if given.pictures is not None:
        given.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder, classes = flat_folder(Path(scratch) / "photos", given.photos)
        browser = launch(playwright, webgl=False)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(BROWSER_MS)
        expect.set_options(timeout=BROWSER_MS)
        person = Person(page, given.pictures)
        began = time.monotonic()
        with Server(Path(scratch) / "home") as server:
            minutes = walk(person, server, folder, classes, began)
        browser.close()
    print(
        f"\n{len(classes)} photos. {minutes:.2f} minutes from the start command to the first own photo (target: under "
        f"{TARGET_MINUTES:g}).\n{person.clicks} clicks, {person.typed} fields, {person.keys} keys; "
        f"{len(person.read)} texts."
    )


if __name__ == "__main__":
    main()
