"""The studio opens what is there, owns it while it runs, and lets go of it when it closes."""

from dataclasses import replace

import pytest

from tests.helpers.gates import WAIT_SECONDS, Gate, wait_for
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.errors import InputError, ProjectClosed, ProjectNotFound
from tidal_core.images import jobs
from tidal_core.images.ingest import ImportProgress
from tidal_core.images.pixels import PixelStore
from tidal_core.projects import open_project
from tidal_core.records import RoundState, Split
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.studio import DEMO, Studio


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
    wait_for(lambda: "tiny" in [p.slug for p in studio.open_projects()], "the opening of the project")
    wait_for(lambda: not studio.project("tiny").store.rounds.active(), "the end of the round")
    assert studio.project("tiny").store.rounds.get(1).state is RoundState.DONE
    wait_for(lambda: DEMO in [p.slug for p in studio.open_projects()], "the opening of the demo")


def test_a_project_with_nothing_to_go_on_with_stays_closed_until_someone_looks_at_it(studio: Studio) -> None:
    for name in ("first", "last"):
        tiny_project(name=name).close()
    due = tiny_project(name="middle")  # its labels were enough for a round when the studio ended
    fill_queue(due)
    label_next(due, 6)
    due.close()

    studio.open_in_background()
    wait_for(lambda: DEMO in [p.slug for p in studio.open_projects()], "the opening of the demo")
    assert studio._opener is not None
    studio._opener.join(WAIT_SECONDS)

    assert {p.slug for p in studio.open_projects()} == {DEMO, "middle"}
    assert studio.project("last").title == "last"
    open_project("first").close()  # it is free for another program


def test_a_glance_leaves_a_project_as_it_was(studio: Studio) -> None:
    for name in ("closed", "open"):
        tiny_project(name=name).close()
    kept = studio.project("open")

    with studio.glance("closed") as seen:
        assert seen.title == "closed"
    with studio.glance("open") as seen:
        assert seen is kept

    assert [p.slug for p in studio.open_projects()] == ["open"]
    assert kept.title == "open"
    with pytest.raises(ProjectNotFound, match="nothing-here"), studio.glance("nothing-here"):
        pass


def test_another_training_size_fills_the_pixels_anew_also_when_the_studio_was_closed_meanwhile(studio: Studio) -> None:
    demo = studio.demo()
    assert not studio.change_settings(demo, replace(demo.settings, title="Digits"))

    assert studio.change_settings(demo, replace(demo.settings, training_size=24))
    studio.close()
    again = Studio(with_worker=False)
    demo = again.demo()
    job = again.import_job(DEMO)

    assert job is None or job.wait(WAIT_SECONDS)
    assert job is None or job.error is None
    assert PixelStore(demo.pixels).shape[1:] == (24, 24, 3)
    again.close()


def test_the_training_size_stays_while_an_import_goes_on(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tiny_project()
    project.close()
    project = studio.project("tiny")
    gate, tell = Gate(), jobs.ImportJob._show

    def held(job: jobs.ImportJob, step: ImportProgress) -> None:
        gate.stop_here()
        tell(job, step)

    monkeypatch.setattr(jobs.ImportJob, "_show", held)
    job = studio.start_import(project, "digits")
    with gate:
        gate.wait_reached()
        with pytest.raises(InputError, match="The import of 'tiny' is running; change size, fit, colour or cache when"):
            studio.change_settings(project, replace(project.settings, training_size=24))
        assert project.settings.training_size == 8
        job.cancel()
    assert job.wait(WAIT_SECONDS)
