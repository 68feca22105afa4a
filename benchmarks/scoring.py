"""What scoring costs beyond the network: ``python -m benchmarks.scoring --backbone small``.

``ratio``: images per second of ``scoring.score`` (pixels from the file, normalised, through f and m, log-softmax, back
on the host) over those of a bare forward pass of f on normalised tensors that lie on the device already, in batches of
the same size; the median over interleaved pairs.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import torch

from benchmarks.engine import (
    N_CLASSES,
    arguments,
    clock,
    configuration,
    folder,
    interleaved,
    made_up_images,
    median_ratio,
    say,
)
from tidal_core.config import Seeds
from tidal_core.engine.devices import pick_device, use_threads
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import best_batch_size, score


def main() -> None:
    """Run it and print the figures."""
    options = arguments(__doc__ or "")
    n = 16 if options.quick else 128 if options.backbone == "resnet18" else 4096
    pairs = options.pairs or (2 if options.quick else 8 if options.backbone == "resnet18" else 20)
    if pick_device().type == "cuda":
        n *= 8
    use_threads(pick_device(), options.threads)
    with folder() as scratch:
        images = made_up_images(Path(scratch), n)
        model = build_model(configuration(options.backbone), N_CLASSES, Seeds()).eval()
        size = best_batch_size(model.device)
        pixels = torch.from_numpy(np.load(images.pixels)).to(model.device)
        batches = [model.normalise(batch) for batch in torch.split(pixels, size)]

        def bare() -> None:
            with torch.inference_mode():
                for batch in batches:
                    model.backbone(batch)

        def whole() -> None:
            score(model, images.pixels, images.rows, threads=options.threads)

        bare()
        whole()
        bare_s, whole_s = interleaved(bare, whole, pairs, clock(options.threads))
    ratio, low, high = median_ratio(bare_s, whole_s)
    say(
        "scoring",
        options,
        ratio=round(ratio, 3),
        quartiles=[round(low, 3), round(high, 3)],
        images_per_second=round(n / statistics.median(whole_s), 1),
        images=n,
        pairs=pairs,
    )


if __name__ == "__main__":
    main()
