"""The studio opens what is there, owns it while it runs, and lets go of it when it closes."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.helpers.tiny import label_next, tiny_project
from tidal_core.errors import InputError, ProjectClosed, ProjectNotFound
from tidal_core.images.pixels.cache import open_pixels
from tidal_core.projects import open_project, project_slugs
from tidal_core.records import RoundState, Split
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.studio import DEMO, Studio


@pytest.fixture
def studio() -> Iterator[Studio]:
    made = Studio()
    yield made
    made.close()


def test_the_demo_has_real_digits_and_a_test_split(studio: Studio) -> None:
    demo = studio.demo()
    assert (demo.store.images.count(Split.POOL), demo.store.images.count(Split.TEST)) == (1297, 500)
    assert [record.key for record in demo.store.classes.all()] == list("0123456789")
    assert demo.store.answers.count() == 0
    assert demo.store.queue.count() > 0


def test_a_project_is_opened_once_however_many_ask(studio: Studio) -> None:
    tiny_project().close()
    assert studio.project("tiny") is studio.project("tiny")


def test_a_closed_studio_lets_the_files_go_and_opens_no_more(studio: Studio) -> None:
    tiny_project().close()
    studio.project("tiny")
    studio.close()
    open_project("tiny").close()
    with pytest.raises(ProjectClosed, match="closing"):
        studio.project("tiny")


def test_an_unknown_project_is_named(studio: Studio) -> None:
    with pytest.raises(ProjectNotFound, match="nothing-here"):
        studio.project("nothing-here")


@pytest.mark.usefixtures("short_rounds")
def test_a_round_that_was_interrupted_goes_on_when_the_studio_starts(studio: Studio) -> None:
    project = tiny_project()
    fill_queue(project)
    label_next(project, 6)
    claim_round(project, started_by="labels")
    project.close()
    studio.open_in_background()
    end = time.monotonic() + 60
    while "tiny" not in [p.slug for p in studio.open_projects()] or studio.project("tiny").store.rounds.active():
        assert time.monotonic() < end, "the round did not go on"
        time.sleep(0.05)
    assert studio.project("tiny").store.rounds.get(1).state is RoundState.DONE
    assert DEMO in project_slugs()


def test_another_training_size_fills_the_pixels_anew_also_when_the_studio_was_closed_meanwhile(studio: Studio) -> None:
    demo = studio.demo()
    assert not studio.change_settings(demo, replace(demo.settings, title="Digits"))

    assert studio.change_settings(demo, replace(demo.settings, training_size=24))
    studio.close()
    again = Studio(with_worker=False)
    demo = again.demo()
    job = again.import_job(DEMO)

    assert job is None or job.wait(60)
    assert job is None or job.error is None
    assert open_pixels(demo.pixels).shape[1:] == (24, 24, 3)
    again.close()


def test_the_training_size_stays_while_an_import_goes_on(studio: Studio) -> None:
    project = tiny_project()
    project.close()
    project = studio.project("tiny")
    job = studio.start_import(project, "digits")
    try:
        with pytest.raises(InputError, match="The import of 'tiny' is under way; change the training size when"):
            studio.change_settings(project, replace(project.settings, training_size=24))
        assert project.settings.training_size == 8
    finally:
        job.cancel()
        job.wait()
