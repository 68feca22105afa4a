"""A training process that is killed outright, and what the next one makes of its checkpoint."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.helpers.training import brief, training_images
from tidal_core.config import Seeds
from tidal_core.engine.checkpoints import checkpoint_epoch
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train

CONFIG = brief(epochs=40)

VICTIM = """
import sys
import torch
from pathlib import Path
from tests.helpers.training import training_images
from tests.faults.test_killed_training import CONFIG
from tidal_core.config import Seeds
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
folder = Path(sys.argv[1])
images = training_images(folder)
model = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
for record in train(CONFIG, images, model, Seeds(), TrainOptions(checkpoint=folder / "killed", checkpoint_seconds=0)):
    print(record.epoch, flush=True)
"""


def test_a_round_whose_process_was_killed_ends_with_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    undisturbed = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
    list(train(CONFIG, images, undisturbed, Seeds()))
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            if int(line) == 5:
                break
        time.sleep(0.02)  # somewhere within an epoch, or within the writing of a checkpoint
        victim.kill()

    done = checkpoint_epoch(tmp_path / "killed")
    model = build_model(CONFIG, images.n_classes, Seeds(), torch.device("cpu"))
    resumed = train(CONFIG, images, model, Seeds(), TrainOptions(checkpoint=tmp_path / "killed"))
    later = [record.epoch for record in resumed]

    assert 4 <= done < 40
    assert later == list(range(done + 1, 41))
    assert all(torch.equal(value, undisturbed.state()[name]) for name, value in model.state().items())
