"""One round of training: what it yields, that it can be stopped, resumed and repeated."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.training import brief, fresh, run, training_images
from tidal_core.config import Seeds
from tidal_core.engine import memory
from tidal_core.engine.checkpoints import checkpoint_epoch, fingerprint
from tidal_core.engine.memory import td_bytes
from tidal_core.engine.model import Model, build_model, load_weights, read_tensors, write_tensors
from tidal_core.engine.schedule import learning_rate, planned_epochs
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError, OutOfMemory, TrainingDiverged
from tidal_core.records import TrainImages, TrainProgress

CPU = torch.device("cpu")


def same_weights(a: Model, b: Model) -> bool:
    return all(torch.equal(x, b.state()[name]) for name, x in a.state().items())


def test_a_round_learns_what_it_is_shown(tmp_path: Path) -> None:
    config, images = brief(epochs=12), training_images(tmp_path, n=48)

    model, records = run(config, images)

    scores = score(model, images.pixels, images.rows)
    assert (scores.log_p.argmax(1) == images.labels).mean() > 0.9
    assert records[-1].loss < records[0].loss


def test_every_epoch_yields_one_record_that_says_where_it_stands(tmp_path: Path) -> None:
    _, records = run(brief(), training_images(tmp_path))

    assert [record.epoch for record in records] == [1, 2, 3]
    assert {record.epochs for record in records} == {3}
    assert all(record.td_loss is not None and record.td_loss >= 0 for record in records)
    assert all(record.loss == pytest.approx(record.class_loss + record.td_loss, abs=1e-5) for record in records)


@pytest.mark.parametrize("window", ["all", "second-half"])
def test_the_recorded_curves_averaged_are_the_trackers_p_bar(tmp_path: Path, window: str) -> None:
    config, images = brief(epochs=5, td_window=window), training_images(tmp_path)
    training = train(config, images, fresh(config, images), Seeds())

    curves = [record.curves.p for record in training if record.curves is not None]

    first_epoch = 0 if window == "all" else 2
    assert training.result is not None
    assert np.allclose(np.mean(curves[first_epoch:], axis=0), training.result.td_bar, atol=1e-6)


def test_the_same_seeds_give_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    images = training_images(tmp_path)

    assert same_weights(run(brief(), images)[0], run(brief(), images)[0])


@pytest.mark.parametrize("kind", ["weights", "order", "augmentation"])
def test_each_seed_changes_the_result_by_itself(tmp_path: Path, kind: str) -> None:
    config, images = brief(), training_images(tmp_path)
    seeds = Seeds(**{kind: 77})
    model = fresh(config, images, seeds)

    list(train(config, images, model, seeds))

    assert not same_weights(model, run(config, images)[0])


def test_a_round_resumed_from_its_checkpoint_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    config, images, file = brief(epochs=4), training_images(tmp_path), tmp_path / "round.ckpt"
    whole, records = run(config, images)
    stopped = train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file, checkpoint_seconds=0))
    next(stopped), next(stopped), next(stopped)
    stopped.close()

    model = fresh(config, images)
    resumed = train(config, images, model, Seeds(), TrainOptions(checkpoint=file))
    finished_epochs = checkpoint_epoch(file)
    later = list(resumed)

    assert finished_epochs == 2
    assert [record.epoch for record in later] == [3, 4]
    assert [record.loss for record in later] == [record.loss for record in records[2:]]
    assert same_weights(model, whole)


def test_a_finished_round_yields_nothing_more_and_still_has_its_result(tmp_path: Path) -> None:
    config, images, file = brief(), training_images(tmp_path), tmp_path / "round.ckpt"
    list(train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file)))

    again = train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file))

    assert list(again) == []
    assert again.result is not None


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    config, images, file = brief(), training_images(tmp_path), tmp_path / "round.ckpt"
    list(train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file)))

    with pytest.raises(InputError, match="written by a training with other images"):
        list(train(config, images, fresh(config, images), Seeds(order=9), TrainOptions(checkpoint=file)))


def test_a_round_stops_before_the_next_batch_when_asked(tmp_path: Path) -> None:
    config, images = brief(), training_images(tmp_path)
    questions: list[int] = []
    options = TrainOptions(should_stop=lambda: questions.append(1) is None and len(questions) > 4)
    training = train(config, images, fresh(config, images), Seeds(), options)

    assert [record.epoch for record in training] == [1]
    assert len(questions) == 5
    assert training.result is None


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    mislabelled = TrainImages(images.pixels, images.rows, images.labels + 1, images.n_classes)

    with pytest.raises(InputError, match="labels go from 1 to 3"):
        train(brief(), mislabelled, fresh(brief(), images), Seeds())


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_few_labels_train_whatever_the_batch(tmp_path: Path, n: int) -> None:
    images = training_images(tmp_path, n=n)

    _, records = run(brief(epochs=2), images)

    assert np.isfinite(records[-1].loss)


def test_all_labels_of_one_class_train(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    same = TrainImages(images.pixels, images.rows, np.zeros_like(images.labels), images.n_classes)

    _, records = run(brief(), same)

    assert np.isfinite(records[-1].loss)


def test_a_single_class_trains(tmp_path: Path) -> None:
    _, records = run(brief(), training_images(tmp_path, n_classes=1))

    assert records[-1].class_loss == 0


def test_epochs_are_added_until_enough_steps_are_made() -> None:
    assert planned_epochs(brief(epochs=40, min_steps=160, batch_size=32), 20) == 160
    assert planned_epochs(brief(epochs=40, min_steps=160, batch_size=32), 350) == 40


def test_with_many_images_epochs_are_left_out_but_never_more_than_half() -> None:
    config = brief(epochs=40, min_steps=80, max_steps=160, batch_size=100)

    assert [planned_epochs(config, n) for n in (100, 400, 500, 600, 800, 80_000)] == [80, 40, 32, 27, 20, 20]
    assert planned_epochs(dataclasses.replace(config, max_steps=0), 80_000) == 40


def test_a_loss_that_is_not_a_number_names_epoch_rate_and_remedy(tmp_path: Path) -> None:
    config = brief(learning_rate=1e20, schedule="constant", optimizer="sgd")

    with pytest.raises(
        TrainingDiverged, match=r"epoch 1 at learning rate 1e\+20; train again with other random numbers"
    ):
        run(config, training_images(tmp_path))


def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = training_images(tmp_path)
    whole = Model.normalise

    def small_memory(model: Model, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 4:
            raise torch.OutOfMemoryError("simulated")
        return whole(model, x)

    monkeypatch.setattr(Model, "normalise", small_memory)
    _, records = run(brief(batch_size=16), images)

    assert records[0].note == "; ".join(
        f"out of memory with batches of {size} images: continued with {size // 2}" for size in (12, 6)
    )
    assert [record.batch_size for record in records] == [3, 3, 3]
    assert records[1].note is None


def test_memory_that_runs_out_after_the_tracker_was_told_counts_every_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, images = brief(epochs=2, td_window="all"), training_images(tmp_path)
    backward, calls = torch.Tensor.backward, []

    def fails_once(loss: torch.Tensor) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("MPS backend out of memory")
        backward(loss)

    monkeypatch.setattr(torch.Tensor, "backward", fails_once)
    training = train(config, images, fresh(config, images), Seeds())
    curves = [record.curves.p for record in training if record.curves is not None]

    assert training.result is not None
    assert training.result.batch_size == 4
    assert np.allclose(np.mean(curves, axis=0), training.result.td_bar, atol=1e-6)


def test_when_not_even_one_image_fits_it_says_what_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(model: Model, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("simulated")

    monkeypatch.setattr(Model, "normalise", no_memory)
    with pytest.raises(OutOfMemory, match="smaller training size"):
        run(brief(), training_images(tmp_path))


def test_above_a_hundred_classes_the_label_and_the_top_five_are_kept(tmp_path: Path) -> None:
    images = training_images(tmp_path, n_classes=120, n=130)

    _, records = run(brief(epochs=1), images)

    curves = records[0].curves
    assert curves is not None
    assert curves.class_index is not None
    assert curves.p.shape == curves.class_index.shape == (130, 6)
    assert (curves.class_index[:, 0] == images.labels).all()
    assert (curves.p[curves.class_index == -1] == 0).all()


def test_td_of_the_largest_published_set_needs_at_most_four_gigabytes() -> None:
    assert td_bytes(brief(batch_size=128), 100_000, 8_142) <= 4e9


def test_the_cosine_warms_up_and_ends_near_nothing() -> None:
    config = brief(schedule="cosine", learning_rate=1.0, warmup_fraction=0.1)

    assert learning_rate(config, 1, 0.05) == pytest.approx(0.5)
    assert learning_rate(config, 1, 0.1) == pytest.approx(1.0)
    assert learning_rate(config, 3, 1.0) == pytest.approx(0.0)


def test_the_published_rate_drops_after_epoch_160() -> None:
    config = brief(schedule="step", milestones=(160,), learning_rate=0.1)

    assert learning_rate(config, 160, 0.8) == pytest.approx(0.1)
    assert learning_rate(config, 161, 0.8) == pytest.approx(0.01)


def test_a_saved_model_scores_as_before(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    model, _ = run(brief(), images)
    model.save(tmp_path / "round.safetensors")

    loaded = Model.load(tmp_path / "round.safetensors", CPU)

    before, after = (score(m, images.pixels, images.rows) for m in (model, loaded))
    assert np.array_equal(before.log_p, after.log_p)
    assert before.td_log_p is not None
    assert np.array_equal(before.td_log_p, after.td_log_p)


def test_a_warm_start_keeps_the_rows_of_classes_that_both_rounds_have(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    old, _ = run(brief(), images)
    old.save(tmp_path / "old.safetensors")
    new = build_model(brief(), 4, Seeds(weights=5), CPU)
    fresh_row = new.backbone.classifier.weight[0].clone()

    load_weights(new, tmp_path / "old.safetensors", [7, 8, 9], [5, 9, 7, 8])

    assert torch.equal(new.backbone.classifier.weight[0], fresh_row)
    assert torch.equal(new.backbone.classifier.weight[1:], old.backbone.classifier.weight[[2, 0, 1]])
    assert torch.equal(new.companions["td"].head.bias[1:], old.companions["td"].head.bias[[2, 0, 1]])
    assert torch.equal(new.backbone.stem.weight, old.backbone.stem.weight)


def test_memory_for_the_dynamics_of_many_classes_is_said_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = training_images(tmp_path)
    monkeypatch.setattr(memory, "td_bytes", lambda *_, **__: 3 * 2**30)
    _, records = run(brief(epochs=1), images)
    monkeypatch.setattr(memory, "free_bytes", lambda _: 2**30)

    assert records[0].note == "training dynamics of 24 images in 3 classes need 3.0 GiB on cpu"
    with pytest.raises(OutOfMemory, match=r"need 3.0 GiB on cpu and 1.0 GiB are free"):
        run(brief(epochs=1), images)


def test_progress_says_epoch_batch_speed_and_time_left(tmp_path: Path) -> None:
    reports: list[TrainProgress] = []
    run(brief(), training_images(tmp_path), progress=reports.append)

    assert (reports[0].epoch, reports[0].batch, reports[0].batches, reports[0].epochs) == (1, 1, 3, 3)
    assert reports[0].images_per_second > 0
    assert reports[0].seconds_left > 0


def test_bfloat16_trains_and_its_curves_are_float32(tmp_path: Path) -> None:
    _, records = run(brief(precision="bfloat16"), training_images(tmp_path))

    assert np.isfinite(records[-1].loss)
    assert records[-1].curves is not None
    assert records[-1].curves.p.dtype == np.float32


def test_compiling_is_asked_for_only_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_modules: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled_modules.append(module) or module)
    images = training_images(tmp_path)
    plain, _ = run(brief(), images)
    compiled, _ = run(brief(compile=True), images)

    assert len(compiled_modules) == 1
    assert same_weights(plain, compiled)


def test_lambda_weighs_what_the_module_adds_to_the_loss(tmp_path: Path) -> None:
    """A full batch, so that the first epoch's losses are those of the same fresh weights whatever lambda is."""
    images = training_images(tmp_path)
    _, (light,) = run(brief(epochs=1, batch_size=24, td_weight=0.25), images)
    _, (heavy,) = run(brief(epochs=1, batch_size=24, td_weight=3.0), images)

    assert light.td_loss == heavy.td_loss
    assert light.td_loss is not None
    assert light.td_loss > 0.01
    assert light.loss == pytest.approx(light.class_loss + 0.25 * light.td_loss, abs=1e-6)
    assert heavy.loss == pytest.approx(heavy.class_loss + 3.0 * heavy.td_loss, abs=1e-6)


