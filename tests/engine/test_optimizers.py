"""The optimisers against torch's own, and what they must not bring along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers.training import brief
from tidal_core.engine.optimizers import Optimizer

THEIRS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


@pytest.mark.parametrize("name", THEIRS)
def test_the_steps_are_those_of_torch(name: str) -> None:
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    config = brief(optimizer=name, weight_decay=0.01)
    options = {"momentum": 0.9} if name == "sgd" else {}
    optimizer = Optimizer(config, [ours])
    reference = THEIRS[name]([theirs], lr=0.05, weight_decay=0.01, fused=True, **options)

    for _ in range(5):
        for parameter in (ours, theirs):
            parameter.grad = None
            (parameter**2).sum().backward()
        optimizer.step(0.05)
        reference.step()

    assert torch.equal(ours, theirs)


def test_a_parameter_without_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(3))

    Optimizer(brief(), [parameter]).step(0.1)

    assert torch.equal(parameter, torch.ones(3))


def test_training_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.helpers.training import brief, training_images
from tidal_core.config import Seeds
from tidal_core.engine.training import build_model, train
images = training_images(Path(sys.argv[1]))
list(train(brief(epochs=1), images, build_model(brief(), 3, Seeds()), Seeds()))
sys.exit("torch._dynamo" in sys.modules)
"""

    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 0
