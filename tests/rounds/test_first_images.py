"""What is asked before a round has ranked images: those that stand for most others, as features arrive."""

import numpy as np

from tests.helpers.frozen import compute_all, frozen_project, run_round
from tests.helpers.tiny import label_next
from tidal_core.labelling import explaining
from tidal_core.labelling.desk import Desk
from tidal_core.projects import Project
from tidal_core.records import Int64, Purpose
from tidal_core.rounds.feature_work import compute_some
from tidal_core.rounds.features import wanted
from tidal_core.rounds.queue_plan import fill_queue, plan_first_images
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


def test_the_first_images_stand_for_most_others_and_are_planned_anew_as_features_arrive() -> None:
    project = frozen_project(n=150, test=0)
    fill_queue(project)
    desk = Desk(project)
    before = [item.image_id for item in project.store.queue.items()]
    assert desk.ranking() == 0

    compute_some(project, progress=lambda _: None, should_stop=lambda: False, interrupted=lambda: False)
    first_plan = [item.image_id for item in project.store.queue.items()]
    assert desk.ranking() == -1
    compute_all(project)
    last_plan = [item.image_id for item in project.store.queue.items()]

    assert before != first_plan != last_plan
    assert desk.ranking() < -1
    assert all(item.purpose is Purpose.SEED for item in project.store.queue.items())
    assert sorted(last_plan) == sorted(before), "the others come behind the chosen ones"
    assert last_plan[:20] == _herded(project, 20).tolist()
    project.close()


def test_what_labelled_images_stand_for_already_is_not_asked_first() -> None:
    project = frozen_project(n=150, test=0)
    fill_queue(project)
    compute_all(project)
    with_no_labels = _herded(project, 5)
    label_next(project, 5)

    project.store.settings.remove("first_plan_features")  # as when all images have features for the first time
    store = wanted(project)
    assert store is not None
    assert plan_first_images(project, store)

    planned = [item.image_id for item in project.store.queue.items()[:5]]
    assert planned == _herded(project, 5).tolist()
    assert not set(planned) & set(with_no_labels.tolist())
    project.close()


def test_after_a_round_that_could_rank_nothing_images_are_chosen_as_features_arrive() -> None:
    project = frozen_project(n=60, test=0)
    fill_queue(project)
    label_next(project, 12)
    run_round(project)
    ranked = [item for item in project.store.queue.items() if item.round_id is not None]
    assert not ranked, "only the labelled images had features"
    fill_queue(project)  # as when somebody goes on labelling
    drawn = project.store.queue.items()[0].image_id
    assert "Drawn at random" in explaining.reasons(project, drawn).sentence

    compute_all(project)

    queries = [item for item in project.store.queue.items() if item.purpose is not Purpose.AUDIT]
    assert {item.purpose for item in queries} == {Purpose.SEED}
    assert queries[0].image_id == _herded(project, 1)[0]
    project.close()


def _herded(project: Project, n: int) -> Int64:
    """The n images of the pool that ``herd`` chooses by their features, beside those that are labelled."""
    store = wanted(project)
    assert store is not None
    images, features = project.store.images, store.read()
    pool = images.unlabelled_ids()
    points = unit_length(features.standardised(images.pixel_rows(pool)))
    before = unit_length(features.standardised(images.pixel_rows(project.store.answers.answered_images())))
    return pool[herd(points, n, np.random.default_rng(project.settings.seed), before)]