def test_the_modules_gradient_reaches_the_body(tmp_path: Path) -> None:
    """Plain SGD moves by the gradient, and lambda weighs a part of it: the module's."""
    images, config = training_images(tmp_path), brief(epochs=1, batch_size=24, optimizer="sgd", momentum=0.0)
    start = fresh(config, images)
    without, _ = run(dataclasses.replace(config, td_weight=0.0), images)
    once, _ = run(dataclasses.replace(config, td_weight=1.0), images)
    twice, _ = run(dataclasses.replace(config, td_weight=2.0), images)

    for name in ("backbone.stem.weight", "backbone.stages.0.conv1.weight", "backbone.stages.3.conv2.weight"):
        by_class, by_both, by_twice = (model.state()[name] - start.state()[name] for model in (without, once, twice))
        by_module = by_both - by_class
        assert by_module.norm() > 0.01 * by_class.norm(), name
        assert torch.allclose(by_twice - by_class, 2 * by_module, atol=1e-6), name


def test_p_bar_is_the_softmax_of_the_very_pass_that_trains(tmp_path: Path) -> None:
    """After one epoch of one batch, augmentation off: what a fresh model in training mode says of the images."""
    config, images = brief(epochs=1, batch_size=24, augmentation="none"), training_images(tmp_path)
    model, records = run(config, images)
    training = train(config, images, fresh(config, images), Seeds())
    list(training)
    untrained = fresh(config, images)
    untrained.mean, untrained.std = model.mean, model.std
    with torch.no_grad():
        logits, _ = untrained.train().forward(torch.from_numpy(np.load(images.pixels)))
    expected = logits.softmax(dim=1).numpy()

    assert training.result is not None
    assert training.result.td_bar is not None
    assert np.allclose(training.result.td_bar, expected, atol=1e-5)
    assert records[0].curves is not None
    assert np.allclose(records[0].curves.p, expected, atol=1e-5)


