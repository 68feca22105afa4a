"""``features`` and ``train`` in a terminal, on this machine; tests/engine/executors/ tries them on a cluster."""

from __future__ import annotations

import pytest

from tests.helpers.frozen import frozen_project
from tests.helpers.tiny import label_next, tiny_project
from tests.test_cli import run
from tidal_core.projects import open_project
from tidal_core.records import RoundState
from tidal_core.rounds.features import progress_of
from tidal_core.rounds.queue_plan import fill_queue

Said = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_features_of_all_images_then_a_round_on_them(monkeypatch: Patch, capsys: Said) -> None:
    frozen_project(24, test=6, find_fastest=False).close()

    assert run(monkeypatch, "features", "tiny") == 0
    assert run(monkeypatch, "features", "tiny") == 0, "nothing is left to do"
    assert capsys.readouterr().out == 2 * "30 of 30 images have their features.\n"
    project = open_project("tiny")
    progress = progress_of(project)
    assert progress is not None
    assert (progress.done, progress.total) == (30, 30)
    fill_queue(project)
    label_next(project, 8)
    project.close()

    assert run(monkeypatch, "train", "tiny") == 0

    assert "Round 1 is done, accuracy " in capsys.readouterr().out
    project = open_project("tiny")
    assert project.store.rounds.get(1).state is RoundState.DONE
    assert {item.round_id for item in project.store.queue.items()} == {1}
    project.close()


def test_what_cannot_be_computed_is_said(monkeypatch: Patch, capsys: Said) -> None:
    tiny_project(6, test=0).close()

    assert run(monkeypatch, "features", "tiny") == 1
    assert "trains its whole network and keeps no features" in capsys.readouterr().err
    assert run(monkeypatch, "train", "tiny") == 1
    assert "has no labels, or no two classes, to train on" in capsys.readouterr().err
    assert run(monkeypatch, "train", "tiny", "--executor", "spark") == 1
    assert "give --executor local (this machine) or --executor ray" in capsys.readouterr().err
    assert run(monkeypatch, "train", "nobody") == 1
    assert "There is no project 'nobody'" in capsys.readouterr().err
