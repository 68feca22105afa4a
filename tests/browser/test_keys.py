"""What keys do on the labelling page, and what they must leave alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling, let_timers_end

pytestmark = pytest.mark.browser


def test_auto_repeat_modifiers_and_text_fields_answer_nothing(page: Page, labelling: Labelling) -> None:
    labelling.open()
    first = labelling.painted()

    page.keyboard.press("Alt+3")
    page.keyboard.press("Control+5")
    page.evaluate("() => window.dispatchEvent(new KeyboardEvent('keydown', { key: '4', repeat: true, bubbles: true }))")
    page.get_by_label("Your name").click()
    page.keyboard.press("7")
    let_timers_end(page, 200)

    assert labelling.painted() == first
    assert labelling.waiting() == 0
    expect(page.get_by_label("Your name")).to_have_value("me7")


def test_the_keys_of_streamlit_do_not_fire_beside_the_labeller(page: Page, labelling: Labelling) -> None:
    labelling.open()
    page.evaluate(
        "() => { window.tidalHeard = []; "
        "document.addEventListener('keydown', (event) => window.tidalHeard.push(event.key)); }"
    )

    page.keyboard.press("r")
    page.keyboard.press("c")
    page.keyboard.press("x")

    assert page.evaluate("() => window.tidalHeard") == ["x"]
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_undo_brings_images_back_in_reverse_with_their_answers(page: Page, labelling: Labelling) -> None:
    labelling.open()
    one, two, three = (labelling.press(key) for key in "356")

    expect(labelling.root.locator(".last")).to_have_text("You said 6")
    labelling.press("u")
    assert labelling.painted() == three
    expect(labelling.root.locator(".prior")).to_have_text("Was 6")
    expect(labelling.root.locator(".last")).to_be_hidden()
    labelling.press("Control+z")
    assert labelling.painted() == two
    labelling.press("u")
    assert labelling.painted() == one
    labelling.press("8")

    assert labelling.painted() == two
    labelling.wait_saved()
    expect(labelling.root).to_contain_text("19 more labels until round 1")


def test_undo_reaches_behind_a_reload(page: Page, labelling: Labelling) -> None:
    labelling.open()
    one = labelling.press("3")
    labelling.wait_saved()

    labelling.open()
    assert labelling.painted() != one
    labelling.press("u")

    assert labelling.painted() == one
    expect(labelling.root.locator(".prior")).to_have_text("Was 3")


def test_going_back_shows_the_answer_and_a_new_one_replaces_it(page: Page, labelling: Labelling) -> None:
    labelling.open()
    one, two = labelling.press("3"), labelling.press("5")
    now = labelling.painted()

    labelling.press("ArrowLeft")
    labelling.press("ArrowLeft")
    assert labelling.painted() == one
    expect(labelling.root.locator(".prior")).to_have_text("Your answer: 3")
    expect(labelling.root.locator(".last")).to_be_hidden()
    labelling.press("9")
    assert labelling.painted() == two
    labelling.press("ArrowRight")

    assert labelling.painted() == now
    expect(labelling.root.locator(".last")).to_have_text("You said 9")
    labelling.press("u")
    assert labelling.painted() == one
    expect(labelling.root.locator(".prior")).to_have_text("Your answer: 3")
    labelling.press("ArrowRight")
    labelling.press("ArrowRight")
    assert labelling.painted() == now
    expect(labelling.root.locator(".last")).to_be_hidden()
    labelling.wait_saved()
    expect(labelling.root).to_contain_text("18 more labels until round 1")


def test_skip_asks_why_and_digits_choose_the_reason(page: Page, labelling: Labelling) -> None:
    labelling.open()
    first = labelling.painted()

    page.keyboard.press("s")
    expect(labelling.root.get_by_role("dialog", name="Why skip this image?")).to_be_visible()
    page.keyboard.press("7")
    assert labelling.painted() == first, "no class may be answered behind an open box"
    page.keyboard.press("2")

    expect(labelling.root.locator(".last")).to_contain_text("Skipped: not in the list")
    assert labelling.wait_painted() != first


def test_a_flag_keeps_the_image_and_carries_its_note_as_text(page: Page, labelling: Labelling) -> None:
    labelling.open()
    first = labelling.painted()

    page.keyboard.press("f")
    page.keyboard.type("<b>two</b> digits?")
    page.keyboard.press("Enter")

    expect(labelling.root.locator(".flagged")).to_have_text("⚑ <b>two</b> digits?")
    assert labelling.painted() == first
    labelling.press("4")


def test_a_note_that_ends_in_half_a_character_is_kept_and_holds_nothing_up(page: Page, labelling: Labelling) -> None:
    labelling.open()
    image = labelling.painted()
    page.keyboard.press("f")
    note = labelling.root.locator("[name=note]")
    note.evaluate("field => { field.value = 'blurred \\ud83d'; }")  # what cutting an emoji in two leaves
    note.press("Enter")
    labelling.wait_saved()

    assert labelling.painted() == image
    expect(labelling.root.locator(".flagged")).to_have_text("⚑ blurred \ufffd")


def test_a_class_is_found_by_typing(page: Page, labelling: Labelling) -> None:
    labelling.open()
    first = labelling.painted()

    page.keyboard.press("/")
    page.keyboard.type("7")
    page.keyboard.press("Enter")

    expect(labelling.root.locator(".last strong")).to_have_text("You said 7")
    assert labelling.wait_painted() != first


def test_zoom_and_light_change_the_view_and_light_stays(page: Page, labelling: Labelling) -> None:
    labelling.open()
    canvas = labelling.root.locator(".stage canvas")
    fit = canvas.evaluate("(c) => c.getBoundingClientRect().width")

    page.keyboard.press("+")
    assert canvas.evaluate("(c) => c.getBoundingClientRect().width") == pytest.approx(fit * 1.25, rel=0.01)
    page.keyboard.press("z")
    assert canvas.evaluate("(c) => c.getBoundingClientRect().width") == pytest.approx(fit, rel=0.01)
    labelling.root.get_by_role("button", name="Brightness and contrast").click()
    labelling.root.get_by_label("Brightness", exact=True).fill("1.5")
    labelling.press("3")

    assert canvas.evaluate("(c) => c.style.filter") == "brightness(1.5) contrast(1)"
    assert canvas.evaluate("(c) => c.style.imageRendering") == "pixelated"


def test_every_control_has_a_name_and_can_be_reached(page: Page, labelling: Labelling) -> None:
    labelling.open()

    nameless = labelling.root.evaluate(
        "(root) => [...root.querySelectorAll('button, input, select, canvas[role=img]')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"
    )

    assert nameless == 0
    labelling.root.get_by_role("button", name="3, key 3").focus()
    outline = labelling.root.get_by_role("button", name="3, key 3").evaluate("(e) => getComputedStyle(e).outlineStyle")
    assert outline in {"solid", "auto"}


def test_a_phone_can_label_by_touch(
    browser_phone: Page, labelling_phone: Labelling, known: Callable[[int], str]
) -> None:
    labelling_phone.open()
    first = labelling_phone.wait_painted()

    labelling_phone.root.get_by_role("button", name=f"{known(first)}, key {known(first)}").tap()

    labelling_phone.page.wait_for_function(
        "(before) => Number(window.tidalRoot().dataset.painted) !== before", arg=first
    )
    labelling_phone.wait_saved()
    assert browser_phone.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")

    for button in labelling_phone.root.locator(".single .classes button").all():
        expect(button).to_be_in_viewport(ratio=1)
    labelling_phone.root.get_by_role("button", name="Keys").tap()
    expect(labelling_phone.root.locator(".help-box")).to_be_in_viewport(ratio=1)

    browser_phone.get_by_test_id("stExpandSidebarButton").tap()
    browser_phone.get_by_test_id("stSidebarNav").get_by_role("link", name="Theory").tap()
    expect(browser_phone.get_by_role("heading", name="Theory", level=1)).to_be_visible()
    expect(browser_phone.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