@pytest.mark.parametrize("finished_epochs", [1, 3])
def test_p_bar_of_a_resumed_round_counts_the_visits_before(tmp_path: Path, finished_epochs: int) -> None:
    config, images, file = brief(epochs=4, td_window="all"), training_images(tmp_path), tmp_path / "round.ckpt"
    whole = train(config, images, fresh(config, images), Seeds())
    list(whole)
    stopped = train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file, checkpoint_seconds=0))
    for _ in range(finished_epochs + 1):
        next(stopped)
    stopped.close()

    resumed = train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file))
    later = list(resumed)

    assert len(later) == 4 - finished_epochs
    assert whole.result is not None
    assert resumed.result is not None
    assert np.array_equal(resumed.result.td_bar, whole.result.td_bar)
    assert np.allclose(resumed.result.td_bar.sum(axis=1), 1, atol=1e-5)


def changed(images: TrainImages, field: str, folder: Path) -> TrainImages:
    rows, labels, pixels = images.rows.copy(), images.labels.copy(), np.load(images.pixels)
    if field == "rows":  # the same picture once more in another row: nothing else differs
        pixels = np.concatenate([pixels, pixels[:1]])
        rows[0] = len(pixels) - 1
    elif field == "labels":
        labels[0] = 1
    else:
        pixels = 255 - pixels
    np.save(folder / "others.npy", pixels)
    return dataclasses.replace(images, pixels=folder / "others.npy", rows=rows, labels=labels)


