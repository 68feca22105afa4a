"""Ten planted mistakes are found and mended by keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import Server
from tests.helpers.mistaken import mistaken_project
from tidal_core.projects import open_project
from tidal_core.ui.review_view import NOTHING_LEFT

pytestmark = pytest.mark.browser

# The image that is painted and whose keys are heard, another than before; 0 when nothing is left.
ON_SCREEN = f"""(before) => {{
  if (document.body.innerText.includes({NOTHING_LEFT!r})) return "0";
  const image = [...document.querySelectorAll("img")].find((each) => each.alt.endsWith(", to review"));
  const shown = image?.complete && image.naturalWidth ? image.alt.match(/\\d+/)[0] : null;
  return shown === before || image?.alt !== window.listensFor() ? null : shown;
}}"""

# The component of the keys lies in a shadow of its own.
LISTENS_FOR = """window.listensFor = () => {
  for (const host of document.querySelectorAll("*")) {
    const sign = (host.shadowRoot ?? host).querySelector("[data-listens-for]");
    if (sign) return sign.dataset.listensFor;
  }
}"""

HIT = """([key, times]) => {
  for (let hit = 0; hit < times; hit += 1) {
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  }
}"""


def test_ten_planted_mistakes_are_mended_by_keyboard_alone(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path / "home"))
    project, planted = mistaken_project(75, wrong=10, first=4, rounds_enabled=False)
    n_before = project.store.answers.count()
    project.close()
    seen: list[int] = []
    page.add_init_script(LISTENS_FOR)
    with Server(tmp_path / "home") as server:
        page.goto(f"{server.url}/review?project=tiny")
        shown = str(page.wait_for_function(ON_SCREEN, arg="").json_value())
        while shown != "0":
            key = "c" if int(shown) in planted else "k"
            if not seen:  # undone, and given again
                page.keyboard.press("k" if key == "c" else "u")
                page.wait_for_function(ON_SCREEN, arg=shown)
                page.keyboard.press("z")
                expect(page.get_by_text(re.compile("^Undone: image"))).to_be_visible()
                again = str(page.wait_for_function(ON_SCREEN, arg="").json_value())
                assert again == shown
            seen.append(int(shown))
            # Before the page can show the next image: hit three times, a key answers this one once.
            page.evaluate(HIT, [key, 3])
            shown = str(page.wait_for_function(ON_SCREEN, arg=shown).json_value())

    project = open_project("tiny")
    answers = project.store.answers
    known = {image.id: image.known_class for image in project.store.images.all()}
    assert set(planted) <= set(seen)
    assert len(seen) == len(set(seen))
    assert answers.count() == n_before + len(seen) + 2
    labels = answers.labels()
    assert [known[image] for image in labels.image_ids.tolist()] == labels.class_ids.tolist()
    project.close()
