"""The replay in a real browser: on its page, and as a file that plays without the studio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.made_up import Size, make
from tests.browser.conftest import patient
from tests.browser.driver import FIND_REPLAY
from tests.browser.server import Server
from tidal_core.export.replay import write_replay
from tidal_core.export.replay.collect import replay_info
from tidal_core.figures.replay import ReplayInfo

pytestmark = pytest.mark.browser

SIZE = Size(labelled=60, pool=80, test=40, rounds=3, epochs=8, classes=4)
ASKED = SIZE.labels_of(2) - SIZE.labels_of(1)  # out of the ranking of round 1
NAMES = ("<img src=x onerror=\"document.title='broken in'\">", "</script><b>two", "three & {{ 7 * 191 }}", "four")

DRAWN = "() => ['map', 'curves', 'accuracy'].map((name) => window.tidalPlayer()[name].canvas.toDataURL())"
# Every moment that is painted from now on.
WATCH = """
() => {
  const player = window.tidalPlayer();
  const paint = player.paint.bind(player);
  window.tidalPainted = [];
  player.paint = (at = player.at) => { window.tidalPainted.push(at); paint(at); };
}
"""


class Made(NamedTuple):
    """A home with a project, and its replay; beside the home lies the exported page."""

    home: Path
    info: ReplayInfo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("replay") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(home))
        project = make("made-up", SIZE, class_names=NAMES)
        project.store.curves.drop_before(2)
        write_replay(project, home.parent / "replay.html")
        info = replay_info(project)
        project.close()
    return Made(home, info)


@pytest.fixture(scope="module")
def server(made: Made) -> Iterator[Server]:
    with Server(made.home) as running:
        yield running


def opened(page: Page, address: str) -> Page:
    page.add_init_script(FIND_REPLAY)
    page.goto(address)
    expect(page.locator(".replay[data-ready=yes]")).to_be_attached()
    return page


def moment(page: Page, text: str) -> None:
    expect(page.locator(".replay .moment")).to_have_text(text)


def test_a_link_leads_to_a_moment_keys_step_from_it_and_the_address_follows(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up&round=2&epoch=5")

    moment(page, "Round 2 of 3, epoch 5 of 8")
    expect(page.get_by_role("slider", name="Moment")).to_have_attribute("aria-valuetext", "Round 2 of 3, epoch 5 of 8")
    expect(page.get_by_role("heading", name="Labelled before the first round")).to_have_count(0)
    expect(page.get_by_role("heading", name="Asked after round 1")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link to this moment").click()
    expect(page.locator(".replay .said")).to_have_text("Copied: Round 2 of 3, epoch 5 of 8.")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == f"{server.url}/replay?project=made-up&round=2&epoch=5"
    page.keyboard.press("ArrowRight")
    moment(page, "Round 2 of 3, epoch 6 of 8")
    expect(page).to_have_url(re.compile(r"round=2&epoch=6"))
    page.keyboard.press("Shift+ArrowRight")
    moment(page, "Round 3 of 3, epoch 1 of 8")
    page.keyboard.press("ArrowLeft")  # the end of a round: what it asked for is there
    moment(page, "Round 2 of 3, epoch 8 of 8")
    expect(page.get_by_role("heading", name="Asked after round 2")).to_be_visible()
    expect(page.locator(".replay .facts")).to_contain_text("Accuracy after round 2")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    moment(page, "Round 1 of 3, its end")
    expect(page.locator(".replay .queue li img")).to_have_count(ASKED)
    expect(page).to_have_url(re.compile(r"round=1&epoch=8"))
    page.reload()
    moment(page, "Round 1 of 3, its end")


def test_another_address_of_the_same_page_leads_to_its_moment(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up&round=2&epoch=2")
    expect(page).to_have_url(re.compile("round=2"))

    page.get_by_role("link", name="Progress").click()
    expect(page.get_by_role("heading", name="Progress", level=1)).to_be_visible()
    page.go_back()

    moment(page, "Round 2 of 3, epoch 2 of 8")


def test_playing_draws_every_moment_to_the_end_and_tells_where_it_stopped(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up&round=3&epoch=5")
    first = page.evaluate(DRAWN)
    page.evaluate(WATCH)
    page.locator(".replay .speed").select_option("2 epochs a second")

    page.get_by_role("button", name="Play", exact=True).click()

    moment(page, "Round 3 of 3, epoch 8 of 8")
    expect(page.locator(".replay")).to_have_attribute("data-playing", "no")
    painted = page.evaluate("() => window.tidalPainted")
    assert painted == sorted(painted)
    assert painted[-1] == 16
    assert any(at % 1 for at in painted), "between two epochs the points are on their way"
    assert all(before != after for before, after in zip(first, page.evaluate(DRAWN), strict=True))
    expect(page.locator(".replay .spoken")).to_contain_text("Round 3 of 3, epoch 8 of 8. 55 labels")
    expect(page).to_have_url(re.compile(r"round=3&epoch=8"))


def test_the_space_bar_plays_and_pauses_and_with_reduced_motion_nothing_glides(
    browser: Browser, server: Server
) -> None:
    context = patient(browser.new_context(reduced_motion="reduce"))
    page = opened(context.new_page(), f"{server.url}/replay?project=made-up&round=2&epoch=1")
    page.evaluate(WATCH)

    page.keyboard.press("Space")
    expect(page.locator(".replay")).to_have_attribute("data-playing", "yes")
    page.wait_for_function("() => window.tidalPlayer().at > 3")
    page.keyboard.press("Space")

    expect(page.locator(".replay")).to_have_attribute("data-playing", "no")
    assert all(at % 1 == 0 for at in page.evaluate("() => window.tidalPainted"))
    context.close()


def test_the_player_computes_the_numbers_that_films_and_tables_show(page: Page, made: Made) -> None:
    opened(page, (made.home.parent / "replay.html").as_uri())

    for place, of in enumerate(made.info.rounds):
        found = page.evaluate(
            "(place) => { const of = window.tidalPlayer().story.of(place);"
            " return [of.confidence, of.variability, of.correctness].map((each) => Array.from(each)); }",
            place,
        )
        assert np.array(found).reshape(of.running.shape) == pytest.approx(of.running, abs=0.003), of.kind
        if not of.is_summary:
            quartiles = page.evaluate("(place) => Array.from(window.tidalPlayer().story.of(place).quartiles)", place)
            middle = np.array(quartiles).reshape(-1, 3)[:, 1]
            assert middle == pytest.approx(np.quantile(of.p, 0.5, axis=1, method="inverted_cdf"))


def test_when_another_round_has_ended_what_plays_goes_on(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up&round=2&epoch=3")
    page.locator(".replay .speed").select_option("2 epochs a second")
    page.get_by_role("button", name="Play", exact=True).click()

    # What Streamlit does when the page's script has seen another round.
    page.evaluate(
        "() => { window.tidalBefore = window.tidalPlayer(); const page = window.tidalReplayPage();"
        " page.renew({ ...page.component, data: { ...page.data, version: 'another' } }); }"
    )
    page.wait_for_function("() => window.tidalPlayer() !== window.tidalBefore")

    expect(page.locator(".replay")).to_have_attribute("data-playing", "yes")
    expect(page.locator(".replay .speed option")).to_have_count(7)
    assert page.locator(".replay .speed").input_value() == "2"
    page.wait_for_function("() => window.tidalPlayer().at > window.tidalBefore.at")
    page.keyboard.press("ArrowRight")  # heard by one player only
    expect(page.locator(".replay")).to_have_attribute("data-playing", "no")
    assert page.evaluate("() => window.tidalBefore.closed")


def test_a_file_of_the_replay_is_downloaded(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up")
    expect(page.get_by_text(re.compile(r"The page is about 0\.\d MB: 55 images"))).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Page, HTML", exact=True).click()

    assert download.value.suggested_filename == "made-up-replay.html"
    assert "Made-up: replay" in download.value.path().read_text(encoding="utf-8")


def test_a_point_of_the_map_and_a_picture_of_the_queue_open_an_image(page: Page, server: Server) -> None:
    opened(page, f"{server.url}/replay?project=made-up&round=2&epoch=8")
    image, x, y = page.evaluate(
        "() => { const { map, story } = window.tidalPlayer(); const i = map.places.length / 2 - 1;"
        " return [story.ids[map.found.rows[i]], map.places[2 * i], map.places[2 * i + 1]]; }"
    )

    page.locator(".replay .map canvas").click(position={"x": x, "y": y})

    expect(page.get_by_role("heading", name=f"Image {image}", exact=True)).to_be_visible()
    expect(page.locator(".replay .one img")).to_be_visible()
    expect(page.get_by_role("link", name="Its whole life")).to_have_attribute(
        "href", f"dynamics?project=made-up&view=life&image={image}"
    )
    page.locator(".replay .queue li button").first.click()
    expect(page.locator(".replay .queue li button").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.locator(".replay .one")).to_be_hidden()


def test_the_exported_page_plays_offline_and_takes_names_for_text(browser: Browser, made: Made) -> None:
    context = patient(browser.new_context(offline=True))
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    opened(page, f"{(made.home.parent / 'replay.html').as_uri()}#round=2&epoch=3")

    moment(page, "Round 2 of 3, epoch 3 of 8")
    legend = page.locator(".replay .legend span")
    expect(legend).to_have_text([*NAMES])
    expect(page.locator(".replay .queue li img")).to_have_count(ASKED)
    page.evaluate(WATCH)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => window.tidalPlayer().at > 5")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page).to_have_url(re.compile(r"#round=2&epoch="))
    page.evaluate("() => { location.hash = '#round=3&epoch=8'; }")
    moment(page, "Round 3 of 3, epoch 8 of 8")
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
    assert (errors, page.title()) == ([], "Made-up: replay")
    context.close()
