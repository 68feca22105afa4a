"""Sheets of thumbnails, suggestions, and why an image is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import Server
from tests.helpers.finished import finish_round
from tidal_core.config import SuggestionMode
from tidal_core.projects import open_project

pytestmark = pytest.mark.browser


def ranked(home: Path, slug: str, monkeypatch: pytest.MonkeyPatch, suggestions: SuggestionMode = "after") -> None:
    """Give a project, before the server has opened it, a finished round: image i looks like class i % 10."""
    with monkeypatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(home))
        project = open_project(slug)
        finish_round(project)
        settings = replace(project.settings, suggestions=suggestions, rounds_enabled=False)
        project.store.settings.save(settings)
        project.close()


@pytest.fixture
def with_ranking(
    labelling: Labelling, shared_server: Server, own_project: str, monkeypatch: pytest.MonkeyPatch
) -> Labelling:
    ranked(shared_server.home, own_project, monkeypatch)
    return labelling


@pytest.fixture
def always_suggesting(
    labelling: Labelling, shared_server: Server, own_project: str, monkeypatch: pytest.MonkeyPatch
) -> Labelling:
    ranked(shared_server.home, own_project, monkeypatch, "always")
    return labelling


def sheet(labelling: Labelling) -> list[int]:
    """The images of the sheet on screen."""
    labelling.page.wait_for_function("() => window.tidalRoot().dataset.sheet")
    return [int(image) for image in labelling.root.get_attribute("data-sheet").split()]  # type: ignore[union-attr]


def history(labelling: Labelling) -> list[tuple[int, str, str]]:
    """Standing answers: image, key of the class, mode as stored."""
    found = labelling.page.evaluate(
        "async () => { const l = window.tidalRoot().getRootNode().__tidalLabeller;"
        " const { entries } = await l.api.json('history', { annotator: l.data.annotator, limit: 200 });"
        " return entries.map((e) => [e.item.image, l.byId.get(e.event.class)?.key, e.event.mode]); }"
    )
    return [(image, key, mode) for image, key, mode in found]


def test_a_sheet_is_swept_with_one_key_after_changing_the_odd_one(page: Page, with_ranking: Labelling) -> None:
    labelling = with_ranking.open()
    page.keyboard.press("g")
    images = sheet(labelling)
    expected = str(images[0] % 10)
    odd = str((images[0] + 1) % 10)

    page.keyboard.press("ArrowRight")
    page.keyboard.press(odd)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    labelling.wait_saved()

    assert len(images) == 24
    answers = {image: (key, mode) for image, key, mode in history(labelling) if mode == "sweep"}
    wanted = dict.fromkeys(images, (expected, "sweep")) | {images[1]: (odd, "sweep")}
    del wanted[images[2]]
    assert answers == wanted


def test_one_undo_takes_a_whole_sweep_back_and_shows_it_again(page: Page, with_ranking: Labelling) -> None:
    labelling = with_ranking.open()
    page.keyboard.press("g")
    images = sheet(labelling)
    page.keyboard.press("Enter")
    page.wait_for_function("(old) => window.tidalRoot().dataset.sheet.split(' ')[0] !== old", arg=str(images[0]))

    page.keyboard.press("u")
    page.wait_for_function("(old) => window.tidalRoot().dataset.sheet.split(' ')[0] === old", arg=str(images[0]))
    labelling.wait_saved()

    assert [entry for entry in history(labelling) if entry[2] == "sweep"] == []


def test_a_sheet_that_is_left_answers_nothing_and_does_not_come_back(page: Page, with_ranking: Labelling) -> None:
    labelling = with_ranking.open()
    before = len(history(labelling))
    page.keyboard.press("g")
    first = sheet(labelling)

    page.keyboard.press("Escape")
    page.wait_for_function("(old) => window.tidalRoot().dataset.sheet.split(' ')[0] !== old", arg=str(first[0]))

    assert not set(first) & set(sheet(labelling))
    assert len(history(labelling)) == before


def test_thumbnails_below_the_screen_are_not_confirmed_unseen(page: Page, with_ranking: Labelling) -> None:
    page.set_viewport_size({"width": 390, "height": 500})
    labelling = with_ranking.open()
    labelling.root.get_by_role("button", name="Grid").click()
    labelling.root.locator(".sweep-size select").select_option("60")
    page.wait_for_function("() => window.tidalRoot().dataset.sheet.split(' ').length === 60")
    page.evaluate("() => document.activeElement.blur()")

    labelling.root.get_by_role("button", name="Confirm").dispatch_event("click")

    expect(labelling.root.get_by_role("alert")).to_contain_text("not been on screen yet")
    assert [entry for entry in history(labelling) if entry[2] == "sweep"] == []


def test_a_suggestion_is_hidden_until_the_answer_and_then_compared(page: Page, with_ranking: Labelling) -> None:
    labelling = with_ranking.open()
    image = labelling.wait_painted()
    page.keyboard.press("w")

    expect(labelling.root.locator(".why")).to_contain_text("Why this image?")
    expect(labelling.root.locator(".why table"), "what the model thinks it is").to_have_count(0)
    expect(labelling.root.locator(".guess")).to_be_hidden()
    page.keyboard.press("Enter")
    assert labelling.painted() == image, "a hidden suggestion cannot be accepted"
    labelling.press(str((image + 1) % 10))

    expect(labelling.root.locator(".last")).to_contain_text(f"the model said {image % 10}")
    expect(labelling.root.locator(".why")).to_contain_text("The image before")
    expect(labelling.root.locator(".why table")).to_have_count(1)
    expect(labelling.root.locator(".why")).to_contain_text("H-bar")
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(labelling.root.locator(".why h2").first).to_be_in_viewport()
    expect(labelling.root.locator(".single .classes button").last).to_be_in_viewport()


def test_a_shown_suggestion_is_accepted_with_enter(page: Page, always_suggesting: Labelling) -> None:
    labelling = always_suggesting.open()
    image = labelling.wait_painted()
    expect(labelling.root.locator(".guess")).to_contain_text(f"{image % 10}?")

    page.keyboard.press("w")
    expect(labelling.root.locator(".why")).to_contain_text("Why this image?")
    labelling.press("Enter")
    labelling.wait_saved()

    assert (image, str(image % 10)) in [(i, key) for i, key, _ in history(labelling)]


def test_labelled_neighbours_are_shown_on_demand(page: Page, with_ranking: Labelling) -> None:
    labelling = with_ranking.open()
    page.keyboard.press("w")
    labelling.press("3")
    compare = labelling.root.get_by_role("button", name="Compare with labelled")
    expect(compare).to_be_visible()

    compare.click()

    expect(
        labelling.root.locator(".rival").or_(labelling.root.get_by_text("There is no labelled image")).first
    ).to_be_visible()
