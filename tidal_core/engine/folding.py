"""A backbone for scoring only, with each BatchNorm worked into the convolution before it.

In evaluation mode a BatchNorm scales and shifts each channel by fixed numbers, and so can the weights before it: the
same function to rounding (1e-5 in log-probabilities, a test), a pass over memory less for every layer. Which norm
follows which convolution is seen in one forward pass of a small image, so that it holds for any backbone. Norms of
another class than torch's own, such as timm's, stay as they are.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from tidal_core.engine.backbones import Backbone


def folded(backbone: Backbone) -> Backbone:
    """A copy of ``backbone`` in evaluation mode without the BatchNorms that follow a convolution directly."""
    lean = copy.deepcopy(backbone).eval()
    names = {module: name for name, module in lean.named_modules()}
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor is kept, so that no other takes its id
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            outputs[id(output)] = module, output

    def normed(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in outputs:
            pairs.append((outputs[id(inputs[0])][0], module))

    hooks = [m.register_forward_hook(convolved) for m in names if isinstance(m, nn.Conv2d)]
    # Of a subclass more would be lost than a norm: timm's also rectify.
    hooks += [m.register_forward_pre_hook(normed) for m in names if type(m) is nn.BatchNorm2d]
    device = next(lean.parameters()).device
    with torch.no_grad():
        lean(torch.zeros(1, 3, lean.smallest_side, lean.smallest_side, device=device))
    for hook in hooks:
        hook.remove()
    for convolution, norm in pairs:
        lean.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        lean.set_submodule(names[norm], nn.Identity())
    return lean
