"""Reads over several tables, on a made-up project whose answers can be counted again in numpy."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind
from tidal_core.store.views import BAND_BINS

SIZE = Size(labelled=40, pool=50, test=30, rounds=2, epochs=6)


@pytest.fixture
def project() -> Iterator[Project]:
    made = make("views", SIZE)
    yield made
    made.close()


def test_the_map_has_a_row_for_each_image_of_the_round(project: Project) -> None:
    rows = project.store.views.map(2)

    ids, classes = project.store.rounds.images(2)
    np.testing.assert_array_equal(rows.image_ids, ids)
    np.testing.assert_array_equal(rows.class_ids, classes)
    assert set(rows.annotators) == {"ada", "ben"}
    assert rows.names[0] == "scans/page 0000/digit 000000.png"
    assert ((rows.statistics["confidence"] > 0) & (rows.statistics["confidence"] < 1)).all()


def test_the_map_keeps_an_image_whose_label_was_taken_back_since(project: Project) -> None:
    undo = Answer("take-back", AnswerKind.UNDO, 1, undoes="made-up-0")
    project.store.answers.record([undo])

    rows = project.store.views.map(2)

    assert (rows.image_ids[0], rows.annotators[0], rows.answered[0]) == (1, "", 0)


def test_the_rounds_of_an_image_come_oldest_first_with_its_observed_area(project: Project) -> None:
    found = project.store.views.rounds_of_image(3)

    assert [one.round_id for one in found] == [1, 2]
    assert found[0].td_bar is not None
    assert found[0].td_bar.sum() == pytest.approx(1, abs=1e-5)
    assert project.store.views.rounds_of_image(85) == []


def test_bands_count_every_image_of_a_group_at_every_epoch(project: Project) -> None:
    rows = project.store.views.map(2)
    places = rows.class_ids - 1
    groups = (rows.image_ids > 20).astype(np.int64)

    epochs, counts = project.store.views.bands(2, rows.image_ids, places, rows.class_ids, groups)

    np.testing.assert_array_equal(epochs, np.arange(1, 7))
    np.testing.assert_array_equal(counts.sum(axis=2), [[20] * 6, [len(rows.image_ids) - 20] * 6])
    p, _ = project.store.curves.of_epoch(2, 4)
    of_label = p[np.arange(20), places[:20]]
    expected = np.bincount((of_label * BAND_BINS).astype(int), minlength=BAND_BINS)
    np.testing.assert_array_equal(counts[0, 3], expected)


def test_the_histogram_tells_labelled_asked_and_remaining_apart(project: Project) -> None:
    counts = project.store.views.histogram(1, "td_entropy", 0.0, np.log(10), 12)

    labelled, asked = SIZE.labels_of(1), SIZE.labels_of(2) - SIZE.labels_of(1)
    assert counts.sum(axis=1).tolist() == [labelled, asked, SIZE.labelled + SIZE.pool - labelled - asked]
    values = project.store.scores.table(1, "labelled")["td_entropy"]
    assert len(values) == labelled
    np.testing.assert_array_equal(counts[0], np.histogram(values, 12, (0, np.log(10)))[0])


def test_the_next_batch_counts_as_asked_while_its_ranking_serves(project: Project) -> None:
    without = project.store.views.histogram(2, "margin", 0, 1, 5)
    with_batch = project.store.views.histogram(2, "margin", 0, 1, 5, next_batch=20)

    assert with_batch[1].sum() > without[1].sum()
    assert with_batch.sum() == without.sum()


def test_a_name_that_is_no_estimator_never_reaches_the_query(project: Project) -> None:
    with pytest.raises(KeyError):
        project.store.views.histogram(1, "1; DROP TABLE scores", 0, 1, 5)
    with pytest.raises(KeyError):
        project.store.views.pool_mean(1, "p")


def test_the_confusions_add_up_to_the_test_split_and_open_into_images(project: Project) -> None:
    truth, said, n = project.store.predictions.confusion(2, "test")

    assert n.sum() == SIZE.test
    cell = project.store.predictions.cell(2, "test", int(truth[0]), int(said[0]))
    assert len(cell) == n[0]
    assert {project.store.images.get(one).known_class for one in cell} == {int(truth[0])}


def test_the_share_of_changed_predictions_is_counted_over_common_images(project: Project) -> None:
    first = project.store.scores.table(1)
    second = project.store.scores.table(2)
    common = np.isin(first["image_id"], second["image_id"])

    found = project.store.predictions.changed_share(2, 1)

    assert found == pytest.approx((first["predicted"][common] != second["predicted"]).mean())
    assert project.store.predictions.changed_share(1, 99) is None


def test_foresight_pairs_what_was_predicted_with_what_came(project: Project) -> None:
    found = project.store.views.foresight(1)

    asked = project.store.views.asked(1)
    assert len(found.observed) == len([one for one in asked if one in project.store.rounds.images(2)[0]])
    assert (found.observed_rounds == 2).all()
    assert project.store.views.foresight(2).observed == []


def test_bands_of_fewer_epochs_skip_evenly_and_keep_the_last(project: Project) -> None:
    rows = project.store.views.map(2)

    epochs, counts = project.store.views.bands(
        2,
        rows.image_ids,
        rows.class_ids - 1,
        rows.class_ids,
        np.zeros(len(rows.image_ids), dtype=np.int64),
        most_epochs=3,
    )

    np.testing.assert_array_equal(epochs, [2, 4, 6])
    assert counts.sum() == 3 * len(rows.image_ids)
