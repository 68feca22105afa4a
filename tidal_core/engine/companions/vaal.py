"""VAAL (Sinha, Ebrahimi and Darrell, Variational Adversarial Active Learning, ICCV 2019), and TA-VAAL.

A variational auto-encoder learns a small description z of labelled and unlabelled images. A discriminator learns to
tell from z which are labelled, while the auto-encoder learns to make it take all for labelled. What it still takes for
unlabelled is unlike the labelled images, and is asked.

TA-VAAL (Kim, Park, Kim and Chun, Task-Aware Variational Adversarial Active Learning, CVPR 2021) tells decoder and
discriminator beside z how the companion ``ranker`` ranks the image's loss, as a number from 0 to 1.

Both train apart from the classifier, by Adam at ``RATE``, one step each for each step of it (Algorithm 1 of VAAL), on
the classifier's batch and as many unlabelled images; the classifier comes out as it would without them. They are drawn
anew in each round. Where the body is frozen both see the stored features of images: a variant, in no paper.

Meant as in the papers, and not as in their public codes:

- The classifier is in evaluation mode while it ranks images, and in training mode whenever it trains; VAAL's code
  leaves it in evaluation mode after its first validation.
- Error and KL divergence have one scale, both per input value: together they are the bound of Eq. 1 and 2 divided by
  the number of values. The codes add a KL divergence that is summed over a batch to an error that is a mean.
- Images are scored in evaluation mode: what is said of one does not depend on those beside it.
- The rank that is told is the sigmoid of the ranker's output in training and in scoring; TA-VAAL's code scores by the
  raw one.
- Strategies that do not read the ranker train none, random and CoreSet among them.
- As in both codes, the discriminator reads the mean of q(z | x) and not a draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from tidal_core.engine.companions.autoencoders import (
    LATENT,
    AutoEncoder,
    Coded,
    FeatureAutoEncoder,
    ImageAutoEncoder,
)
from tidal_core.engine.companions.base import Side, TrainsApart
from tidal_core.engine.companions.learning_loss import Ranker

RATE = 5e-4  # of both Adams
WIDTH = 512  # of the discriminator's two inner layers


def evidence_loss(coded: Coded) -> Tensor:
    """Mean squared error plus KL(q(z | x) || N(0, 1)) per input value, a scalar: the bound of a Gaussian decoder.

    Both are means over images and over the D values of one: the KL divergence of an image is summed over z, then
    divided by D.
    """
    D = coded.target[0].numel()
    error = (coded.rebuilt - coded.target).square().mean()
    kl = 0.5 * (coded.mean.square() + coded.log_variance.exp() - 1 - coded.log_variance).sum(dim=1)
    return error + kl.mean() / D


def taken_for(log_odds: Tensor, labelled: bool) -> Tensor:
    """Mean cross-entropy of log-odds (B,) "is labelled" where all are labelled, or where none is; a scalar."""
    return F.softplus(-log_odds if labelled else log_odds).mean()


class Vaal(TrainsApart):
    """The auto-encoder and the discriminator. See the module."""

    says = "labelled_score"
    beside = 0  # numbers told beside z

    def __init__(self, stage_channels: Sequence[int], n_classes: int, *, on_features: bool = False) -> None:
        super().__init__()
        kind = FeatureAutoEncoder if on_features else ImageAutoEncoder
        self.autoencoder: AutoEncoder = kind(stage_channels, self.beside)
        self.discriminator = nn.Sequential(
            nn.Linear(LATENT + self.beside, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for each of the two."""
        parts = {"autoencoder": self.autoencoder, "discriminator": self.discriminator}
        return {name: torch.optim.Adam(part.parameters(), lr=RATE, fused=True) for name, part in parts.items()}

    def told(self, images: Side) -> Tensor:
        """What is told beside z of B images: (B, 0) of VAAL."""
        return images.inputs.new_zeros(len(images.inputs), 0)

    def log_odds(self, mean: Tensor, told: Tensor) -> Tensor:
        """That the discriminator takes B images for labelled ones (B,); ``mean`` (B, LATENT) of q."""
        odds: Tensor = self.discriminator(torch.cat([mean, told], dim=1))
        return odds.squeeze(1)

    def step(
        self, labelled: Side, unlabelled: Side, optimizers: Mapping[str, torch.optim.Optimizer], generator: Generator
    ) -> None:
        """One step of the auto-encoder, then one of the discriminator."""
        sides = [(side, self.told(side)) for side in (labelled, unlabelled)]
        self._update(optimizers["autoencoder"], self.autoencoder_loss(sides, generator))
        self._update(optimizers["discriminator"], self.discriminator_loss(sides))

    def autoencoder_loss(self, sides: Sequence[tuple[Side, Tensor]], generator: Generator) -> Tensor:
        """Eq. 1 and 2: labelled and unlabelled given back, and both taken for labelled; a scalar."""
        loss = torch.zeros((), device=sides[0][1].device)
        for side, told in sides:
            coded = self.autoencoder(side.inputs, told, generator)
            loss = loss + evidence_loss(coded) + taken_for(self.log_odds(coded.mean, told), labelled=True)
        return loss

    def discriminator_loss(self, sides: Sequence[tuple[Side, Tensor]]) -> Tensor:
        """Eq. 3: the first side told from the second; no gradient reaches the auto-encoder."""
        with torch.no_grad():
            means = [self.autoencoder.encode(side.inputs)[0] for side, _ in sides]
        odds = [self.log_odds(mean, told) for mean, (_, told) in zip(means, sides, strict=True)]
        return taken_for(odds[0], labelled=True) + taken_for(odds[1], labelled=False)

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        self.zero_grad()  # the auto-encoder's loss leaves gradients in the discriminator, too
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        self.zero_grad()

    @torch.inference_mode()
    def of_batch(self, inputs: Tensor, features: Sequence[Tensor], said: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The log-odds that an image is taken for a labelled one: (B,), any number, low where it is unlike them."""
        mean, _ = self.autoencoder.encode(inputs)
        return {self.says: self.log_odds(mean, self.told(Side(inputs, said)))}


class TaVaal(Vaal):
    """TA-VAAL: decoder and discriminator are told the predicted rank of an image's loss."""

    says = "task_labelled_score"
    reads = (Ranker.says,)
    beside = 1

    def told(self, images: Side) -> Tensor:
        """The rank from 0 to 1, (B, 1)."""
        return images.said[Ranker.says].sigmoid().unsqueeze(1)
