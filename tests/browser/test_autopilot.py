"""The autopilot on the page Label and the race on its page, as an audience sees them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling, let_timers_end
from tests.browser.server import Server
from tests.helpers.gates import wait_for
from tidal_core.experiments import race
from tidal_core.experiments.files import Experiment, rounds_done

pytestmark = pytest.mark.browser


def labels_so_far(page: Page) -> int:
    said = re.search(r"([\d,]+) labels so far", page.locator(".st-key-autopilot").inner_text())
    return int(said[1].replace(",", "")) if said else 0


def test_it_changes_speed_pauses_and_is_taken_over_by_a_key_in_whatever_tab(page: Page, held_server: Server) -> None:
    labelling = Labelling(page, held_server.url).open()
    assert len(labelling.queue()) > 10
    page.get_by_role("button", name="Autopilot").click()
    panel = page.locator(".st-key-autopilot")
    slider = panel.get_by_role("slider", name="Answers a second")
    slider.press("Home")
    panel.get_by_role("button", name="Start").click()
    expect(panel).to_contain_text("Autopilot answers. 1 a second asked for")
    expect(panel.locator(".strip img").first).to_be_visible()
    wait_for(lambda: len(labelling.queue()) <= 1, "the images that are asked first are left to the autopilot")

    slider.press("End")
    expect(panel).to_contain_text("50 a second asked for")
    wait_for(lambda: labels_so_far(page) > 20, "many answers")

    panel.get_by_role("button", name="Pause").click()
    expect(panel).to_contain_text("Autopilot is paused.")
    stands = labels_so_far(page)
    let_timers_end(page, 1_500)
    assert labels_so_far(page) == stands
    wait_for(lambda: len(labelling.queue()) > 10, "images for a person who is quick")

    other = page.context.new_page()
    second = Labelling(other, held_server.url).open()
    others_panel = other.locator(".st-key-autopilot")
    expect(others_panel).to_contain_text("Autopilot is paused.")
    others_panel.get_by_role("slider", name="Answers a second").press("Home")
    others_panel.get_by_role("button", name="Start").click()
    expect(panel).to_contain_text("Autopilot answers. 1 a second asked for")
    page.bring_to_front()
    painted = labelling.press("3")

    for each in (panel, others_panel):
        expect(each).to_contain_text("Paused: me has taken over.")
        expect(each.get_by_role("button", name="Start")).to_be_visible()
    assert painted != labelling.press("4")
    labelling.wait_saved()
    stored = page.evaluate(
        "() => window.tidalRoot().getRootNode().__tidalLabeller.api.json('history', { annotator: 'me', limit: 9 })"
    )
    assert [entry["item"]["image"] for entry in stored["entries"]][-1] == painted
    assert len(stored["entries"]) == 2
    assert labelling.errors == second.errors == []
    other.close()


def test_a_race_is_seen_live_goes_on_when_the_studio_is_killed_and_can_be_paused(page: Page, server: Server) -> None:
    experiment = Experiment(server.home / "experiments" / "race-digits-tidal-margin-0")
    try:
        page.goto(f"{server.url}/race?project=digits")
        page.get_by_label("One arm asks by").click()
        page.get_by_role("option", name="TiDAL margin", exact=True).click()
        page.get_by_role("button", name="Start the race").click()
        expect(page.get_by_text("Both begin with the same labels")).to_be_visible()
        expect(page.get_by_text("Asked after round 1:")).to_have_count(2)
        expect(page.locator(".strip img").first).to_be_visible()
        expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible()
        page.evaluate("() => { window.neverLoadedAgain = true; }")
        expect(page.get_by_text(re.compile(r"[4-9] of 24 rounds"))).to_be_visible()
        assert page.evaluate("() => window.neverLoadedAgain"), "the page is live"

        server.kill()
        before = rounds_done(experiment)[0]
        wait_for(lambda: rounds_done(experiment)[0] > before, "a round without a studio")
        race.owner.stop(experiment.folder)  # as when the whole computer was off
        wait_for(lambda: experiment.owner is None, "the end of its process")
        server.start()
        page.goto(f"{server.url}/race?project=digits")
        wait_for(lambda: experiment.owner is not None, "the race that goes on")

        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text(re.compile(r"of 24 rounds, paused"))).to_be_visible()
        expect(page.get_by_role("button", name="Go on")).to_be_visible()
        wait_for(lambda: experiment.owner is None, "the pause")
    finally:
        race.stop(experiment)
