"""Faults in front of a real browser: nothing is lost or stored twice, and nobody answers what they have not seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.driver import Labelling
from tests.browser.server import Server

pytestmark = pytest.mark.browser

Pair = tuple[int, str]  # image id, key of the class


def stored(labelling: Labelling) -> Counter[Pair]:
    """Every label that stands, as the server tells it."""
    entries = labelling.page.evaluate(
        "async () => { const l = window.tidalRoot().getRootNode().__tidalLabeller;"
        " const { entries } = await l.api.json('history', { annotator: l.data.annotator, limit: 200 });"
        " return entries.map((e) => [e.item.image, l.byId.get(e.event.class)?.key]); }"
    )
    return Counter((image, key) for image, key in entries)


def pressed(labelling: Labelling) -> Counter[Pair]:
    """Every digit that was pressed while an image was painted."""
    return Counter(
        (key.image, key.key) for key in labelling.pressed_keys() if key.image is not None and key.key.isdigit()
    )


def test_a_server_killed_in_a_burst_and_started_again_has_every_answer(page: Page, server: Server) -> None:
    labelling = Labelling(page, server.url).open()

    for number in range(18):
        page.keyboard.press(str(number % 10))
        page.wait_for_timeout(50)
        if number == 7:
            labelling.wait_painted()
            server.kill()
            page.keyboard.press("9")  # an answer that cannot have been sent, whatever becomes of the keys that follow
    expect(labelling.root.locator(".saved")).to_contain_text("not saved yet")
    assert labelling.waiting() > 0
    server.start()
    labelling.wait_saved()

    assert stored(labelling) == pressed(labelling)


def test_while_the_studio_is_stopped_every_page_says_so_and_labelling_goes_on(
    page: Page, second_page: Page, server: Server
) -> None:
    labelling = Labelling(page, server.url).open()
    second_page.goto(f"{server.url}/progress")
    expect(second_page.get_by_role("heading", name="Progress")).to_be_visible()
    bars = [tab.locator("#tidal-connection .bar") for tab in (page, second_page)]
    tries: list[str] = []  # of Streamlit, whose dialog comes with the sixth
    page.on("requestfailed", lambda request: tries.append(request.url) if "host-config" in request.url else None)
    for tab_bar in bars:
        expect(tab_bar).to_be_hidden()
    labelling.press("1")
    labelling.wait_saved()

    server.kill()
    for key in "234":
        labelling.press(key)
    for tab_bar in bars:
        expect(tab_bar).to_contain_text("The studio has stopped")
        expect(tab_bar).to_contain_text("3 answers are kept in this browser")
        expect(tab_bar).to_contain_text(f"streamlit run app.py --server.port {server.port}")
    expect(bars[0]).to_contain_text("You can go on labelling")
    expect(bars[1]).not_to_contain_text("You can go on labelling")
    while len(tries) < 8:
        page.wait_for_event("requestfailed")
    expect(page.locator('[role="dialog"]:visible')).to_have_count(0)
    covered, shown = bars[0].bounding_box(), labelling.root.bounding_box()
    assert covered is not None
    assert shown is not None
    assert covered["y"] + covered["height"] <= shown["y"]
    labelling.press("5")
    expect(bars[0]).to_contain_text("4 answers are kept")
    ends = "() => Number(window.tidalRoot().dataset.painted) > 0 || !window.tidalRoot().querySelector('.empty').hidden"
    while labelling.painted():
        page.keyboard.press("6")
        page.wait_for_function(ends)
    expect(labelling.root.locator(".empty")).to_contain_text("The next ones come when the studio runs again")

    server.start()
    labelling.wait_painted()
    labelling.wait_saved()
    for tab_bar in bars:
        expect(tab_bar).to_be_hidden()
    assert stored(labelling) == pressed(labelling)


def test_a_connection_that_is_cut_for_several_tries_costs_nothing(page: Page, labelling: Labelling) -> None:
    labelling.open()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url) if "/answers" in request.url else None)
    labelling.press("1")
    labelling.wait_saved()

    page.context.set_offline(True)
    for key in "234":
        labelling.press(key)
    expect(labelling.root.locator(".saved")).to_have_text("3 not saved yet")
    while len(failed) < 4:
        page.wait_for_event("requestfailed")
    assert labelling.waiting() == 3
    page.context.set_offline(False)
    labelling.wait_saved()

    expect(labelling.root.locator(".saved")).to_have_text("All saved")
    assert stored(labelling) == pressed(labelling)


@pytest.fixture
def second_page(page: Page) -> Iterator[Page]:
    other = page.context.new_page()
    yield other
    other.close()


def test_a_tab_closed_right_after_a_key_has_sent_it(page: Page, second_page: Page, labelling: Labelling) -> None:
    labelling.open()
    labelling.press("5")
    last = labelling.wait_painted()
    page.keyboard.press("7")
    page.close(run_before_unload=False)

    other = Labelling(second_page, labelling.url, labelling.slug).open()
    other.wait_saved()

    assert stored(other)[last, "7"] == 1
    assert sum(stored(other).values()) == 2


def test_a_reload_with_a_full_outbox_sends_it(page: Page, labelling: Labelling) -> None:
    labelling.open()
    page.route("**/answers", lambda route: route.abort())
    for number in range(12):
        labelling.press(str(number % 10))
    before = pressed(labelling)
    assert labelling.waiting() == 12

    page.unroute("**/answers")
    labelling.open()
    labelling.wait_saved()

    assert stored(labelling) == before
    assert labelling.painted() not in {image for image, _ in before}


def test_two_tabs_of_one_person_share_the_work(page: Page, second_page: Page, labelling: Labelling) -> None:
    labelling.open()
    other = Labelling(second_page, labelling.url, labelling.slug).open()

    for number in range(15):
        (labelling if number % 2 else other).press(str(number % 10))
    labelling.wait_saved()
    other.wait_saved()

    images = [image for image, _ in (pressed(labelling) + pressed(other)).elements()]
    assert len(set(images)) == len(images) == 15, "both tabs showed the same image"
    assert stored(labelling) == pressed(labelling) + pressed(other)


def test_answers_keep_their_order_over_a_reload_with_the_clock_moved_back(page: Page, labelling: Labelling) -> None:
    labelling.open()
    page.route("**/answers", lambda route: route.abort())
    image = labelling.press("3")
    labelling.press("u")
    labelling.press("5")
    page.add_init_script("Date.now = () => 86400000;")
    labelling.open()
    labelling.press("8")
    assert labelling.waiting() == 4

    page.unroute("**/answers")
    labelling.wait_saved()

    assert image is not None
    assert stored(labelling)[image, "5"] == 1
    assert stored(labelling)[image, "3"] == 0


def test_a_phone_that_loses_its_storage_still_saves(browser: Browser, labelling_phone: Labelling) -> None:
    page = labelling_phone.page
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };")
    labelling_phone.open()

    with page.expect_response("**/answers"):
        labelling_phone.press("4")

    assert stored(labelling_phone) == pressed(labelling_phone)


def test_an_answer_that_the_server_cannot_take_is_set_aside_shown_and_kept(page: Page, labelling: Labelling) -> None:
    labelling.open()
    broken = labelling.wait_painted()
    statuses = {broken: 500}

    def refuse(route: Route) -> None:
        images = [answer["image"] for answer in route.request.post_data_json["answers"]]
        status = next((statuses[image] for image in images if image in statuses), None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, json={"error": f"no {status} today"})

    page.route("**/answers", refuse)
    labelling.press("1")
    labelling.press("2")
    refused = labelling.wait_painted()
    statuses[refused] = 400
    labelling.press("3")
    labelling.press("4")
    aside, box = labelling.root.locator("button.aside"), labelling.root.locator(".aside-box")
    expect(aside).to_have_text("2 answers could not be saved")
    labelling.wait_saved()
    expect(labelling.root.locator(".saved")).to_have_text("All saved")
    all_pressed = pressed(labelling)
    assert sorted(all_pressed - stored(labelling)) == sorted([(broken, "1"), (refused, "3")])

    labelling.open()
    expect(aside).to_have_text("2 answers could not be saved")
    aside.click()
    expect(box.locator("li").filter(has_text=f"1 for image {broken}")).to_contain_text("no 500 today")
    with page.expect_download() as download:
        box.get_by_text("Download them as JSON").click()
    kept = json.loads(download.value.path().read_text())
    assert {entry["event"]["image"] for entry in kept} == {broken, refused}

    box.locator("li").filter(has_text="no 400 today").get_by_text("Drop it").click()
    expect(aside).to_have_text("1 answer could not be saved")
    page.unroute("**/answers")
    box.get_by_text("Send it again").click()
    expect(aside).to_be_hidden()
    labelling.wait_saved()
    assert all_pressed - stored(labelling) == Counter({(refused, "3"): 1})
