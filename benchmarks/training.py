"""The engine against the usual recipe: ``python -m benchmarks.training --backbone small``.

``speedup``: images per second of ``training.train`` over those of a torchvision data set with PIL transforms for each
image, a DataLoader in the same process, torch.optim and TD brought to the host with every batch, in float32: the same
model, the same batches and epochs. The median over interleaved pairs of epochs.

``bfloat16_ratio``: images per second of ``training.train`` in bfloat16 over those in float32, from pairs of this run.
With ``--precision`` only the speedup is measured, of that precision; the usual recipe stays in float32.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import VisionDataset

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
    start,
)
from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.devices import computes_bfloat16, use_threads
from tidal_core.engine.model import build_model
from tidal_core.engine.training import Training
from tidal_core.records import TrainImages


class Photos(VisionDataset):
    """Images as torchvision's own small data sets give them: from an array, by way of PIL."""

    def __init__(self, images: TrainImages, transform: Callable[[Image.Image], Tensor]) -> None:
        super().__init__(None, transform=transform)
        self.pixels, self.labels = np.load(images.pixels), images.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index]), index


def usual_recipe(config: TrainConfig, images: TrainImages) -> Iterator[None]:
    """One epoch for each ``next``."""
    model = build_model(config, N_CLASSES, Seeds())
    device = model.device
    model.backbone.to(memory_format=torch.contiguous_format)
    steps = [transforms.RandomCrop(images_side(images), padding=4)]
    if config.augmentation == "flip-crop":
        steps.append(transforms.RandomHorizontalFlip())
    steps += [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    loader = DataLoader(Photos(images, transforms.Compose(steps)), config.batch_size, shuffle=True)
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.optimizer]
    momentum = {"momentum": config.momentum} if config.optimizer == "sgd" else {}
    optimizer = kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, **momentum)
    p_bar, epoch = torch.zeros(len(images.labels), N_CLASSES), 0
    model.train()
    while True:
        epoch += 1
        for x, labels, index in loader:
            x, labels = x.to(device), labels.to(device)
            logits, features = model.backbone(x)
            p = logits.detach().softmax(1).cpu()
            p_bar[index] = (p_bar[index] * (epoch - 1) + p) / epoch
            td_log_p = model.companions["td"](features).log_softmax(1)
            loss = F.cross_entropy(logits, labels)
            loss = loss + F.kl_div(td_log_p, p_bar[index].to(device), reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield


def images_side(images: TrainImages) -> int:
    """Pixels."""
    return int(np.load(images.pixels, mmap_mode="r").shape[1])


def main() -> None:
    """Run it and print the figures."""
    options = arguments(__doc__ or "", precision="both")
    precision = "float32" if options.precision == "both" else options.precision
    config = configuration(options.backbone, precision=precision)
    batches = 1 if options.quick or options.backbone == "resnet18" else 8
    pairs = options.pairs or (2 if options.quick else 10 if options.backbone == "resnet18" else 30)
    n = config.batch_size * batches if not options.quick else 16
    in_16_bits: dict[str, object] = {}
    with folder() as scratch:
        images = made_up_images(Path(scratch), n)
        ours = start(config, images, curves=True, threads=options.threads)
        theirs = usual_recipe(config, images)
        use_threads(torch.device("cpu"), options.threads)
        next(theirs)
        theirs_s, ours_s = interleaved(lambda: next(theirs), lambda: next(ours), pairs, clock(options.threads))
        if options.precision == "both":
            in_16_bits = bfloat16_ratio(options, ours, images, min(pairs, 10))
    ratio, low, high = median_ratio(theirs_s, ours_s)
    say(
        "training",
        options,
        speedup=round(ratio, 2),
        quartiles=[round(low, 2), round(high, 2)],
        images_per_second=[round(n / statistics.median(t), 1) for t in (theirs_s, ours_s)],
        images=n,
        pairs=pairs,
        **in_16_bits,
    )


def bfloat16_ratio(
    options: argparse.Namespace, in_float32: Training, images: TrainImages, pairs: int
) -> dict[str, object]:
    """The figures of the comparison of both precisions."""
    config = configuration(options.backbone, precision="bfloat16")
    in_bfloat16 = start(config, images, curves=True, threads=options.threads)
    times = interleaved(lambda: next(in_float32), lambda: next(in_bfloat16), pairs, clock(options.threads))
    ratio, low, high = median_ratio(*times)
    return {
        "bfloat16_ratio": round(ratio, 2),
        "bfloat16_quartiles": [round(low, 2), round(high, 2)],
        "bfloat16_images_per_second": [round(len(images.labels) / statistics.median(t), 1) for t in times],
        "bfloat16_pairs": pairs,
        "has_bfloat16": computes_bfloat16(in_float32.device),
    }


if __name__ == "__main__":
    main()
