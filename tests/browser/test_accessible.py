"""WCAG 2.2 AA on every page in both themes, by axe-core, which Playwright runs in the page: no policy is loosened.

Beside it: headings that skip no level, and one main heading for each page.
"""

from __future__ import annotations

import secrets
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from benchmarks.made_up import Size, make
from tests.browser.conftest import patient
from tests.browser.server import Server

pytestmark = pytest.mark.browser

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWS = {
    "Label": "",
    "Label, plain widgets": "?plain=1",
    "Gallery": "gallery?where=not+flagged",
    "Gallery, map": "gallery?as=map",
    "Training": "training",
    "Dynamics, life": "dynamics?view=life",
    "Dynamics, map": "dynamics?view=map",
    "Dynamics, groups": "dynamics?view=groups",
    "Dynamics, aside": "dynamics?view=aside",
    "Replay": "replay?round=2&epoch=3",
    "Uncertainty": "uncertainty",
    "Progress": "progress",
    "Predictions": "predictions",
    "Finish": "finish",
    "Experiments": "experiments",
    "Theory": "theory",
    "Project": "project",
    "Present, collection": "present",
    "Present, next": "present?screen=next",
    "Present, mistake": "present?screen=mistake",
}
TABS = ("Classes", "Settings", "Export", "New project")
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}
BEST_PRACTICES = {"heading-order", "page-has-heading-one", "empty-heading"}
"""The rules beside WCAG's that we keep; others ask for landmarks that Streamlit does not have."""


def violations(page: Page, view: str) -> list[str]:
    """A sentence for each element of the page that breaks a rule."""
    sentences = []
    for rule in Axe().run(page, options=OPTIONS).response["violations"]:
        if "best-practice" in rule["tags"] and rule["id"] not in BEST_PRACTICES:
            continue
        for node in rule["nodes"]:
            target = " ".join(str(part) for part in node["target"])
            sentences.append(f"{view}: {rule['id']}: {target}: {' '.join(node['failureSummary'].split())}")
    return sentences


def opened(page: Page, address: str) -> None:
    """Go to a page and wait until all of it is there."""
    page.goto(address, wait_until="commit")
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    settled(page)


def settled(page: Page) -> None:
    """Wait until nothing is drawn anew: Streamlit shows what is about to be replaced in pale letters."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(page.locator('[data-stale="true"], .st-key-first-figure')).to_have_count(0)


def test_no_page_breaks_a_rule_of_wcag_in_either_theme(
    browser: Browser, shared_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(shared_server.home))
    slug = f"readable-{secrets.token_hex(3)}"  # the server is shared, also with a second run of this test
    make(slug, Size()).close()
    sentences = []
    for theme in THEMES:
        context = patient(browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 720}))
        page = context.new_page()
        for view, path in VIEWS.items():
            opened(page, f"{shared_server.url}/{path}{'&' if '?' in path else '?'}project={slug}")
            if view == "Label":
                page.wait_for_selector(".labeller[data-open=yes]")
            for tab in ("", *TABS) if view == "Project" else ("",):
                if tab:
                    page.get_by_role("tab", name=tab, exact=True).click()
                    expect(page.get_by_role("tabpanel", name=tab, exact=True)).to_be_visible()
                    settled(page)
                sentences += violations(page, f"{view} {tab}".strip() + f" ({theme})")
        context.close()

    assert not sentences, "\n".join(sentences)
