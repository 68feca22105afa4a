"""Runs on frozen features: computed once, shared, and the exact dynamics to ask by."""

import errno
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from tests.experiments.made import FROZEN, TINY, lasting, make_dataset
from tidal_core.config import TDWindow
from tidal_core.engine.exact_dynamics import HeadHistory, exact_curves
from tidal_core.engine.features.extract import extractor_of
from tidal_core.engine.features.store import Features, FeatureStore
from tidal_core.engine.model import Model
from tidal_core.errors import InputError, Stopped
from tidal_core.experiments import runs
from tidal_core.experiments.files import Spec, begin, experiments, read
from tidal_core.experiments.frozen import compute_features, features_of
from tidal_core.experiments.protocol import Configuration, Protocol
from tidal_core.experiments.running import execute_all, runs_of
from tidal_core.experiments.runs import Run, _State, execute, repeat
from tidal_core.images.squares import squares_at
from tidal_core.method.estimators import td_margin
from tidal_core.records import PoolView
from tidal_core.strategies.uherding import UHerding

WARM_FROZEN = replace(FROZEN, train=replace(FROZEN.train, warm_start=True))


def make_run(folder: Path, configuration: str = "exact-margin", protocol: Protocol = FROZEN) -> Run:
    return Run(make_dataset(folder), protocol, Configuration.parse(configuration), 1.0, 0, folder / "runs")


def test_small_images_are_enlarged_to_what_the_protocol_says(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    enlarged, own_size = features_of(dataset, FROZEN), features_of(dataset, FROZEN.changed(enlarge_to=0))
    assert enlarged is not None
    assert own_size is not None
    assert (enlarged.key.side, own_size.key.side) == (32, 8)

    compute_features(dataset, FROZEN)

    rows = np.array([3, 70])
    squares = squares_at(np.load(dataset.pixels)[rows], 32)
    expected = extractor_of("efficientnet-lite0", "float32")(squares)
    np.testing.assert_allclose(enlarged.read().take(rows), expected, rtol=1e-2, atol=1e-2)
    assert len(own_size.missing(rows)) == 2, "features at another size are others"


def test_a_temperature_is_fitted_to_what_heads_say_of_labels_that_they_did_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[PoolView] = []

    def noted(self: UHerding, pool: PoolView, n: int, rng: np.random.Generator) -> np.ndarray:
        seen.append(pool)
        return np.arange(n)

    monkeypatch.setattr(UHerding, "choose", noted)
    lines = list(execute(make_run(tmp_path, "uherding", replace(FROZEN, first=8, per_round=8, rounds=3))))

    assert [line["labels"] for line in lines] == [8, 16, 24]
    few, enough = (pool.held_out_log_p for pool in seen)
    assert few is None, "with fewer than ten labels no head can be spared any"
    assert enough is not None
    assert enough.shape == (16, len(make_dataset(tmp_path).class_names))
    assert seen[1].labelled_log_p is not None
    own = np.take_along_axis(np.exp(seen[1].labelled_log_p), seen[1].labelled_classes[:, None], axis=1).mean()
    held_out = np.take_along_axis(np.exp(enough), seen[1].labelled_classes[:, None], axis=1).mean()
    assert held_out < own, "the head knows the labels that it trained on better"


def test_larger_images_stay_as_they_are(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    features = [features_of(dataset, FROZEN.changed(enlarge_to=side)) for side in (0, 16)]
    np.save(dataset.pixels, np.zeros((80, 48, 48, 3), np.uint8))

    larger = features_of(dataset, FROZEN)

    assert larger is not None
    assert larger.key.side == 48
    assert len({None if store is None else store.key.name for store in (*features, larger)}) == 3


def test_features_are_computed_once_for_all_runs_and_said(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "first", Spec("made", FROZEN, ("random", "exact-entropy"), runs=1))
    dataset, said = make_dataset(tmp_path), list[str]()

    execute_all(experiment, dataset, say=said.append)
    store = features_of(dataset, FROZEN)
    assert store is not None
    written = store.path.stat().st_mtime_ns
    execute_all(begin(tmp_path, "first", Spec("made", FROZEN, ("margin",), runs=1)), dataset, say=said.append)

    assert "Features of made at 32 pixels: 80 of 80 images" in said[1]
    assert len([line for line in said if line.startswith("Features")]) == 2, "the first block and the last"
    assert store.path.stat().st_mtime_ns == written
    headers = [lines.header for run in runs_of(experiment, dataset) if (lines := read(run.file))]
    assert [header["features"] for header in headers] == [store.key.name] * 3


def test_the_exact_dynamics_are_those_of_the_epochs_and_decide_what_is_asked(tmp_path: Path) -> None:
    run = make_run(tmp_path, protocol=replace(FROZEN, subset=0))
    compute_features(run.dataset, run.protocol)
    run.folder.mkdir()
    state = _State(run)
    free = np.setdiff1d(state.start.pool, state.start.first)
    trained = state._train(1, "asks", run.configuration.train_config(run.protocol), None)
    assert trained is not None
    assert trained.heads is not None
    assert state.features is not None

    view = state._view(trained, free)

    ((_, curves),) = exact_curves(trained.heads, trained.model, state.features.read(), free)
    assert trained.heads.epochs.tolist() == [1, 2, 3, 4]
    assert view.exact_log_p is not None
    np.testing.assert_allclose(np.exp(view.exact_log_p), curves.mean(axis=1), atol=1e-5)
    first = next(iter(execute(make_run(tmp_path / "executed", protocol=run.protocol))))
    least = free[np.argsort(td_margin(view.log_p, view.exact_log_p))[:4]]
    assert set(first["asked"]) == set(least.tolist())


def test_a_body_that_trains_has_no_exact_dynamics_and_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exact-margin needs the exact training dynamics.*frozen as the preset"):
        begin(tmp_path, "first", Spec("made", TINY, ("random", "exact-margin")))
    with pytest.raises(InputError, match="exact-entropy needs the exact"):
        list(execute(make_run(tmp_path / "run", "exact-entropy", TINY)))

    assert experiments(tmp_path) == []
    assert not (tmp_path / "run" / "runs").exists()


@pytest.mark.parametrize(
    ("configuration", "protocol"),
    [("tidal-margin/plain", FROZEN), ("exact-margin", FROZEN), ("exact-margin+td", WARM_FROZEN)],
)
def test_a_frozen_run_that_was_killed_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, configuration: str, protocol: Protocol
) -> None:
    whole = list(execute(make_run(tmp_path / "whole", configuration, protocol)))
    run = make_run(tmp_path / "killed", configuration, protocol)
    next(iter(execute(run)))

    assert lasting(list(execute(run))) == lasting(whole[1:])
    assert repeat(run, tmp_path / "again") == []


def test_a_run_does_not_go_on_with_features_of_other_weights(tmp_path: Path) -> None:
    run = make_run(tmp_path, "random")
    next(iter(execute(run)))
    header, *rounds = run.file.read_text().splitlines()
    run.file.write_text("\n".join([json.dumps({**json.loads(header), "features": "others"}), *rounds]) + "\n")

    with pytest.raises(InputError, match="started with other features;"):
        list(execute(run))


def test_a_run_is_sent_to_another_process_as_paths(tmp_path: Path) -> None:
    whole = list(execute(make_run(tmp_path / "whole")))
    run = make_run(tmp_path / "sent")
    compute_features(run.dataset, run.protocol)
    store = features_of(run.dataset, run.protocol)
    assert store is not None

    sent = pickle.dumps(run)

    assert len(sent) < store.path.stat().st_size / 20
    assert lasting(list(execute(pickle.loads(sent)))) == lasting(whole)


def test_who_waits_for_features_goes_on_where_the_process_that_computed_them_was_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, threading\n"
        "from tests.experiments.made import FROZEN, make_dataset\n"
        "from tidal_core.experiments.frozen import compute_features\n"
        "def hold(said):\n"
        "    print(said, flush=True)\n"
        "    threading.Event().wait()\n"
        "compute_features(make_dataset(pathlib.Path(sys.argv[1])), FROZEN, say=hold)"
    )
    dataset, said = make_dataset(tmp_path), list[str]()
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert "64 of 80 images" in other.stdout.readline()

        def kill(line: str) -> None:
            said.append(line)
            other.kill()

        compute_features(dataset, FROZEN, say=kill)

    store = features_of(dataset, FROZEN)
    assert store is not None
    assert said[0] == "Another process computes the features of made; this one waits for it."
    assert [line.partition(",")[0] for line in said[1:]] == ["Features of made at 32 pixels: 80 of 80 images"]
    assert not len(store.missing(np.arange(80)))


