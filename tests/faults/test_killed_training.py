"""A training process that is killed outright, and what the next one makes of its checkpoint."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.serving import ROOT
from tests.helpers.training import brief, training_images
from tidal_core.config import Seeds
from tidal_core.engine.checkpoints import checkpoint_epoch
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train

CONFIG = brief(epochs=10)

VICTIM = """
import os, signal, sys
import torch
from pathlib import Path
from tests.helpers.training import training_images
from tests.faults.test_killed_training import CONFIG
from tidal_core.config import Seeds
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
folder, moment = Path(sys.argv[1]), sys.argv[2]
images = training_images(folder)
model = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
batches = iter(range(10**9))
def should_stop():  # asked before every batch: the second of three of the sixth epoch
    if moment == "within an epoch" and next(batches) == 5 * 3 + 1:
        die()
options = TrainOptions(checkpoint=folder / "killed", checkpoint_seconds=0, should_stop=should_stop)
for record in train(CONFIG, images, model, Seeds(), options):
    if moment == "while a checkpoint is written" and record.epoch == 6:
        os.replace = os.rename = die  # the whole file lies beside the last one
"""


@pytest.mark.parametrize("moment", ["within an epoch", "while a checkpoint is written"])
def test_a_round_whose_process_was_killed_ends_with_the_same_weights_bit_for_bit(tmp_path: Path, moment: str) -> None:
    images = training_images(tmp_path)
    undisturbed = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
    list(train(CONFIG, images, undisturbed, Seeds()))
    victim = subprocess.run([sys.executable, "-c", VICTIM, str(tmp_path), moment], cwd=ROOT, check=False)
    assert victim.returncode == -signal.SIGKILL

    done = checkpoint_epoch(tmp_path / "killed")
    model = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
    resumed = train(CONFIG, images, model, Seeds(), TrainOptions(checkpoint=tmp_path / "killed"))
    later = [record.epoch for record in resumed]

    assert done == 5
    assert later == [6, 7, 8, 9, 10]
    assert all(torch.equal(value, undisturbed.state()[name]) for name, value in model.state().items())
