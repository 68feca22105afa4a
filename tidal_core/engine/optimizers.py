"""SGD, Adam and AdamW as torch's own fused kernels, without torch's ``Optimizer`` class around them.

The first ``torch.optim.Optimizer`` of a process imports the whole of torch's compiler: two seconds of one core, seven
on a busy machine, in the middle of a labeller's first round. The kernels need none of it. Each goes once through the
memory of all weights. The results are those of torch.optim with ``fused=True`` (a test compares them).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tidal_core.config import TrainConfig

BETAS = (0.9, 0.999)  # of Adam and AdamW, torch's own defaults
EPSILON = 1e-8


class Optimizer:
    """Moves ``parameters`` by their gradients. ``state`` is all it remembers, by name, for checkpoints."""

    def __init__(self, config: TrainConfig, parameters: list[nn.Parameter]) -> None:
        self.config = config
        self.parameters = parameters
        moments = ("momentum",) if config.optimizer == "sgd" else ("mean", "square")
        self.moments = {
            name: [torch.zeros_like(p, requires_grad=False, memory_format=torch.preserve_format) for p in parameters]
            for name in moments
        }
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]

    def step(self, rate: float) -> None:
        """One step at this learning rate; parameters without a gradient stay."""
        moved = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if not moved:
            return
        weights: list[Tensor] = [self.parameters[i].detach() for i in moved]
        gradients = [g for i in moved if (g := self.parameters[i].grad) is not None]
        moments = [[values[i] for i in moved] for values in self.moments.values()]
        decay = self.config.weight_decay
        if self.config.optimizer == "sgd":
            torch._fused_sgd_(
                weights,
                gradients,
                moments[0],
                weight_decay=decay,
                momentum=self.config.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
            return
        steps = [self.steps[i] for i in moved]
        torch._foreach_add_(steps, 1)
        kernel = torch._fused_adamw_ if self.config.optimizer == "adamw" else torch._fused_adam_
        kernel(
            weights,
            gradients,
            moments[0],
            moments[1],
            [],
            steps,
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def zero_grad(self) -> None:
        """Forget all gradients and their memory."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Every tensor it remembers; the optimiser's own, not copies."""
        moments = {f"{name}.{i}": value for name, values in self.moments.items() for i, value in enumerate(values)}
        return {**moments, **{f"step.{i}": value for i, value in enumerate(self.steps)}}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave, into the memory as it lies (kernels go through both side by side)."""
        for name, own in self.state().items():
            own.copy_(tensors[name])
