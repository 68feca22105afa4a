"""The file of features: rows in any order, whole or not there, also when a process is killed while it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.serving import ROOT
from tidal_core.engine.features.store import FeatureKey, FeatureStore, open_features
from tidal_core.errors import InputError

STAGES = (3, 5)
KEY = FeatureKey("efficientnet-lite0", "0" * 64, 32, "crop", False)


def some(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float16)


def test_rows_written_in_any_order_are_read_by_their_number(tmp_path: Path) -> None:
    store, values = FeatureStore(tmp_path, KEY), some(5)
    store.write(np.array([7, 2]), values[:2], STAGES)
    store.write(np.array([0, 9, 4]), values[2:], STAGES)

    features = store.read()

    assert features.whole.nonzero()[0].tolist() == [0, 2, 4, 7, 9]
    assert np.array_equal(features.take(np.array([2, 7, 4])), values[[1, 0, 4]])


def test_what_is_missing_is_named_in_the_order_asked(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, KEY)
    assert store.missing(np.array([3, 1])).tolist() == [3, 1]

    store.write(np.array([1]), some(1), STAGES)

    assert store.missing(np.array([3, 1, 0, 900])).tolist() == [3, 0, 900]


def test_an_image_without_features_is_refused_with_the_count(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, KEY)
    store.write(np.array([1]), some(1), STAGES)

    with pytest.raises(InputError, match="2 of 3 images have no features yet"):
        store.read().take(np.array([0, 1, 5]))


def test_features_of_another_length_are_refused(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, KEY)
    store.write(np.array([3]), some(1), STAGES)
    with pytest.raises(InputError, match=r"are 8 numbers an image; those of 1 images came as \(1, 7\)"):
        store.write(np.array([0]), np.zeros((1, 7), np.float16), STAGES)


def test_other_squares_weights_or_models_have_features_of_their_own(tmp_path: Path) -> None:
    names = {KEY.name}
    for changed in (
        {"side": 64},
        {"weights": "1" * 64},
        {"backbone": "other"},
        {"fit": "letterbox"},
        {"grayscale": True},
    ):
        names.add(FeatureKey(**{**KEY.__dict__, **changed}).name)

    assert len(names) == 6


def test_moments_are_of_the_rows_that_are_whole(tmp_path: Path) -> None:
    store, values = FeatureStore(tmp_path, KEY), some(50)
    store.write(np.arange(100, 150), values, STAGES)

    mean, std = store.read().moments()

    np.testing.assert_allclose(mean, values.astype(np.float32).mean(0), atol=1e-5)
    np.testing.assert_allclose(std, values.astype(np.float32).std(0), atol=1e-5)


def test_moments_that_are_remembered_follow_what_is_written_and_what_is_done_to_them(tmp_path: Path) -> None:
    store, values = FeatureStore(tmp_path, KEY), some(50)
    store.write(np.arange(25), values[:25], STAGES)
    mean, std = store.read().moments()
    mean += 7
    std += 7

    again = store.read().moments()
    store.write(np.arange(25, 50), values[25:], STAGES)
    of_all = store.read().moments()
    store.write(np.arange(50), values[::-1] * np.float16(2), STAGES)
    of_others = store.read().moments()

    np.testing.assert_allclose(again[0], values[:25].astype(np.float32).mean(0), atol=1e-5)
    np.testing.assert_allclose(of_all[0], values.astype(np.float32).mean(0), atol=1e-5)
    np.testing.assert_allclose(of_others[1], 2 * values.astype(np.float32).std(0), atol=1e-4)


def test_a_feature_that_never_changes_can_be_divided_by(tmp_path: Path) -> None:
    store, values = FeatureStore(tmp_path, KEY), some(20)
    values[:, 3] = 2
    store.write(np.arange(20), values, STAGES)

    assert (store.read().moments()[1] > 0).all()


def test_a_damaged_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, KEY)
    store.write(np.array([0]), some(1), STAGES)
    (store.folder / "about.json").write_text("{")

    with pytest.raises(InputError, match="delete that folder to compute them again"):
        open_features(store.path)


def test_a_row_that_was_being_written_when_the_process_was_killed_is_not_whole(tmp_path: Path) -> None:
    code = (
        "import os, sys, numpy as np; from pathlib import Path\n"
        "from tests.engine.features.test_store import KEY, STAGES, some\n"
        "from tidal_core.engine.features import store as module\n"
        "store = module.FeatureStore(Path(sys.argv[1]), KEY)\n"
        "store.write(np.arange(3), some(3), STAGES)\n"
        "module.os.fsync = lambda number: os._exit(9)\n"  # killed with the rows written and not yet said to be whole
        "store.write(np.arange(3, 6), some(3), STAGES)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == 9
    store = FeatureStore(tmp_path, KEY)

    assert store.missing(np.arange(6)).tolist() == [3, 4, 5]
    store.write(np.arange(3, 6), some(3, seed=1), STAGES)
    assert np.array_equal(store.read().take(np.arange(3, 6)), some(3, seed=1))
