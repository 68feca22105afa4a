"""The journey of a first session: label, watch a round end, stop, start, find everything again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Key, Labelling
from tests.browser.server import Server
from tests.helpers.gates import RoundGate
from tidal_core.projects import Project, open_project
from tidal_core.records import Answer, AnswerKind

pytestmark = pytest.mark.browser


def reopened(server: Server, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project's file, once the server has let it go."""
    monkeypatch.setenv("TIDAL_HOME", str(server.home))
    return open_project("digits")


def labels_of(project: Project) -> list[Answer]:
    return [stored.answer for stored in project.store.answers.all() if stored.answer.kind is AnswerKind.LABEL]


def assert_exactly_the_painted(project: Project, keys: list[Key]) -> None:
    """Every digit pressed on a painted image is stored once, for that image, and nothing else is."""
    class_keys = {record.id: record.key for record in project.store.classes.all()}
    stored = Counter((answer.image_id, class_keys[answer.class_id or 0]) for answer in labels_of(project))
    pressed = Counter((key.image, key.key) for key in keys if key.image is not None and key.key.isdigit())
    assert stored == pressed


def assert_pixels_were_those_of(project: Project, keys: list[Key]) -> None:
    """What the canvas held at each key is the image that the answer names, whatever the component says of itself."""
    from tidal_core.images.sources import read_uri

    for key in keys:
        if key.image is not None and key.pixels is not None:
            image = project.store.images.get(key.image)
            shown = np.array(key.pixels).reshape(image.height, image.width)
            assert np.array_equal(shown, grey(read_uri(image.uri, image.name))), image.name


def grey(data: bytes) -> np.ndarray:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))[:, :, 0]


def test_twenty_labels_bring_a_round_and_a_restart_finds_everything(
    page: Page, held_server: Server, gate: RoundGate, known: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = held_server
    labelling = Labelling(page, server.url, pixels=True).open()
    first = labelling.painted()
    expect(labelling.root).to_contain_text("20 more labels until round 1")

    answered = [labelling.press(known(labelling.wait_painted())) for _ in range(20)]
    labelling.wait_saved()
    before = labelling.painted()
    queue_before = labelling.queue()
    gate.release()
    labelling.wait_ranking(1)
    queue_after = labelling.queue()

    assert answered[0] == first
    assert queue_after[0] != queue_before[0]
    assert labelling.painted() == before, "a new ranking must leave the image on screen alone"
    assert not set(answered) & set(queue_after)
    keys = labelling.pressed_keys()

    page.goto(f"{server.url}/dynamics?image={first}")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_contain_text(str(first))

    assert server.stop() in {0, 1}
    assert "Traceback" not in server.log.read_text()
    project = reopened(server, monkeypatch)
    assert_exactly_the_painted(project, keys)
    assert_pixels_were_those_of(project, keys)
    next_image = project.store.queue.items()[0].image_id
    project.close()

    server.start()
    labelling.open()
    assert labelling.painted() == next_image
    expect(labelling.root).to_contain_text("20 more labels until round 2")
    assert labelling.errors == []


def test_keys_faster_than_the_screen_never_answer_an_unseen_image(
    page: Page, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelling = Labelling(page, server.url).open()

    for key in "0123456789" * 3:
        page.keyboard.press(key)
    labelling.wait_saved()
    keys = labelling.pressed_keys()
    server.stop()

    project = reopened(server, monkeypatch)
    assert_exactly_the_painted(project, keys)
    project.close()
