"""``demo``: a project of class folders, the autopilot and the race, in one command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.browser.server import Server
from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.squares import squares
from tests.helpers.tiny import tiny_project
from tidal_core import cli
from tidal_core.commands.demo import project_of_folder
from tidal_core.errors import InputError, ProjectExists
from tidal_core.experiments import race
from tidal_core.experiments.files import Experiment
from tidal_core.labelling.autopilot import AUTOPILOT
from tidal_core.projects import open_project, project_slugs
from tidal_core.records import RoundState, Split


def test_one_command_makes_a_project_of_class_folders_and_starts_autopilot_and_race(
    tmp_path: Path, tidal_home: Path
) -> None:
    folder = squares(tmp_path / "My colours")
    program = [sys.executable, "-m", "tidal_core", "demo", str(folder), "--speed", "50", "--mistakes", "0.1", "--port"]
    token = {"X-Tidal-Token": "of-the-test", "Content-Type": "application/json"}

    with Server(tidal_home, program=program, variables={"TIDAL_TOKEN": "of-the-test"}) as server:

        def labelled() -> int:
            request = Request(f"{server.url}/api/p/my-colours/status", data=b"{}", headers=token)
            with urlopen(request, timeout=WAIT_SECONDS) as answer:
                return int(json.load(answer)["labelled"])

        wait_for(lambda: labelled() == 144, "every image answered")
        experiment = Experiment(tidal_home / "experiments" / "race-my-colours-tidal-entropy-0")
        wait_for(lambda: experiment.owner is not None, "the race")
        server.stop()
    race.stop(experiment)
    wait_for(lambda: experiment.owner is None, "the end of the race")

    project = open_project("my-colours")
    assert project.title == "My colours"
    assert (project.store.images.count(Split.POOL), project.store.images.count(Split.TEST)) == (144, 36)
    given = project.store.answers.given_by(AUTOPILOT)
    assert given.labels == 144
    assert 0 < given.mistakes < 40
    first = project.store.rounds.latest(RoundState.DONE)
    assert first is not None
    assert project.store.metrics.series("accuracy", "test")[0].n == 36
    project.close()


def test_the_same_folder_again_goes_on_and_another_project_of_the_name_is_refused(tmp_path: Path) -> None:
    folder = squares(tmp_path / "colours", 10)
    made = project_of_folder(folder)
    before = made.store.images.count()
    made.close()
    again = project_of_folder(folder)
    assert (again.slug, again.store.images.count()) == ("colours", before)
    again.close()

    tiny_project(6, test=0, name="squares").close()
    with pytest.raises(ProjectExists, match=r"already a project 'squares'.*--name NAME"):
        project_of_folder(folder, "Squares")


def test_a_folder_with_a_test_part_keeps_it(tmp_path: Path) -> None:
    squares(tmp_path / "parts" / "train", 10)
    squares(tmp_path / "parts" / "test", 4, seed=1)

    project = project_of_folder(tmp_path / "parts")

    assert (project.store.images.count(Split.POOL), project.store.images.count(Split.TEST)) == (30, 12)
    project.close()


@pytest.mark.parametrize(("arguments", "message"), [
    (["nowhere"], "There is no folder '.*nowhere'; give one"),
    (["--speed", "fast"], "'fast' is no speed; write a number of answers a second, or next-round"),
    (["--speed", "60"], "60 answers a second; choose from 1 to 50"),
    (["--mistakes", "2"], "share of 2 mistakes cannot be"),
    (["--name", "x"], "give the folder, too"),
])  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_made(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cli.app(["demo", *arguments])

    assert project_slugs() == []


def test_a_folder_without_classes_leaves_no_project(tmp_path: Path) -> None:
    folder = squares(tmp_path / "colours", 3) / "red"

    with pytest.raises(InputError, match="0 images in 0 class folders that can be read; give a folder"):
        project_of_folder(folder)

    assert project_slugs() == []
