"""What training and scoring ask of a companion beside ``td``: a loss, and what strategies read of an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Generator, Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class SeenBatch:
    """A batch of labelled images as the classifier saw it in the step that is being made; gradients flow back."""

    features: Sequence[Tensor]  # of all stages, the last (B, D)
    logits: Tensor  # (B, C)
    labels: Tensor  # (B,) int64
    epoch: int  # from 1
    epochs: int  # of the round


class Companion(nn.Module):
    """A module trained beside the classifier. Without a method of its own a companion adds and says nothing."""

    class_rows: tuple[str, ...] = ()
    """Parameters with one row for each class, for carrying them over to a round with other classes."""

    reads: tuple[str, ...] = ()
    """What it needs other companions to have said of an image before it."""

    def loss(self, seen: SeenBatch, generator: Generator) -> Tensor:
        """What it adds to a batch's loss, a scalar; chance comes from ``generator`` (on the CPU) only."""
        return seen.logits.new_zeros(())

    def of_batch(self, inputs: Tensor, features: Sequence[Tensor], said: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What strategies read of each of B images, by name, (B,) float32, in evaluation mode.

        ``inputs``: normalised pixels (B, 3, H, W), or features (B, D) where the body is frozen. ``features``: of all
        stages. ``said``: what other companions have said of the same images.
        """
        return {}

    def extra(self, features: Tensor) -> dict[str, Tensor]:
        """The same of all N images at once, (N,); ``features`` (N, D) are those of the last stage."""
        return {}


def said_by(modules: Iterable[nn.Module], inputs: Tensor, features: Sequence[Tensor]) -> dict[str, Tensor]:
    """What the companions among ``modules`` say of a batch, by name; those that read of others come after them."""
    said: dict[str, Tensor] = {}
    for companion in sorted((m for m in modules if isinstance(m, Companion)), key=lambda m: len(m.reads)):
        said |= companion.of_batch(inputs, features, said)
    return said


@dataclass(frozen=True)
class Side:
    """Images, labelled or not, as companions that train apart see them."""

    inputs: Tensor  # as in ``Companion.of_batch``
    said: Mapping[str, Tensor]  # what other companions say of them, in evaluation mode, without a gradient


class TrainsApart(Companion):
    """A companion with optimisers of its own, which trains on unlabelled images as well.

    It adds nothing to the classifier's loss, and each round begins with fresh weights of it.
    """

    def optimizers(self) -> dict[str, Optimizer]:
        """Fresh optimisers by name, of all its parameters."""
        raise NotImplementedError

    def step(self, labelled: Side, unlabelled: Side, optimizers: Mapping[str, Optimizer], generator: Generator) -> None:
        """Train once: beside each step of the classifier, on its batch and as many unlabelled images."""
        raise NotImplementedError
