"""What rounds say of images, on a made-up project whose answers can be counted again."""

from collections.abc import Iterator

import pytest

from benchmarks.made_up import Size, make
from tests.helpers.finished import finish_round
from tests.helpers.tiny import tiny_project
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, Purpose

SIZE = Size(labelled=40, pool=50, test=30, rounds=2, epochs=6)


@pytest.fixture
def project() -> Iterator[Project]:
    made = make("predictions", SIZE)
    yield made
    made.close()


def test_what_a_round_predicted_follows_a_merge_like_its_labels(project: Project) -> None:
    predictions, classes = project.store.predictions, project.store.classes
    truth, predicted, n = predictions.confusion(2, "test")
    source, target = next((int(a), int(b)) for a, b in zip(truth, predicted, strict=True) if a != b)
    before = predictions.accuracies("test")[2]
    confused = n[((truth == source) & (predicted == target)) | ((truth == target) & (predicted == source))].sum()
    changed = predictions.changed_share(2, 1)

    classes.merge(source, into=target)

    truth, predicted, _ = predictions.confusion(2, "test")
    assert source not in truth
    assert source not in predicted
    assert predictions.accuracies("test")[2] == (before[0] + confused, before[1])
    assert changed is not None
    assert (predictions.changed_share(2, 1) or 0.0) <= changed
    assert predictions.count(2, source, "all") == 0
    assert source not in {row.predicted for row in predictions.some(2, None, "all", "image", 0, 100)}
    assert source not in {guess[0] for guess in project.store.scores.guesses(2, range(1, 121)).values()}
    merged_name = next(record.name for record in classes.all(include_retired=True) if record.id == source)
    assert merged_name not in project.store.exports.predictions(2)["predicted"].to_pylist()


def test_a_label_that_only_measures_is_not_among_the_chosen() -> None:
    project = tiny_project(60, test=0)
    try:
        finish_round(project)
        chosen, drawn = project.store.images.unlabelled_ids()[:2].tolist()
        class_id = project.store.classes.all()[0].id
        for image_id, purpose in ((chosen, Purpose.QUERY), (drawn, Purpose.AUDIT)):
            answer = Answer(f"given-{image_id}", AnswerKind.LABEL, image_id, class_id=class_id, purpose=purpose)
            project.store.answers.record([answer])

        _, n = project.store.predictions.accuracies("chosen")[1]

        assert n == 1
    finally:
        project.close()
