"""The motivating experiment: what it trains on, what it measures, its benchmark and its command."""

import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.experiments.made import make_dataset
from tests.helpers.gates import held_at_start, wait_for
from tidal_core import cli
from tidal_core.errors import InputError
from tidal_core.experiments import motivating
from tidal_core.experiments.motivating import CONFIG, auroc, measure, training_rows
from tidal_core.experiments.separation import Separation, begin, broke_off, cancel, folder_of, note, state_of
from tidal_core.ownership import owning
from tidal_core.records import EpochRecord, PoolScores

TINY = replace(CONFIG, epochs=2, batch_size=8)


def result(folder: Path, **options: object) -> Separation | None:
    run = measure(make_dataset(folder, size=120, classes=4), config=TINY, ratio=5, **options)  # type: ignore[arg-type]
    return outcome(run)


def outcome(run: Generator[EpochRecord, None, Separation | None]) -> Separation | None:
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def test_auroc_is_scikit_learns_ties_included() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 8, 200).astype(float), rng.integers(0, 2, 200)

    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert auroc(np.array([0.0, 1.0]), np.array([0, 1])) == 1
    assert np.isnan(auroc(scores, np.zeros(200, np.int64)))


def test_the_second_half_of_the_classes_is_cut(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, size=200, classes=4)

    rows = training_rows(dataset, per_class=20, ratio=10, seed=1)

    assert np.bincount(dataset.labels[rows]).tolist() == [20, 20, 2, 2]
    assert not set(rows) & set(dataset.test_rows)
    assert set(rows) != set(training_rows(dataset, per_class=20, ratio=10, seed=2))


def test_it_measures_every_estimator_on_training_and_held_out_images(tmp_path: Path) -> None:
    found = result(tmp_path)
    assert found is not None

    assert found.accuracy.shape == (2, 2)
    assert set(found.auroc) == set(found.held_out) == {"td_entropy", "td_margin", "entropy", "margin"}
    assert all(0 <= value <= 1 for value in [*found.auroc.values(), *found.held_out.values()])
    assert found.minor.sum() == found.counts[2:].sum()


def test_each_number_is_of_its_own_images_and_hard_is_high(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With scores by which every minor image is unsure and every major one certain; p-bar is that of the training."""
    dataset = make_dataset(tmp_path, size=120, classes=4)
    order = np.random.default_rng(0).permutation(len(dataset.test_rows))
    dataset = replace(dataset, test_rows=dataset.test_rows[order])  # minor and major in another order than in training

    def made_up(model: object, pixels: Path, rows: np.ndarray, **_: object) -> PoolScores:
        p = np.where((dataset.labels[rows] >= 2)[:, None], 0.25, [[0.97, 0.01, 0.01, 0.01]]).astype(np.float32)
        return PoolScores(np.log(p), np.log(p), np.zeros((len(rows), 1), np.float32))

    monkeypatch.setattr(motivating, "score", made_up)
    found = outcome(measure(dataset, config=TINY, ratio=5))
    assert found is not None

    assert set(found.held_out.values()) == {1.0}
    assert found.auroc["entropy"] == found.auroc["margin"] == 1.0
    assert found.auroc["td_entropy"] < 1, "of the observed dynamics, not of the final prediction"


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    found = result(tmp_path)
    assert found is not None
    found.save(tmp_path / "kept" / "result.npz")

    again = Separation.load(tmp_path / "kept" / "result.npz")

    assert again.auroc == found.auroc
    assert again.class_names == found.class_names
    np.testing.assert_allclose(again.scores["td_margin"], found.scores["td_margin"])
    assert again.minor.sum() == found.minor.sum()


def test_it_can_be_stopped(tmp_path: Path) -> None:
    assert result(tmp_path, should_stop=lambda: True) is None


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    with pytest.raises(InputError, match="needs at least one image"):
        next(measure(replace(dataset, class_names=(*dataset.class_names, "empty")), config=TINY))


def test_its_state_is_known_while_a_process_works_on_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "parquet:a/b.parquet")
    assert state_of(folder) is None
    with owning(folder):
        assert state_of(folder) == (0.0, "starting")
        note(folder, 3, 12, "training accuracy 50.0%")
        assert state_of(folder) == (0.25, "epoch 3 of 12: training accuracy 50.0%")
    assert state_of(folder) is None


def test_a_training_that_was_cancelled_did_not_break_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, "digits")
    with held_at_start(tmp_path / "gate", monkeypatch):
        begin(folder, "digits", 20)
        assert state_of(folder) == (0.0, "epoch 0 of 30: starting")
        assert broke_off(folder) is None, "it runs"
        assert cancel(folder)
        wait_for(lambda: state_of(folder) is None, "the end of the training")

    assert broke_off(folder) is None
    assert not cancel(folder)


def test_a_training_that_broke_off_is_told_of_until_the_next(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "digits")
    folder.mkdir(parents=True)
    note(folder, 3, 30, "training accuracy 50.0%")

    assert broke_off(folder) == "The last training stopped unexpectedly in epoch 3 of 30."
    note(folder, 30, 30, "training accuracy 99.0%")
    assert broke_off(folder) is None


def test_the_command_leaves_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    monkeypatch.setattr("tidal_core.experiments.motivating.CONFIG", TINY)
    monkeypatch.setattr(sys, "argv", ["tidal_core", "separability", "digits", "--per-class", "10"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert not ended.value.code
    assert "Dynamics entropy (H-bar): AUROC" in capsys.readouterr().out
    assert (folder_of(tmp_path, "digits") / "result.npz").exists()