def test_who_waits_for_features_can_be_stopped(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    store = features_of(run.dataset, FROZEN)
    assert store is not None
    run.dataset.features.mkdir()
    with ThreadPoolExecutor(1) as other:  # the lock knows threads apart as it does processes
        lock = FileLock(run.dataset.features / f"{store.key.name}.lock")
        other.submit(lock.acquire).result()
        with pytest.raises(Stopped, match="features of made are not complete"):
            compute_features(run.dataset, FROZEN, should_stop=lambda: True)
        assert list(execute(run, should_stop=lambda: True)) == []
        other.submit(lock.release).result()

    assert not run.folder.exists()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FeatureStore, "write", full)

    with pytest.raises(InputError, match=r"features of made cannot be written in .*No space left.*free space"):
        compute_features(make_dataset(tmp_path), FROZEN)


@pytest.mark.parametrize(
    ("protocol", "side", "message"),
    [(TINY, 64, "for frozen features only"), (FROZEN, 4, "from 16 to 512"), (FROZEN, 1000, "from 16 to 512")],
)
def test_an_enlargement_that_cannot_be_is_refused(protocol: Protocol, side: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        protocol.changed(enlarge_to=side)


@pytest.mark.parametrize("window", ["all", "second-half"])
def test_exact_dynamics_are_over_the_window_of_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: TDWindow
) -> None:
    asked = []
    compute = runs.exact_p_bar

    def noted(heads: HeadHistory, model: Model, features: Features, rows: np.ndarray, first_epoch: int) -> np.ndarray:
        asked.append((first_epoch, heads.first_epoch(window)))
        return compute(heads, model, features, rows, first_epoch)

    monkeypatch.setattr(runs, "exact_p_bar", noted)
    protocol = replace(FROZEN, train=replace(FROZEN.train, td_window=window))

    next(iter(execute(make_run(tmp_path, protocol=protocol))))

    assert all(first == of_window for first, of_window in asked)
    assert (asked[0][0] > 1) == (window == "second-half")
