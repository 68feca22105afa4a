"""The pages that look at rounds, opened as people open them: through the app, on a project made up for the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from benchmarks.made_up import Size, make
from tests.helpers.gates import WAIT_SECONDS
from tidal_core.config import RoundConfig, Seeds, TrainConfig
from tidal_core.projects import Project
from tidal_core.records import EpochRecord, RoundState
from tidal_core.rounds.due import end_round
from tidal_core.server.studio import Studio
from tidal_core.store.scores import ScoreRows

ROOT = Path(__file__).parents[2]
SMALL = Size(labelled=40, pool=60, test=30, rounds=2, epochs=5)


def made_up(studio: Studio, size: Size = SMALL, class_names: tuple[str, ...] = ()) -> Project:
    """A made-up project, open in the studio."""
    project = make("made-up", size, class_names=class_names)
    project.close()
    return studio.project("made-up")


def open_page(name: str, slug: str = "made-up", **query: str) -> AppTest:
    """One page of the app; fails on any exception."""
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = slug
    for key, value in query.items():
        test.query_params[key] = value
    test.switch_page(f"pages/{name}.py").run()
    assert test.title[0].value.lower() == name
    assert not test.exception, test.exception
    return test


def press(test: AppTest, key: str) -> AppTest:
    """Press a button; fails on any exception."""
    test.button(key=key).click().run()
    assert not test.exception, test.exception
    return test


def press_ending(test: AppTest, what: str) -> AppTest:
    """Press the one button whose key ends by ``what``; before it stands the id of an event that no test can know."""
    (match,) = [each for each in test.button if each.key and each.key.endswith(f"-{what}")]
    return match.click().run()


def texts(test: AppTest) -> str:
    """Everything that a page says."""
    kinds = (test.title, test.subheader, test.markdown, test.caption, test.info, test.error, test.warning)
    return "\n".join(str(chart.value) for kind in kinds for chart in kind)


def charts(test: AppTest) -> int:
    """How many figures a page shows."""
    return len(test.get("plotly_chart"))


def start_round(project: Project, labels: int = 20) -> int:
    """A round in state TRAINING, as if the worker had just begun it."""
    ids = np.arange(1, labels + 1, dtype=np.int64)
    class_ids = [record.id for record in project.store.classes.all()]
    config = RoundConfig(TrainConfig(), Seeds(), "tidal-entropy", 16)
    record = project.store.rounds.create(
        config=config.to_json(),
        strategy="tidal-entropy",
        class_ids=class_ids,
        last_seq=labels,
        started_by="labels",
        image_ids=ids,
        image_class_ids=np.array([class_ids[number % len(class_ids)] for number in range(labels)], dtype=np.int64),
    )
    project.store.rounds.move(record.id, RoundState.WAITING, RoundState.TRAINING)
    return record.id


def fail_round(project: Project, round_id: int, message: str) -> None:
    """End a round as FAILED."""
    end_round(project, round_id, RoundState.FAILED, message)


def an_epoch(epoch: int, epochs: int = 40) -> EpochRecord:
    """One epoch's numbers."""
    return EpochRecord(epoch, epochs, 2.5, 2.0, 0.5, 0.4, 2e-3, 0.1, 300.0, 32)


def sure_of_all(project: Project) -> None:
    """The newest round is sure, and right, about every test image and about every image of the pool."""
    store = project.store
    round_id = store.scores.latest_round() or 0
    order = np.array(store.rounds.get(round_id).class_ids)
    for part in ("test", "pool"):
        ids, known = store.images.test_set()
        if part == "pool":
            ids = np.array([row[0] for row in store.scores.unanswered(round_id, "")], dtype=np.int64)
            known = order[ids % len(order)]
        p = np.where(order == known[:, None], 0.999, 0.001 / (len(order) - 1)).astype(np.float32)
        store.scores.add(round_id, part, ScoreRows(ids, known, p, p, None, {"entropy": 1 - p.max(axis=1)}))