@pytest.mark.parametrize("field", ["rows", "labels", "pixels"])
def test_a_checkpoint_of_other_images_or_labels_is_refused(tmp_path: Path, field: str) -> None:
    config, images, file = brief(), training_images(tmp_path), tmp_path / "round.ckpt"
    list(train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file)))

    others = changed(images, field, tmp_path)
    with pytest.raises(InputError, match="written by a training with other images, labels, seeds or settings"):
        list(train(config, others, fresh(config, images), Seeds(), TrainOptions(checkpoint=file)))


@pytest.mark.parametrize("field", ["code", "format"])
def test_a_checkpoint_of_other_code_is_passed_over(tmp_path: Path, field: str) -> None:
    config, images, file = brief(), training_images(tmp_path), tmp_path / "round.ckpt"
    list(train(config, images, fresh(config, images), Seeds(), TrainOptions(checkpoint=file)))
    assert checkpoint_epoch(file) == 3
    assert checkpoint_epoch(file, "another mark") == 0
    tensors, metadata = read_tensors(file)

    write_tensors(file, tensors, {**metadata, field: "another"})

    assert checkpoint_epoch(file) == 0


def test_a_checkpoint_of_an_earlier_version_is_passed_over_and_the_round_starts_afresh(tmp_path: Path) -> None:
    config, images, file = brief(), training_images(tmp_path), tmp_path / "round.ckpt"
    undisturbed, _ = run(config, images)
    mark = fingerprint(config, images, Seeds())
    # Version 1 wrote no "format" and named the optimiser's memory otherwise.
    old = {**fresh(config, images).state(), "optimizer.mean.0": torch.zeros(3), "optimizer.step.0": torch.zeros(())}
    write_tensors(file, old, {"epoch": "2", "batch_size": "8", "mark": mark})

    model = fresh(config, images)
    epoch = checkpoint_epoch(file)
    records = list(train(config, images, model, Seeds(), TrainOptions(checkpoint=file)))

    assert epoch == 0
    assert [record.epoch for record in records] == [1, 2, 3]
    assert same_weights(model, undisturbed)
    assert checkpoint_epoch(file) == 3


def test_a_step_is_made_at_the_rate_of_the_schedule(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    once = brief(epochs=1, schedule="step", milestones=(1,), gamma=0.0, optimizer="sgd", weight_decay=0.0)
    models = [run(config, images)[0] for config in (once, dataclasses.replace(once, epochs=3))]

    first, longer = (dict(model.backbone.named_parameters()) for model in models)
    for name, value in first.items():  # after the milestone the rate is 0
        assert torch.equal(value, longer[name]), name


def test_a_one_cycle_rate_rises_to_its_peak_in_three_tenths_and_falls_to_nothing() -> None:
    config = brief(schedule="one-cycle", learning_rate=0.5)
    rates = [learning_rate(config, 1, progress) for progress in np.linspace(0, 1, 101)]

    assert rates[0] == pytest.approx(0.02)
    assert rates[30] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
    assert rates[65] == pytest.approx(0.25), "half of the way down is half of the peak"
