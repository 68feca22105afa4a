"""The optimisers: what the configuration asks of them, and their memory through a checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.helpers.training import brief
from tidal_core.engine.optimizers import build_optimizer, load_optimizer_tensors, optimizer_tensors, set_rate

REFERENCES = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
every_optimizer = pytest.mark.parametrize("name", REFERENCES)


def step(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
    parameter.grad = None
    (parameter**2).sum().backward()
    optimizer.step()


@every_optimizer
def test_the_configuration_decides_every_step(name: str) -> None:
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    config = brief(optimizer=name, weight_decay=0.01, momentum=0.8)
    momentum = {"momentum": 0.8} if name == "sgd" else {}
    optimizer = build_optimizer(config, [ours])
    reference = REFERENCES[name]([theirs], lr=1.0, weight_decay=0.01, foreach=False, fused=False, **momentum)

    for rate in (0.05, 0.05, 0.01, 0.02):
        set_rate(optimizer, rate)
        step(optimizer, ours)
        set_rate(reference, rate)
        step(reference, theirs)

    assert torch.allclose(ours, theirs, atol=1e-7)


@every_optimizer
def test_a_parameter_with_a_part_of_the_rate_moves_as_one_with_that_rate(name: str) -> None:
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    scaled, whole, alone = (nn.Parameter(start.clone()) for _ in range(3))
    config = brief(optimizer=name)
    both, reference = build_optimizer(config, [scaled, whole], [0.25, 1.0]), build_optimizer(config, [alone])

    for rate in (0.04, 0.02):
        set_rate(both, rate)
        set_rate(reference, 0.25 * rate)
        for parameter in (scaled, whole, alone):
            parameter.grad = None
            (parameter**2).sum().backward()
        both.step()
        reference.step()

    assert torch.allclose(scaled, alone, atol=1e-7)
    assert not torch.allclose(scaled, whole, atol=1e-3)


def test_a_parameter_without_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(3))

    build_optimizer(brief(), [parameter]).step()

    assert torch.equal(parameter, torch.ones(3))


@every_optimizer
def test_a_memory_taken_from_a_file_goes_on_as_the_one_that_was_never_away(name: str) -> None:
    config = brief(optimizer=name)
    start = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2)).to(memory_format=torch.channels_last)
    parameter = nn.Parameter(start.clone())
    optimizer = build_optimizer(config, [parameter])
    for _ in range(3):
        step(optimizer, parameter)
    away = nn.Parameter(parameter.detach().clone())
    again = build_optimizer(config, [away])
    from_a_file = {name: value.contiguous() for name, value in optimizer_tensors(optimizer).items()}
    load_optimizer_tensors(again, from_a_file)

    step(optimizer, parameter)
    step(again, away)

    assert torch.equal(parameter, away)
    assert len(optimizer_tensors(again)) == len(optimizer_tensors(optimizer)) > 0
