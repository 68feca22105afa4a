"""One epoch of curves: all probabilities of a few classes, the label's and the largest of many."""

from __future__ import annotations

import numpy as np
import torch

from tests.helpers.training import brief
from tidal_core.engine.curve_recorder import CurveRecorder

P = torch.tensor([[0.1, 0.6, 0.25, 0.05], [0.7, 0.05, 0.05, 0.2]])
LABELS = torch.tensor([2, 0])


def recorded(full_curve_classes: int) -> tuple[np.ndarray, np.ndarray | None]:
    config = brief(full_curve_classes=full_curve_classes, sparse_top_k=2)
    recorder = CurveRecorder(3, 4, config, torch.device("cpu"))
    recorder.add(torch.tensor([2, 0]), P, LABELS)
    curves = recorder.finish()
    return curves.p, curves.class_index


def test_of_a_few_classes_every_probability_is_kept_at_its_image() -> None:
    p, classes = recorded(full_curve_classes=4)

    np.testing.assert_allclose(p, [P[1].tolist(), [0, 0, 0, 0], P[0].tolist()])
    assert classes is None


def test_of_many_classes_the_label_comes_first_and_is_not_named_again() -> None:
    p, classes = recorded(full_curve_classes=3)

    assert classes is not None
    np.testing.assert_allclose(p[2], [0.25, 0.6, 0.0])  # the label is second: its place among the largest stays empty
    assert classes[2].tolist() == [2, 1, -1]
    np.testing.assert_allclose(p[0], [0.7, 0.0, 0.2])
    assert classes[0].tolist() == [0, -1, 3]
    assert classes[1].tolist() == [-1, -1, -1], "an image that never came"
