"""First labels, and the images that a run holds out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.made import FROZEN, TINY, make_dataset
from tidal_core.errors import InputError
from tidal_core.experiments.files import Spec, begin
from tidal_core.experiments.frozen import compute_features
from tidal_core.experiments.protocol import Configuration, FirstChoice, Protocol, start_of
from tidal_core.experiments.runs import Run, _State, execute
from tidal_core.experiments.starts import nearest_to_centres, one_of_each
from tidal_core.strategies.distances import squared_distances, unit_length


def state_of(folder: Path, protocol: Protocol, configuration: str = "random", number: int = 0) -> _State:
    run = Run(make_dataset(folder), protocol, Configuration.parse(configuration), 1.0, number, folder / "runs")
    compute_features(run.dataset, run.protocol)
    run.folder.mkdir(exist_ok=True)
    return _State(run)


def test_one_of_each_class_comes_first_then_others() -> None:
    classes = np.repeat([0, 1, 2], [50, 5, 1])

    drawn = [one_of_each(classes, 6, np.arange(100, 156), np.random.default_rng(seed)) for seed in range(20)]

    for rows in drawn:
        assert sorted(classes[rows[:3] - 100]) == [0, 1, 2]
        assert len(set(rows)) == 6
    assert len({int(rows[classes[rows - 100] == 0][0]) for rows in drawn}) > 5, "a random one of the class"


def test_the_image_nearest_to_each_centre_stands_for_its_cluster() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4, dtype=np.float32) * 10
    points = np.repeat(centres, 9, axis=0) + rng.normal(size=(36, 4)).astype(np.float32)

    rows = nearest_to_centres(points, 4, np.random.default_rng(1))

    for group in range(4):
        own = np.arange(9 * group, 9 * group + 9)
        distances = squared_distances(points[own].mean(axis=0, keepdims=True), points[own])
        assert own[distances.argmin()] in rows


def test_equal_images_leave_no_place_empty() -> None:
    rows = nearest_to_centres(np.ones((8, 3), np.float32), 5, np.random.default_rng(0))

    assert len(set(rows.tolist())) == 5


@pytest.mark.parametrize("start", ["classes", "k-means", "herding"])
def test_all_arms_of_a_run_begin_alike_and_runs_do_not(tmp_path: Path, start: FirstChoice) -> None:
    protocol = replace(FROZEN, start=start, held_out=30)
    begun = [
        state_of(tmp_path, protocol, configuration, number).start.first.tolist()
        for configuration, number in (("random", 0), ("margin", 0), ("random", 1))
    ]

    assert begun[0] == begun[1]
    assert set(begun[0]) != set(begun[2])
    assert len(set(begun[0])) == protocol.first


def test_herding_begins_with_the_image_that_is_most_like_all_others(tmp_path: Path) -> None:
    state = state_of(tmp_path, replace(FROZEN, start="herding"))
    assert state.features is not None
    points = unit_length(state.features.read().standardised(state.start.pool))

    kernel = np.exp(-np.stack([((points - point) ** 2).sum(axis=1) for point in points]))

    assert state.start.first[0] == state.start.pool[kernel.mean(axis=1).argmax()]


def test_each_run_holds_out_its_own_images_and_asks_none_of_them(tmp_path: Path) -> None:
    dataset, protocol = make_dataset(tmp_path), replace(TINY, held_out=30, test_limit=0)
    runs = [Run(dataset, protocol, Configuration.parse("random"), 1.0, n, tmp_path / "runs") for n in range(2)]
    tests = []
    for run in runs:
        start = start_of(dataset.labels, dataset.pool_rows, dataset.test_rows, protocol, 1.0, run.seed)
        asked = {row for line in execute(run) for row in line["asked"]}
        assert len(start.test) == 30
        assert len(start.pool) == 80 - 30 - protocol.validation
        assert not asked & set(start.test.tolist())
        tests.append(set(start.test.tolist()))

    assert tests[0] != tests[1]


def test_a_first_seed_makes_the_runs_those_of_later_numbers(tmp_path: Path) -> None:
    run = Run(make_dataset(tmp_path), TINY, Configuration.parse("margin"), 1.0, 3, tmp_path / "runs")
    moved = replace(run, protocol=replace(TINY, first_seed=3), number=0, folder=tmp_path / "moved")

    assert [line["asked"] for line in execute(run)] == [line["asked"] for line in execute(moved)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "best"}, "no start 'best'"),
        ({"start": "herding"}, "chooses by frozen features"),
        ({"held_out": -1}, "neither can be below 0"),
    ],
)
def test_a_start_that_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TINY.changed(**change)


def test_too_few_first_labels_for_the_classes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    protocol = TINY.changed(first=2, start="classes")
    with pytest.raises(InputError, match="2 first labels are too few for one image of each of 3 classes"):
        begin(tmp_path, "few", Spec("made", protocol, ("random",)), make_dataset(tmp_path / "data"))

    assert not (tmp_path / "experiments").exists()
