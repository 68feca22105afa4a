"""Files that are sent from the browser, in a real one."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import Server

pytestmark = pytest.mark.browser


def test_a_project_is_made_of_photos_and_a_table_sent_from_the_browser(
    shared_server: Server, page: Page, tmp_path: Path
) -> None:
    for place, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (80 + place, 70), colour).save(tmp_path / f"{colour}.png")
    (tmp_path / "labels.csv").write_text("path,label\nred.png,warm\nblue.png,cold\n", encoding="utf-8")
    slug = f"sent-{secrets.token_hex(3)}"  # the server is shared, also with a second run of this test
    labelling = Labelling(page, shared_server.url, slug)
    page.goto(f"{shared_server.url}/project")
    page.get_by_role("tab", name="New project").click()
    panel = page.get_by_role("tabpanel", name="New project")

    panel.get_by_label("Name", exact=True).fill(slug)
    panel.locator("input[type=file]").set_input_files(sorted(tmp_path.iterdir()))
    expect(panel.get_by_text("labels.csv")).to_be_visible()
    panel.get_by_role("combobox").click()
    page.get_by_role("option", name="Use them as labels").click()
    panel.get_by_role("button", name="Create").click()

    expect(page.get_by_text("3 images read")).to_be_visible()
    expect(page.get_by_text("2 labels imported")).to_be_visible()
    expect(page.get_by_text("3 images are ready.")).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Still to label")).to_contain_text("1")
    expect(page.get_by_role("button", name="Cancel the import")).to_have_count(0)
    kept = list((shared_server.home / "projects" / slug / "originals/uploads").rglob("*.png"))
    assert sorted(path.name for path in kept) == ["blue.png", "green.png", "red.png"]
    page.get_by_role("link", name="Label now").click()
    labelling.wait_painted()
    labeller = labelling.root
    expect(labeller.locator(".caption .file")).to_contain_text("green.png")
    labeller.get_by_role("button", name="warm").click()
    expect(labeller.locator(".empty-title")).to_have_text("Every image is labelled or skipped")
    expect(labeller.locator(".caption .file")).to_have_text("")
    expect(labeller.locator(".progress-text")).to_have_text("every image is labelled or skipped")
