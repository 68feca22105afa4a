"""Coming back: what the browser remembers, and what its address and its Back button lead to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import Server

pytestmark = pytest.mark.browser


def test_a_name_that_was_typed_is_on_the_first_label_after_a_reload(page: Page, labelling: Labelling) -> None:
    labelling.open()
    name = page.get_by_label("Your name")
    name.fill("Ana <b>")
    name.press("Enter")
    expect(labelling.root.locator(".who")).to_have_text("Labels by Ana <b>")

    labelling.open()
    labelling.press("3")

    expect(labelling.root.locator(".who")).to_have_text("Labels by Ana <b>")
    expect(page.get_by_label("Your name")).to_have_value("Ana <b>")
    labelling.wait_saved()
    stored = page.evaluate(
        "() => window.tidalRoot().getRootNode().__tidalLabeller.api.json('history', { annotator: 'Ana <b>', limit: 5 })"
    )
    assert len(stored["entries"]) == 1


def test_back_leads_to_the_page_before_and_a_reload_keeps_what_was_on_the_screen(
    page: Page, shared_server: Server, own_project: str
) -> None:
    project, url = f"project={own_project}", shared_server.url
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status == 404 else None)

    def at(address: str) -> None:
        page.wait_for_url(f"{url}/{address}")

    # What is of another page goes, without a step of its own: Back would do nothing.
    page.goto(f"{url}/progress?project={own_project}&view=life&image=7&foreign=1")
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    at(f"progress?{project}")
    page.get_by_role("link", name="Dynamics").click()
    at(f"dynamics?{project}")
    page.get_by_text("Data map").click()
    expect(page.get_by_text("Not yet: a map of all labelled images")).to_be_visible()
    at(f"dynamics?{project}&view=map")
    page.go_back()
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    at(f"progress?{project}")
    page.go_forward()
    expect(page.get_by_text("Not yet: a map of all labelled images")).to_be_visible()
    at(f"dynamics?{project}&view=map")

    # A step to an image is one that Back takes back.
    page.get_by_text("Life of an image").click()
    at(f"dynamics?{project}")
    for number in (3, 9):
        page.get_by_label("Find an image").fill(str(number))
        page.get_by_label("Find an image").press("Enter")
        expect(page.get_by_text(f"Image {number}", exact=True)).to_be_visible()
        at(f"dynamics?{project}&image={number}")
    page.go_back()
    expect(page.get_by_text("Image 3", exact=True)).to_be_visible()
    at(f"dynamics?{project}&image=3")
    page.reload()
    expect(page.get_by_text("Image 3", exact=True)).to_be_visible()
    at(f"dynamics?{project}&image=3")

    page.get_by_role("link", name="Project").click()
    page.get_by_role("tab", name="Settings").click()
    at(f"project?{project}&tab=Settings")
    page.reload()
    expect(page.get_by_role("tab", name="Settings")).to_have_attribute("aria-selected", "true")
    at(f"project?{project}&tab=Settings")
    expect(page.get_by_role("combobox", name="Project")).to_have_value(own_project)
    page.go_back()
    expect(page.get_by_text("Image 3", exact=True)).to_be_visible()
    at(f"dynamics?{project}&image=3")
    assert failed == []
