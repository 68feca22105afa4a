"""How long a round trains and how large its steps are: epochs, batches of an epoch, the learning rate of a step."""

from __future__ import annotations

import math

from tidal_core.config import TrainConfig


def planned_epochs(config: TrainConfig, n_images: int) -> int:
    """Epochs of a round: the configured number, or more until ``min_steps`` batches have been made.

    Where there are so many images that it would make more than ``max_steps``, fewer, but at least half.
    """
    batches = batches_of(n_images, config.batch_size)
    epochs = max(config.epochs, math.ceil(config.min_steps / batches))
    if config.max_steps and epochs * batches > config.max_steps:
        epochs = max(math.ceil(config.epochs / 2), math.ceil(config.max_steps / batches))
    return epochs


def still_epochs(config: TrainConfig, n_images: int) -> int:
    """How many of the first epochs of a round train the head alone: the configured part of all of them."""
    return math.ceil(planned_epochs(config, n_images) * config.head_epochs / config.epochs)


def batches_of(n_images: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return math.ceil(n_images / batch_size)


def learning_rate(config: TrainConfig, epoch: int, progress: float) -> float:
    """The rate of a step in ``epoch`` (from 1) at ``progress`` (0 to 1) of the whole round."""
    peak = config.learning_rate
    if config.schedule == "step":
        return peak * config.gamma ** sum(epoch > milestone for milestone in config.milestones)
    if config.schedule == "cosine":
        if progress < config.warmup_fraction:
            return peak * progress / config.warmup_fraction
        return peak * _half_cosine((progress - config.warmup_fraction) / (1 - config.warmup_fraction))
    if config.schedule == "one-cycle":  # up from a 25th in three tenths of the round, then down to nothing
        if progress < 0.3:
            return peak * (0.04 + 0.96 * _half_cosine(1 - progress / 0.3))
        return peak * _half_cosine((progress - 0.3) / 0.7)
    return peak


def _half_cosine(x: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(x, 1.0)))
