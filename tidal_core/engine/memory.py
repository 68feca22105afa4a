"""How much memory the training dynamics of a round need, and whether it is there before the round begins."""

from __future__ import annotations

from tidal_core.config import TrainConfig
from tidal_core.engine.devices import free_bytes
from tidal_core.engine.train_inputs import TrainInputs
from tidal_core.errors import OutOfMemory

WORTH_SAYING = 2**30  # bytes: from here on the first epoch's note says what the dynamics need


def td_bytes(config: TrainConfig, n_images: int, n_classes: int, *, curves: bool = True) -> int:
    """Memory that TD needs on the device through a round, in bytes: p-bar and one epoch of curves."""
    tracker = n_images * (n_classes + 1) * 4
    per_image = n_classes * 4 if n_classes <= config.full_curve_classes else (config.sparse_top_k + 1) * 12
    batch = min(config.batch_size, n_images) * n_classes * 4 * 8  # p, log p and their gradients on the way
    return tracker + (n_images * per_image if curves else 0) + batch


def check_memory(inputs: TrainInputs) -> str | None:
    """What the dynamics of this training need, where it is worth saying; OutOfMemory where it is more than is free."""
    if not inputs.tracks_dynamics:
        return None
    device, n_images, n_classes = inputs.model.device, inputs.n_images, inputs.model.n_classes
    need = td_bytes(inputs.config, n_images, n_classes, curves=inputs.options.curves)
    free = free_bytes(device)
    needs = (
        f"training dynamics of {n_images:,} images in {n_classes:,} classes need {need / 2**30:.1f} GiB on "
        f"{device.type}"
    )
    if need > free:
        raise OutOfMemory(f"{needs} and {free / 2**30:.1f} GiB are free; close other programs that use it.")
    return needs if need > WORTH_SAYING else None
