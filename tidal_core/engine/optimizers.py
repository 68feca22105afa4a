"""The optimiser of a round: SGD, Adam or AdamW of torch.optim, fused, and its memory as tensors for checkpoints.

Fused goes once through the memory of all weights. The first optimiser of a process makes torch import its compiler:
two seconds of one core. The worker does that while nobody waits (``rounds/worker.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tidal_core.config import TrainConfig

SCALE = "scale"  # key of a parameter group: its part of the learning rate


def build_optimizer(
    config: TrainConfig, parameters: list[nn.Parameter], scales: Sequence[float] | None = None
) -> torch.optim.Optimizer:
    """Moves ``parameters`` by their gradients; parameters without a gradient stay.

    ``scales``: for each parameter the part of the learning rate that it moves by (default: all of it).
    """
    by_scale: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter, scale in zip(parameters, scales or [1.0] * len(parameters), strict=True):
        by_scale[scale].append(parameter)
    groups = [{"params": members, SCALE: scale} for scale, members in by_scale.items()]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, weight_decay=decay, fused=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)


def load_torchs_optimizers() -> None:
    """Make torch import now what it imports for the first optimiser of a process; later it costs nothing."""
    build_optimizer(TrainConfig(), [nn.Parameter(torch.zeros(1))])


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Make the next steps at this learning rate, each parameter at its part of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(SCALE, 1.0)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor it remembers, by the parameter's position and torch's name: "3.exp_avg"; its own, not copies."""
    state = optimizer.state_dict()["state"]
    return {
        f"{position}.{name}": value
        for position, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take back what ``optimizer_tensors`` gave, each value laid out as its parameter is.

    A file holds tensors row by row, while parameters may lie channels last, and fused steps go through the memory of
    both side by side.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        position, name = key.split(".", 1)
        parameter = parameters[int(position)]
        alike = value.shape == parameter.shape
        state[int(position)][name] = torch.empty_like(parameter).copy_(value) if alike else value.clone()
    optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
