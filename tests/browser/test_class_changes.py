"""Classes that change while people label and a round trains: nobody reloads a page, and no round is renamed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import patient
from tests.browser.driver import Labelling
from tests.browser.server import Server
from tests.helpers.gates import RoundGate

pytestmark = pytest.mark.browser


def choose(page: Page, label: str, name: str) -> None:
    """Choose in a select box by its name."""
    box = page.get_by_role("combobox", name=label, exact=True)
    box.fill(name)
    page.get_by_role("option", name=name, exact=True).click()


def test_two_classes_merged_in_the_middle_of_a_round_stay_apart_in_it_and_are_one_for_who_labels(
    browser: Browser, page: Page, held_server: Server, gate: RoundGate, known: Callable[[int], str]
) -> None:
    labelling = Labelling(page, held_server.url).open()
    answered = [labelling.press(known(labelling.wait_painted())) for _ in range(20)]
    labelling.wait_saved()
    gate.wait_held(1)

    context = patient(browser.new_context(viewport={"width": 1440, "height": 2400}))  # lists open within it
    owner = context.new_page()
    owner.goto(f"{held_server.url}/project?project=digits&tab=Classes")
    choose(owner, "Merge class", "1")
    choose(owner, "into class", "7")
    owner.get_by_role("button", name="Merge", exact=True).click()
    owner.get_by_role("button", name="Merge these classes").click()
    expect(owner.get_by_text("1 counts as 7 now.")).to_be_visible()

    buttons = labelling.root.locator(".single .classes button")
    expect(buttons).to_have_count(9)  # without a reload, while the round stands at its first epoch
    expect(labelling.root).to_contain_text("Round 1: epoch")
    gate.release()
    labelling.wait_ranking(1)

    said = "Classes are named as in round 1: '1' counts as '7' now."
    owner.goto(f"{held_server.url}/training?project=digits")
    expect(owner.get_by_text("What this round does")).to_be_visible()
    expect(owner.get_by_text(said)).to_be_visible()
    owner.get_by_text("What this round does").click()
    expect(owner.get_by_text("Tells apart 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.")).to_be_visible()
    owner.goto(f"{held_server.url}/dynamics?project=digits&image={answered[0]}")
    expect(owner.locator(".js-plotly-plot").first).to_be_visible()
    expect(owner.get_by_text(said)).to_be_visible()

    owner.goto(f"{held_server.url}/project?project=digits&tab=Classes")
    owner.get_by_text("History of the classes").click()
    expect(owner.get_by_text("Merged '1' into '7'")).to_be_visible()
    history = owner.locator("[data-testid=stExpander]").filter(has_text="History of the classes")
    history.get_by_role("button", name="Undo").first.click()
    expect(buttons).to_have_count(10)
    context.close()
    assert labelling.errors == []


def test_a_missing_class_is_added_and_answered_by_two_keys_and_reaches_another_tab(
    browser: Browser, page: Page, server: Server
) -> None:
    labelling = Labelling(page, server.url).open()
    context = patient(browser.new_context(viewport={"width": 1440, "height": 900}))
    other = Labelling(context.new_page(), server.url).open()
    first = labelling.painted()

    page.keyboard.press(".")
    page.keyboard.type("1 or 7?")
    assert labelling.painted() == first, "what is typed answers nothing"
    page.keyboard.press("Enter")
    labelling.wait_other_than(first or 0)
    labelling.wait_saved()

    expect(labelling.root.locator(".last")).to_contain_text("You said 1 or 7?")
    for tab in (labelling, other):
        expect(tab.root.locator(".single .classes button")).to_have_count(11)
    page.keyboard.press("u")
    page.wait_for_function("(image) => Number(window.tidalRoot().dataset.painted) === image", arg=first)

    # A name that cannot be one is refused where it is typed, and stays there to be mended.
    page.keyboard.press(".")
    page.keyboard.type("x\u200b")
    page.keyboard.press("Enter")
    expect(labelling.root.locator(".new-box .refused")).to_contain_text("invisible or broken characters")
    page.keyboard.press("Escape")
    expect(labelling.root.locator(".new-box")).to_be_hidden()
    assert labelling.painted() == first

    # So is what is looked for and not found, by the key that looks for a class.
    page.keyboard.press("/")
    page.keyboard.type("upside down")
    expect(labelling.root.locator(".find-box li")).to_contain_text("Enter adds the class “upside down”")
    page.keyboard.press("Enter")
    labelling.wait_other_than(first or 0)
    expect(labelling.root.locator(".last")).to_contain_text("You said upside down")
    expect(other.root.locator(".single .classes button")).to_have_count(12)
    context.close()
    assert labelling.errors == other.errors == []


def test_what_a_class_is_stands_beside_the_image_and_its_keys_answer_nothing(
    page: Page, server: Server, known: Callable[[int], str]
) -> None:
    labelling = Labelling(page, server.url).open()
    answered = labelling.press("3")
    labelling.wait_saved()
    shown = labelling.wait_painted()

    page.keyboard.press(",")
    page.keyboard.press("3")
    box = labelling.root.locator(".about-box")
    expect(box).to_have_attribute("data-shown", "4")
    expect(box).to_contain_text("The first ones that were labelled.")
    expect(box.locator(".near canvas")).to_have_count(1)
    page.keyboard.press("5")
    expect(box).to_contain_text("No image has this label yet.")
    page.keyboard.press(",")
    expect(box).to_be_hidden()
    assert labelling.painted() == shown
    assert labelling.waiting() == 0

    page.goto(f"{server.url}/dynamics?project=digits&image={answered}")
    page.get_by_role("button", name="Show it as an example of 3").click()
    expect(page.get_by_role("button", name="No longer an example of 3")).to_be_visible()
    labelling.open()
    page.keyboard.press(",")
    page.keyboard.press("3")
    expect(box).to_contain_text("Chosen by people as examples.")
    assert labelling.errors == []
