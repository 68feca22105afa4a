"""Tests of the tests: the method with one thing wrong must not pass them.

Each case takes the source of a module, changes one place, and runs a test that guards it against the changed module.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine import test_class_weights, test_fine_tuning, test_training
from tests.method import test_estimators, test_tidal
from tests.mutations import missing
from tests.planted import FAULTS
from tidal_core.engine import checkpoints, loop, step, training
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.method import estimators, tidal

METHOD = [
    (
        "the divergence's arguments swapped",
        'F.kl_div(log_q, target, reduction="batchmean")',
        'F.kl_div(target.log(), log_q.exp(), reduction="batchmean")',
        test_tidal.test_the_divergence_has_its_arguments_in_the_papers_order,
    ),
    (
        "an impossible class that counts",
        ".masked_fill(target == 0, 0.0)",
        "",
        test_tidal.test_a_class_that_is_impossible_for_both_adds_nothing_to_the_divergence,
    ),
    (
        "the divergence summed over the batch",
        'reduction="batchmean"',
        'reduction="sum"',
        test_tidal.test_the_divergence_agrees_with_scipy,
    ),
    (
        "a reset that forgets the visits only",
        "self.total.zero_()",
        "pass",
        test_tidal.test_after_a_reset_nothing_of_the_round_before_is_left,
    ),
    (
        "an image twice in a batch counted once",
        "self.visits.index_add_(0, index, p.new_ones(len(index), 1))",
        "self.visits[index] += 1",
        test_tidal.test_an_index_twice_in_one_batch_counts_twice,
    ),
    (
        "p-bar with a gradient",
        "p = p.detach().float()\n        self.total.index_add_(0, index, p)",
        "self.total = self.total.index_add(0, index, p)",
        test_tidal.test_an_update_answers_without_gradient,
    ),
]

ESTIMATES = [
    (
        "y-hat taken from the module",
        "lead(td_log_p, _predicted(log_p, td_log_p))",
        "lead(td_log_p, _predicted(td_log_p, td_log_p))",
        test_estimators.test_margin_of_the_example_asks_f_which_class_is_meant,
    ),
    (
        "confidence in the module's class",
        "predicted = _predicted(log_p, td_log_p)",
        "predicted = _predicted(td_log_p, td_log_p)",
        test_estimators.test_confidence_of_the_example,
    ),
    (
        "the entropy's sign turned",
        "np.maximum(-(np.exp(log_p) * log_p).sum(axis=1), 0)",
        "np.minimum((np.exp(log_p) * log_p).sum(axis=1), 0)",
        test_estimators.test_entropy_of_the_example,
    ),
    (
        "the lead over the class itself",
        "p[rows, chosen] = -1",
        "pass",
        test_estimators.test_the_lead_is_of_the_class_that_is_named_and_may_be_negative,
    ),
]

AVERAGED = test_training.test_the_recorded_curves_averaged_are_the_trackers_p_bar
SECOND_HALF = 'self.inputs.config.td_window == "second-half" and number == self.epochs // 2 + 1'

# what is wrong, the class or function that has it, right, wrong, the test that guards it, what it is given
ENGINE: list[tuple[str, types.ModuleType, str, str, str, Callable[..., None], tuple[object, ...]]] = [
    ("p-bar reset with every epoch", loop, "Loop", SECOND_HALF, "True", AVERAGED, ("all",)),
    (
        "p-bar reset late",
        loop,
        "Loop",
        "number == self.epochs // 2 + 1",
        "number == self.epochs",
        AVERAGED,
        ("second-half",),
    ),
    ("p-bar never reset", loop, "Loop", "tracker.reset()", "pass", AVERAGED, ("second-half",)),
    (
        "lambda ignored",
        step,
        "Step",
        "p_bar, self.config.td_weight, weights)",
        "p_bar, image_weights=weights)",
        test_training.test_lambda_weighs_what_the_module_adds_to_the_loss,
        (),
    ),
    (
        "the module's gradient stopped at the body",
        step,
        "Step",
        "self.td(features)",
        "self.td([stage.detach() for stage in features])",
        test_training.test_the_modules_gradient_reaches_the_body,
        (),
    ),
    (
        "p-bar of the module's softmax",
        step,
        "Step",
        "self.tracker.update(index, p)",
        "self.tracker.update(index, td_logits.float().softmax(dim=1))",
        test_training.test_p_bar_is_the_softmax_of_the_very_pass_that_trains,
        (),
    ),
    (
        "p-bar of the labels",
        step,
        "Step",
        "self.tracker.update(index, p)",
        "self.tracker.update(index, nn.functional.one_hot(labels, p.shape[1]).float())",
        test_training.test_p_bar_is_the_softmax_of_the_very_pass_that_trains,
        (),
    ),
    (
        "p of a pass of its own, in evaluation mode",
        step,
        "Step",
        "p = logits.detach().float().softmax(dim=1)",
        "self.model.eval(); p = self.model.forward(batch)[0].detach().softmax(dim=1); self.model.train()",
        test_training.test_p_bar_is_the_softmax_of_the_very_pass_that_trains,
        (),
    ),
    (
        "a body that moves in the head's epochs",
        loop,
        "Loop",
        "number <= self.still_epochs",
        "False",
        test_fine_tuning.test_the_body_stands_still_in_the_first_epochs_and_moves_after_them,
        (),
    ),
    (
        "a rare image that counts as any other",
        step,
        "Step",
        "self.image_weights.index_select(0, index) if self.image_weights is not None else None",
        "None",
        test_class_weights.test_a_round_weighs_a_rare_image_as_so_many_of_it,
        (),
    ),
    (
        "visits not restored",
        checkpoints,
        "CheckpointFile",
        'tracker.visits.copy_(tensors["tracker.visits"])',
        "pass",
        test_training.test_p_bar_of_a_resumed_round_counts_the_visits_before,
        (1,),
    ),
    (
        "a fingerprint without rows",
        checkpoints,
        "fingerprint",
        "digest.update(images.rows.tobytes())",
        "pass",
        test_training.test_a_checkpoint_of_other_images_or_labels_is_refused,
        ("rows",),
    ),
    (
        "a fingerprint without labels",
        checkpoints,
        "fingerprint",
        "digest.update(images.labels.tobytes())",
        "pass",
        test_training.test_a_checkpoint_of_other_images_or_labels_is_refused,
        ("labels",),
    ),
    (
        "a fingerprint without pixels",
        checkpoints,
        "fingerprint",
        "digest.update(pixels[kept[start : start + _HASHED_AT_ONCE]].tobytes())",
        "pass",
        test_training.test_a_checkpoint_of_other_images_or_labels_is_refused,
        ("pixels",),
    ),
]


def mutant(module: types.ModuleType, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module once more, with one place of its source changed."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert right in source, f"the source no longer has {right!r}: mutate what is there now"
    changed = types.ModuleType(f"{module.__name__}_mutant")
    monkeypatch.setitem(sys.modules, changed.__name__, changed)
    exec(compile(source.replace(right, wrong), f"mutant of {module.__file__}", "exec"), changed.__dict__)
    return changed


def against(test: Callable[..., None], module: types.ModuleType) -> Callable[..., None]:
    """The test, with what it imported from the module taken from this one."""
    names = {name: getattr(module, name) for name in test.__globals__ if hasattr(module, name) and name[0] != "_"}
    return types.FunctionType(test.__code__, {**test.__globals__, **names}, test.__name__, test.__defaults__)


@pytest.mark.parametrize(
    ("module", "right", "wrong", "guard"),
    [(tidal, *case[1:]) for case in METHOD] + [(estimators, *case[1:]) for case in ESTIMATES],
    ids=[case[0] for case in METHOD + ESTIMATES],
)
def test_a_wrong_method_fails_its_test(
    module: types.ModuleType, right: str, wrong: str, guard: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    against(guard, mutant(module, right, right, monkeypatch))()  # unchanged it passes
    with pytest.raises(AssertionError):
        against(guard, mutant(module, right, wrong, monkeypatch))()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_whose_wrong_end_is_asked_fails_its_test(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = test_estimators.test_the_undecided_are_asked_before_the_certain
    right = ESTIMATORS[name]
    turned = replace(right, query_end="lowest" if right.query_end == "highest" else "highest")

    guard(name)
    monkeypatch.setitem(ESTIMATORS, name, turned)
    with pytest.raises(AssertionError):
        guard(name)


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong", "guard", "given"),
    [case[1:] for case in ENGINE],
    ids=[case[0] for case in ENGINE],
)
def test_a_wrong_engine_fails_its_test(
    module: types.ModuleType,
    name: str,
    right: str,
    wrong: str,
    guard: Callable[..., None],
    given: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, name, getattr(mutant(module, right, wrong, monkeypatch), name))

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        guard(tmp_path, *given)


def test_every_fault_can_still_be_planted() -> None:
    assert missing(FAULTS) == []
