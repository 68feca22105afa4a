"""What the queue holds: a ranking with its scores, and what is put behind what waits."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.tiny import tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.projects import Project
from tidal_core.records import Purpose
from tidal_core.rounds import audit
from tidal_core.rounds.queue_plan import fill_queue, plan_queue

SETTINGS = ProjectSettings(title="queue", training_size=8, labels_per_round=6, audit_share=0.25)


@pytest.fixture
def project() -> Iterator[Project]:
    project = tiny_project(name="queue", settings=SETTINGS)
    yield project
    project.close()


def test_scores_stay_with_their_images(project: Project) -> None:
    ranked = audit.rankable(project)[:8]

    items = plan_queue(project, ranked, scores=np.linspace(0.9, 0.2, 8, dtype=np.float32), round_id=3)

    scores = {item.image_id: item.score for item in items if item.purpose is Purpose.QUERY}
    assert list(scores) == ranked.tolist()
    assert list(scores.values()) == pytest.approx(np.linspace(0.9, 0.2, 8))
    assert [(item.score, item.round_id) for item in items if item.purpose is Purpose.AUDIT] == [(None, 3)] * 2
    assert [item.position for item in items] == list(range(10))


def test_what_is_put_behind_what_waits_keeps_the_share(project: Project) -> None:
    fill_queue(project)
    everything = project.store.queue.items()
    project.store.queue.replace(everything[:10])  # worked through but for ten

    assert fill_queue(project) == len(everything) - 10

    purposes = [item.purpose for item in project.store.queue.items()]
    assert [position for position, purpose in enumerate(purposes, 1) if purpose is Purpose.AUDIT] == list(
        range(4, 57, 4)
    )
