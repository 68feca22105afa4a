"""Features, scores and experiments are the same bytes on a cluster as here, also after the driver was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.experiments.made import TINY, make_dataset
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.ranges import served_by_ranges
from tests.helpers.ray_nodes import Nodes
from tests.helpers.threads_of_scoring import ThreadsOfScoring
from tests.helpers.tiny import label_next, tiny_project
from tests.helpers.training import brief, training_images
from tests.test_cli import run
from tidal_core.config import PixelSpec, Seeds
from tidal_core.engine import scoring
from tidal_core.engine.executors.ray_cluster import RayExecutor
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.model import build_model
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0, feature_key
from tidal_core.engine.scoring import PoolScoring, score
from tidal_core.engine.training import train
from tidal_core.experiments.files import Spec, begin
from tidal_core.experiments.running import execute_all, runs_of
from tidal_core.experiments.runs import TIMES
from tidal_core.files import sweep
from tidal_core.projects import open_project
from tidal_core.records import RoundState
from tidal_core.rounds.queue_plan import fill_queue

NAME = EFFICIENTNET_LITE0.backbone
CPU = torch.device("cpu")

KILLED_EXTRACTION = f"""
import os, pathlib, signal, sys
import numpy as np
from tidal_core.config import PixelSpec
from tidal_core.engine.executors.ray_cluster import RayExecutor
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.published_weights import feature_key
folder, address = pathlib.Path(sys.argv[1]), sys.argv[2]
with RayExecutor(address, workers=1) as ray:
    def kill(progress):
        (folder / "workers").write_text(" ".join(str(place.pid) for place in ray.places))
        os.kill(os.getpid(), signal.SIGKILL)
    store = FeatureStore(folder / "far", feature_key({NAME!r}, PixelSpec(32)))
    extract(Extractor({NAME!r}), folder / "pixels.npy", store, np.arange(150), progress=kill, executor=ray)
"""

KILLED_SWEEP = """
import os, pathlib, signal, sys
from tests.experiments.made import make_dataset
from tidal_core.engine.executors.ray_cluster import RayExecutor
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.running import execute_all
folder = pathlib.Path(sys.argv[1])
with RayExecutor(sys.argv[2], workers=1) as ray:
    def kill(said):
        if ", round " in said:
            os.kill(os.getpid(), signal.SIGKILL)
    execute_all(Experiment(folder), make_dataset(folder.parents[1]), say=kill, executor=ray)
"""


def killed(code: str, *arguments: object) -> None:
    """Run a driver that kills itself."""
    ended = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()


def test_features_are_the_same_bytes_also_when_the_driver_is_killed_and_another_goes_on(
    tmp_path: Path, nodes: Nodes
) -> None:
    np.save(tmp_path / "pixels.npy", np.random.default_rng(0).integers(0, 256, (150, 32, 32, 3), dtype=np.uint8))
    here, far = (FeatureStore(tmp_path / name, feature_key(NAME, PixelSpec(32))) for name in ("here", "far"))
    extractor = Extractor(NAME, device=CPU)
    extract(extractor, tmp_path / "pixels.npy", here, np.arange(150))

    killed(KILLED_EXTRACTION, tmp_path, nodes.address)
    pids = [int(pid) for pid in (tmp_path / "workers").read_text().split()]
    workers = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(workers, timeout=WAIT_SECONDS)
    assert not alive, "they compute, for nobody"
    assert 0 < len(far.missing(np.arange(150))) < 150
    assert sweep(tmp_path) == 1, "the mark of the folder, which the next start takes away"
    with RayExecutor(nodes.address, workers=1) as ray:
        assert extract(extractor, tmp_path / "pixels.npy", far, np.arange(150), executor=ray)

    assert far.path.read_bytes() == here.path.read_bytes()
    assert far.read().whole.all()


def test_scores_of_a_copy_at_an_address_are_the_same_bytes_and_only_its_rows_travel(
    tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = training_images(tmp_path, n=400)
    model = build_model(brief(), images.n_classes, Seeds(), CPU)
    list(train(brief(), replace(images, rows=images.rows[:24], labels=images.labels[:24]), model, Seeds()))
    rows = np.concatenate([np.arange(40), np.arange(350, 360)])
    monkeypatch.setattr(scoring, "block_size", lambda frozen: 16)

    with served_by_ranges(tmp_path) as (address, asked), RayExecutor(nodes.address, workers=1) as ray:
        here = score(model, images.pixels, rows)
        far = score(model, f"{address}/pixels.npy", rows, executor=ray)
        work = ThreadsOfScoring(PoolScoring(model, images.pixels, None, None, 1))
        _, threads = next(ray.run(work, [rows[:16]], 16))

    for ours, theirs in ((here.log_p, far.log_p), (here.td_log_p, far.td_log_p), (here.features, far.features)):
        assert ours is not None
        assert theirs is not None
        assert ours.tobytes() == theirs.tobytes()
    assert here.extra.keys() == far.extra.keys()
    row_bytes = 8 * 8 * 3
    assert sum(last - first for first, last in asked if last - first >= row_bytes) <= 1.5 * len(rows) * row_bytes
    assert threads == 1, "the environment of the nodes says three, the work one"


def test_an_experiment_comes_out_the_same_also_when_its_driver_is_killed(tmp_path: Path, nodes: Nodes) -> None:
    spec = Spec("made", TINY, ("random", "margin"), (1.0,), 1)
    alone, far = begin(tmp_path, "alone", spec), begin(tmp_path, "far", spec)
    dataset, said = make_dataset(tmp_path), list[str]()
    execute_all(alone, dataset, say=lambda _: None)

    killed(KILLED_SWEEP, far.folder, nodes.address)
    with RayExecutor(nodes.address, workers=1) as ray:
        execute_all(far, dataset, say=said.append, executor=ray)

    assert 0 < sum(", round " in words for words in said) < 6, "the rounds that were finished before are not told again"
    for one, other in zip(runs_of(alone, dataset), runs_of(far, dataset), strict=True):
        lines = (map(json.loads, run.file.read_text().splitlines()) for run in (one, other))
        for a, b in zip(*lines, strict=True):
            assert {key: a[key] for key in a.keys() - set(TIMES)} == {key: b[key] for key in b.keys() - set(TIMES)}


@pytest.mark.usefixtures("short_rounds")
def test_a_round_of_the_command_scores_on_the_cluster_as_it_does_here(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("here", "far"):
        project = tiny_project(name=name)
        fill_queue(project)
        label_next(project, 6)
        project.close()

    assert run(monkeypatch, "train", "here") == 0
    assert run(monkeypatch, "train", "far", "--executor", "ray", "--address", nodes.address, "--workers", 1) == 0

    assert capsys.readouterr().out.count("Round 1 is done, accuracy ") == 2
    scores = []
    for name in ("here", "far"):
        project = open_project(name)
        assert project.store.rounds.get(1).state is RoundState.DONE
        scores.append(project.store.scores.table(1))
        project.close()
    assert scores[0].keys() == scores[1].keys()
    for column in scores[0]:
        np.testing.assert_array_equal(scores[0][column], scores[1][column], column)
