"""Frozen features of a project: computed between rounds, used by them, chosen by at the start, replaced when whole."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.frozen import SETTINGS, SIDE, compute_all, frozen_project, run_round
from tests.helpers.gates import wait_for
from tests.helpers.tiny import label_next
from tidal_core.config import PixelSpec, RoundConfig
from tidal_core.engine import pretrained
from tidal_core.engine.features import extract
from tidal_core.engine.features.store import FeatureKey, FeatureStore
from tidal_core.engine.model import read_tensors
from tidal_core.errors import InputError
from tidal_core.images.pixels import PixelStore, note_spec
from tidal_core.projects import Project, open_project
from tidal_core.records import FeatureProgress, PoolView, RoundRecord, RoundState
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.feature_work import AT_ONCE_AT_FIRST, FeatureWork, compute_some
from tidal_core.rounds.features import in_use, missing_rows, progress_of, wanted
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun
from tidal_core.rounds.worker import Worker
from tidal_core.strategies import uherding
from tidal_core.strategies.uherding import temperature


def _some(
    project: Project,
    progress: Callable[[FeatureProgress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> bool:
    return compute_some(project, progress=progress, should_stop=lambda: False, interrupted=interrupted)


def _done(project: Project) -> int:
    """Images that have features."""
    progress = progress_of(project)
    assert progress is not None
    return progress.done


def _key_in_use(project: Project) -> FeatureKey:
    store = in_use(project)
    assert store is not None
    return store.key


def _weights(project: Project, record: RoundRecord) -> dict[str, list[float]]:
    assert record.checkpoint is not None
    tensors, _ = read_tensors(project.checkpoints / record.checkpoint)
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def test_a_body_that_trains_wants_no_features() -> None:
    project = frozen_project(preset="quick", strategy="margin")

    assert wanted(project) is None
    assert in_use(project) is None
    assert progress_of(project) is None
    assert not _some(project)
    project.close()


def test_every_image_gets_its_features_and_progress_says_how_far() -> None:
    project = frozen_project()
    reports: list[FeatureProgress] = []
    assert progress_of(project) == FeatureProgress(0, 75, 0.0, None)

    assert _some(project, progress=reports.append)
    assert progress_of(project) == FeatureProgress(AT_ONCE_AT_FIRST, 75, 0.0, None)
    assert _some(project, progress=reports.append)
    assert not _some(project, progress=reports.append)

    store = wanted(project)
    assert store is not None
    assert store.read().whole.all()
    assert reports[0] == FeatureProgress(0, 75, 0.0, None)
    assert reports[-1].done == reports[-1].total == 75
    assert reports[-1].seconds_left == 0
    project.close()


def test_a_person_who_labels_fast_does_not_keep_features_from_getting_on() -> None:
    project = frozen_project()

    assert _some(project, interrupted=lambda: True)

    assert _done(project) == AT_ONCE_AT_FIRST
    project.close()


def test_what_a_round_waits_for_comes_first_then_what_is_asked() -> None:
    project = frozen_project(n=300)
    fill_queue(project)
    labelled = label_next(project, 5)
    asked = [item.image_id for item in project.store.queue.items()]
    store = wanted(project)
    assert store is not None

    rows = missing_rows(project, store)

    images = project.store.images
    assert set(rows[:5]) == set(images.pixel_rows(np.array(labelled)))
    assert set(rows[5 : 5 + len(asked)]) == set(images.pixel_rows(np.array(asked)))
    assert set(rows[5 + len(asked) :][:15]) == set(images.pixel_rows(images.test_set()[0]))
    project.close()


def test_a_round_computes_what_it_needs_and_chooses_among_what_is_there() -> None:
    project = frozen_project(n=150)
    fill_queue(project)
    label_next(project, 12)

    record = run_round(project)

    assert record.state is RoundState.DONE
    config = RoundConfig.from_json(record.config)
    store = wanted(project)
    assert store is not None
    assert config.features == store.key.name
    assert config.train.body == "frozen"
    assert store.read().whole.sum() == 12, "only those of the labelled images were waited for"
    assert project.store.scores.pool_size(record.id) == 0

    compute_all(project)
    fill_queue(project)
    label_next(project, 6)
    record = run_round(project)
    assert project.store.scores.pool_size(record.id) == 150 - 18
    project.close()


def test_a_round_is_right_on_what_it_has_not_seen_and_knows_the_dynamics_of_all() -> None:
    project = frozen_project()
    compute_all(project)
    fill_queue(project)
    label_next(project, 12)

    record = run_round(project)

    accuracy = {m.name: m for m in project.store.metrics.of_round(record.id) if m.class_id is None}
    assert accuracy["accuracy"].split == "test"
    assert accuracy["accuracy"].value > 0.6, "three colours, by chance a third"
    scores = project.store.scores
    pool = scores.table(record.id)
    assert len(pool["image_id"]) == 48
    epochs = project.store.epochs.of(record.id)[-1].record.epochs
    for image_id in (int(pool["image_id"][0]), int(project.store.rounds.images(record.id)[0][0])):
        curve = scores.exact_curve(record.id, image_id)
        assert curve is not None
        assert curve.epochs[-1] == epochs
        assert curve.p.shape == (len(curve.epochs), 3)
        np.testing.assert_allclose(curve.p.sum(axis=1), 1, atol=1e-5)
        score = scores.of_image(image_id)[-1]
        np.testing.assert_allclose(curve.p[-1], score.p, atol=1e-4)  # the last epoch's head is the model's
        assert score.exact is not None
        np.testing.assert_allclose(score.exact, curve.p.mean(axis=0), atol=1e-5)
        margin = np.sort(score.exact)[-1] - np.sort(score.exact)[-2]
        if score.predicted == record.class_ids[int(score.exact.argmax())]:
            assert score.estimators["exact_margin"] == pytest.approx(margin, abs=1e-5)
    order = np.argsort(np.ma.filled(pool["rank"], 0))
    assert (np.diff(np.asarray(pool["exact_margin"])[order]) >= 0).all(), "exact-margin asks the smallest first"
    project.close()


def test_how_well_the_module_predicts_the_whole_pool_is_measured() -> None:
    project = frozen_project()
    compute_all(project)
    fill_queue(project)
    label_next(project, 12)

    record = run_round(project)

    pool = [metric for metric in project.store.metrics.of_round(record.id) if metric.split == "pool"]
    over_all = {metric.name: metric for metric in pool if metric.class_id is None}
    assert set(over_all) == {"td_divergence", "final_divergence", "td_margin_correlation"}
    assert all(metric.n == 48 for metric in over_all.values())
    assert over_all["td_divergence"].value >= 0
    by_class = [metric for metric in pool if metric.class_id is not None and metric.name == "td_divergence"]
    assert sum(metric.n for metric in by_class) == 48
    project.close()


def test_every_scored_image_is_on_the_map_in_its_group() -> None:
    project = frozen_project()
    compute_all(project)
    fill_queue(project)
    labelled = label_next(project, 12)
    record = run_round(project)
    asked = label_next(project, 4)

    rows = project.store.views.exact_map(record.id)

    assert len(rows.image_ids) == 60
    group_of = dict(zip(rows.image_ids.tolist(), rows.groups.tolist(), strict=True))
    assert {group_of[image_id] for image_id in labelled} == {0}
    assert {group_of[image_id] for image_id in asked} == {1}
    assert sorted(np.bincount(rows.groups)) == [4, 12, 44]
    assert ((rows.mean >= 0) & (rows.mean <= 1)).all()
    project.close()


def test_only_the_last_rounds_keep_whole_exact_curves() -> None:
    project = frozen_project(curve_rounds=1)
    compute_all(project)
    fill_queue(project)
    label_next(project, 6)
    first = run_round(project)
    image_id = int(project.store.scores.table(first.id)["image_id"][-1])
    label_next(project, 6)
    second = run_round(project)

    assert project.store.scores.rounds_with_exact_curve(image_id) == [second.id]
    assert [score.exact is not None for score in project.store.scores.of_image(image_id)] == [True, True]
    project.close()


def test_a_round_that_was_stopped_ends_with_the_same_weights() -> None:
    whole = frozen_project()
    compute_all(whole)
    fill_queue(whole)
    label_next(whole, 12)
    expected = _weights(whole, run_round(whole))
    whole.close()
    os.rename(whole.folder, whole.folder.with_name("whole"))

    stopped = frozen_project()
    compute_all(stopped)
    fill_queue(stopped)
    label_next(stopped, 12)
    record = claim_round(stopped, started_by="person")
    asked = iter(range(40))
    with pytest.raises(Exception, match="stopped"):
        RoundRun(stopped, record, report=lambda _: None, should_stop=lambda: next(asked, None) is None).run()
    RoundRun(stopped, stopped.store.rounds.get(record.id), report=lambda _: None, should_stop=lambda: False).run()

    assert _weights(stopped, stopped.store.rounds.get(record.id)) == expected
    stopped.close()


def test_old_features_are_used_until_those_of_another_size_are_whole() -> None:
    project = frozen_project()
    compute_all(project)
    fill_queue(project)
    label_next(project, 6)
    old = RoundConfig.from_json(run_round(project).config).features
    _grow_pixels(project, 64)
    new = wanted(project)
    assert new is not None
    assert new.key.side == 64

    label_next(project, 6)
    assert RoundConfig.from_json(run_round(project).config).features == old
    assert _key_in_use(project).name == old

    compute_all(project)
    assert _key_in_use(project) == new.key
    assert [folder.name for folder in project.features.iterdir()] == [new.key.name], "the old ones are deleted"
    label_next(project, 6)
    assert RoundConfig.from_json(run_round(project).config).features == new.key.name
    project.close()


def test_only_images_that_were_added_are_computed() -> None:
    project = frozen_project(n=30, test=0)
    compute_all(project)
    store = wanted(project)
    assert store is not None
    first = store.read().rows[:30].copy()
    with PixelStore(project.pixels).writer(PixelSpec(SIDE), next_row=30) as cache:
        cache.write(30, np.full((4, SIDE, SIDE, 3), 99, np.uint8))
    example = project.store.images.get(1)
    project.store.images.add(
        [
            dataclasses.replace(
                example, id=31 + i, uri=f"/photos/new-{i}.png", sha256=f"{900 + i:064x}", pixel_row=30 + i
            )
            for i in range(4)
        ]
    )

    assert len(missing_rows(project, store)) == 4
    reports: list[FeatureProgress] = []
    _some(project, progress=reports.append)

    assert reports[0].done == 30
    np.testing.assert_array_equal(store.read().rows[:30], first)
    assert store.read().whole.sum() == 34
    project.close()


def test_what_cannot_be_computed_is_said_once_and_the_round_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    pretrained.checked_file.cache_clear()
    extract.forget_extractors()
    project = frozen_project()
    work = FeatureWork()
    for _ in range(3):
        work.try_now()
        assert not work.some(project, progress=lambda _: None, should_stop=lambda: False, interrupted=lambda: False)

    said = [line.message for line in project.store.log.last(10) if "Features of the images" in line.message]
    assert len(said) == 1
    assert "python -m pip install" in said[0]
    fill_queue(project)
    label_next(project, 6)
    with pytest.raises(InputError, match="python -m pip install"):
        run_round(project)
    pretrained.checked_file.cache_clear()
    extract.forget_extractors()
    project.close()


def test_a_round_whose_features_cannot_be_written_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    project = frozen_project()
    fill_queue(project)
    label_next(project, 6)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FeatureStore, "write", refuse)
    with pytest.raises(
        InputError, match=r"cannot be written .*Read-only file system.*correct this, then press .Train now"
    ):
        run_round(project)
    project.close()


@pytest.mark.parametrize("damaged", ["about.json", "rows.f16", "whole.u8"])
def test_damaged_features_are_computed_again(damaged: str) -> None:
    project = frozen_project()
    compute_all(project)
    store = wanted(project)
    assert store is not None
    before = np.array(store.read().rows)
    (store.folder / damaged).write_bytes(b"{")

    compute_all(project)

    np.testing.assert_array_equal(store.read().rows, before)
    assert store.read().whole.all()
    fill_queue(project)
    label_next(project, 6)
    assert run_round(project).state is RoundState.DONE
    project.close()


def test_a_model_that_cannot_be_fetched_leaves_its_place_to_the_installed_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(pretrained, "download", unreachable)
    project = frozen_project(backbone="torchvision/resnet18")
    before = wanted(project)

    assert FeatureWork().some(project, progress=lambda _: None, should_stop=lambda: False, interrupted=lambda: False)

    assert project.settings.backbone == "efficientnet-lite0"
    (said,) = [line.message for line in project.store.log.last(10) if "goes on with efficientnet-lite0" in line.message]
    assert "resnet18-f37072fd.pth" in said
    assert str(tmp_path) in said
    assert before is not None
    assert wanted(project).key != before.key
    project.close()


def test_labels_of_rare_classes_can_count_more_for_the_head_too() -> None:
    assert dataclasses.replace(SETTINGS, class_balance="weights").train_config().class_balance == "weights"


def test_a_process_that_was_killed_goes_on_where_it_was() -> None:
    project = frozen_project()
    project.close()
    code = (
        "import sys\n"
        "from tidal_core.projects import open_project\n"
        "from tidal_core.rounds.feature_work import compute_some\n"
        "project = open_project('tiny')\n"
        "def told(p):\n"
        "    print(p.done, flush=True)\n"
        "    if p.done:\n"
        "        sys.stdin.read()\n"
        "compute_some(project, progress=told, should_stop=lambda: False, interrupted=lambda: False)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "0"
        assert process.stdout.readline().strip() == str(AT_ONCE_AT_FIRST)
        process.send_signal(signal.SIGKILL)

    project = open_project("tiny")
    assert _done(project) == AT_ONCE_AT_FIRST
    compute_all(project)
    assert _done(project) == 75
    project.close()


def test_the_worker_computes_features_once_images_are_looked_at() -> None:
    project = frozen_project()
    worker = Worker(lambda: [project])
    worker.start()
    try:
        assert _done(project) == 0
        worker.expect_rounds()
        worker.wake()
        wait_for(lambda: _done(project) == 75, "the features of all images")
        wait_for(lambda: worker.feature_progress("tiny") is None, "the end of the progress")
    finally:
        assert worker.stop(60)
        project.close()


def _grow_pixels(project: Project, side: int) -> None:
    """Another training size, as a refill leaves it: settings, squares and the note on them."""
    old = PixelStore(project.pixels)[:]
    Path(project.pixels).unlink()
    with PixelStore(project.pixels).writer(PixelSpec(side)) as cache:
        cache.write(0, old.repeat(side // SIDE, axis=1).repeat(side // SIDE, axis=2))
    project.store.settings.save(dataclasses.replace(project.settings, training_size=side))
    note_spec(project, PixelSpec(side))


@pytest.mark.parametrize(("labels", "has_temperature"), [(12, True), (6, False)])
def test_uherding_softens_by_what_heads_say_that_did_not_see_the_labelled_images(
    labels: int, has_temperature: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = frozen_project(strategy="uherding")
    compute_all(project)
    fill_queue(project)
    label_next(project, labels)
    pools: list[PoolView] = []

    def watched(pool: PoolView) -> float:
        pools.append(pool)
        return temperature(pool)

    monkeypatch.setattr(uherding, "temperature", watched)

    record = run_round(project)

    assert record.state is RoundState.DONE
    (pool,) = pools
    held_out = pool.held_out_log_p
    assert (held_out is not None) == has_temperature
    if held_out is not None:
        np.testing.assert_allclose(np.exp(held_out).sum(axis=1), 1, atol=1e-4)
        assert len(held_out) == len(pool.labelled_classes)
        assert not np.allclose(held_out, pool.labelled_log_p, atol=1e-3), "these heads did not see them"
    project.close()
