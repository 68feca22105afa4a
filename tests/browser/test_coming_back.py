"""Coming back: what the browser remembers, and what its address and its Back button lead to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling

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
