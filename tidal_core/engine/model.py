"""A classifier with its companions as one thing: built from seeds, kept in a file, carried over between rounds.

A file is safetensors: every weight and running statistic under ``backbone.`` and ``companions.<name>.``, the mean and
deviation that images are normalised with, and what is needed to build the same modules again as metadata. It is
written beside its place and renamed, so that a file of this name is always whole.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from tidal_core.config import Body, Seeds, TrainConfig
from tidal_core.engine.backbones import Backbone, build_backbone, initialise, stage_channels
from tidal_core.engine.backbones.frozen import FrozenHead
from tidal_core.engine.companions import TrainsApart, build_companion
from tidal_core.engine.devices import pick_device
from tidal_core.engine.pretrained import load_body, preprocessing_of
from tidal_core.errors import InputError, reason_of
from tidal_core.files import atomic
from tidal_core.records import LinearHead, class_positions


class Model:
    """The classifier f, its companions by name, and the statistics of the images it was trained on."""

    def __init__(
        self, backbone_name: str, backbone: Backbone, companions: dict[str, nn.Module], n_classes: int
    ) -> None:
        self.backbone_name = backbone_name
        self.backbone = backbone
        self.companions = companions
        self.n_classes = n_classes
        self.channels_last = True  # how batches lie in memory; the round's configuration decides
        inputs = sum(backbone.stage_channels) if self.frozen else 3
        self.mean = torch.full((inputs,), 0.5)  # of pixels in 0..1, for each channel; of each feature if frozen
        self.std = torch.full((inputs,), 0.25)

    @property
    def frozen(self) -> bool:
        """Whether it takes features of a body that does not train instead of pixels."""
        return isinstance(self.backbone, FrozenHead)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.backbone.parameters()).device

    def modules(self) -> dict[str, nn.Module]:
        """The backbone and the companions by the name that their weights carry in a file."""
        return {"backbone": self.backbone, **{f"companions.{name}": m for name, m in self.companions.items()}}

    def parameters(self) -> list[nn.Parameter]:
        """Everything that the round's optimiser moves, always in the same order; what trains apart has its own."""
        joint = (module for module in self.modules().values() if not isinstance(module, TrainsApart))
        return list(chain.from_iterable(module.parameters() for module in joint))

    def apart(self) -> dict[str, TrainsApart]:
        """The companions that train on unlabelled images as well, with optimisers of their own, by name."""
        return {name: module for name, module in self.companions.items() if isinstance(module, TrainsApart)}

    def to(self, device: torch.device) -> Self:
        """Move everything to the device."""
        for module in self.modules().values():
            module.to(device)
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        return self

    def train(self, mode: bool = True) -> Self:
        """Switch to training (or evaluation) mode."""
        for module in self.modules().values():
            module.train(mode)
        return self

    def hold_body(self, still: bool) -> None:
        """Let head and companions train alone: the body stands still, its norms in evaluation mode; or all of it."""
        self.backbone.train(not still)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(not still or name in self.backbone.class_rows)

    def eval(self) -> Self:
        """Switch to evaluation mode."""
        return self.train(False)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C) of f and the features of its stages, the last (B, D).

        ``images``: uint8 pixels (B, H, W, 3), or where the body is frozen its features (B, D).
        """
        logits, features = self.backbone(self.normalise(images))
        return logits, features

    def head(self) -> tuple[Tensor, Tensor]:
        """Weight (C, D) and bias (C,) of the linear layer that classifies: of ``head_input`` where the body is frozen.

        There the rows are the directions of the classes at their scale, and the bias is 0.
        """
        if isinstance(self.backbone, FrozenHead):
            weight = self.backbone.weight()
            return weight, weight.new_zeros(len(weight))
        parameters = dict(self.backbone.named_parameters())
        weight, bias = (parameters[name] for name in self.backbone.class_rows)
        return weight, bias

    def linear_head(self) -> LinearHead | None:
        """``head`` as arrays, for the features that scoring gives; None where they are not what it reads."""
        weight, bias = (tensor.detach().float().cpu().numpy() for tensor in self.head())
        D = self.backbone.stage_channels[-1]
        if weight.shape[1:] != (D,):
            return None
        return LinearHead(weight, bias, unit_length=self.frozen)

    def head_input(self, features: Tensor) -> Tensor:
        """What a frozen model's linear layer reads (B, D) of the features (B, all stages) of images."""
        D = self.backbone.stage_channels[-1]
        standardised = (features[:, -D:].float() - self.mean[-D:]) / self.std[-D:]
        return cast(FrozenHead, self.backbone).read(standardised)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) as float32 (B, 3, H, W) with the training images' mean 0 and deviation 1.

        Channels last costs no copy here: it is how pixels lie in the file. Features (B, D) likewise, each by its own.
        """
        if self.frozen:
            return (images.float() - self.mean) / self.std
        x = images.permute(0, 3, 1, 2)  # (B, 3, H, W)
        if not self.channels_last:
            x = x.contiguous()
        scale = (1 / (255 * self.std)).view(1, 3, 1, 1)
        return torch.mul(x, scale).sub_((self.mean / self.std).view(1, 3, 1, 1))

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the model by its name in a file; the tensors are the model's own, not copies."""
        tensors = {
            f"{name}.{key}": value
            for name, module in self.modules().items()
            for key, value in module.state_dict().items()
        }
        return {**tensors, "mean": self.mean, "std": self.std}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take all tensors of ``state``; InputError where one is missing or of another shape."""
        own = self.state()
        misfits = sorted(name for name in own if name not in tensors or tensors[name].shape != own[name].shape)
        if misfits:
            raise InputError(
                f"the weights do not fit this model: {len(misfits)} tensors are missing or differ in shape, first "
                f"{misfits[0]}; build the model with the round's own configuration and classes."
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(tensors[name])

    def save(self, path: Path, beside: Mapping[str, Tensor] | None = None) -> None:
        """Write the weights to ``path``, and the tensors ``beside`` them."""
        write_tensors(path, {**self.state(), **(beside or {})}, self._metadata())

    def _metadata(self) -> dict[str, str]:
        return {
            "backbone": self.backbone_name,
            "body": "frozen" if self.frozen else "trained",
            "stage_channels": json.dumps(self.backbone.stage_channels),  # so that a head opens without its body
            "companions": json.dumps(list(self.companions)),
            "n_classes": str(self.n_classes),
            "channels_last": json.dumps(self.channels_last),
        }

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[dict[str, NDArray[Any]], dict[str, str]]]:
        """A copy in another process is built there, on that machine's fastest device, and takes these weights."""
        arrays = {name: value.detach().cpu().numpy() for name, value in self.state().items()}
        return _model_of_arrays, (arrays, self._metadata())

    @classmethod
    def load(cls, path: Path, device: torch.device | None = None) -> Self:
        """The model that ``save`` wrote, on ``device`` (default: the fastest); InputError for any other file."""
        tensors, metadata = read_tensors(path)
        if "backbone" not in metadata:
            raise InputError(f"{path} does not hold the weights of a model; choose a file that a round has saved.")
        return cls._of_tensors(tensors, metadata, device)

    @classmethod
    def _of_tensors(
        cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], device: torch.device | None = None
    ) -> Self:
        companions = tuple(json.loads(metadata["companions"]))
        body: Body = "frozen" if metadata.get("body") == "frozen" else "trained"
        # A file of an earlier version has no channels, and a body that states its own.
        channels = json.loads(metadata.get("stage_channels", "null"))
        model = cls.build(metadata["backbone"], companions, int(metadata["n_classes"]), Seeds(), body, channels)
        model.load_state(tensors)
        model.channels_last = json.loads(metadata["channels_last"])
        return model.to(device or pick_device())

    @classmethod
    def build(
        cls,
        backbone_name: str,
        companion_names: Sequence[str],
        n_classes: int,
        seeds: Seeds,
        body: Body = "trained",
        channels: Sequence[int] | None = None,
        *,
        pretrained: bool = False,
    ) -> Self:
        """A model on the CPU with fresh weights from ``seeds.weights``; companions do not change the backbone's.

        ``channels``: of the stages of a frozen body, default those that ``backbone_name`` has now. With ``pretrained``
        a body that trains has its published weights and normalises as they want; the rows of the classes are fresh.
        Raises InputError where there are none, or their file is missing or another.
        """
        generator = Generator().manual_seed(seeds.weights)
        if body == "frozen":
            backbone: Backbone = FrozenHead(channels or stage_channels(backbone_name), n_classes)
            initialise(backbone, generator)
        else:
            backbone = build_backbone(backbone_name, n_classes, generator)
        companions = {
            name: build_companion(
                name,
                backbone.stage_channels,
                n_classes,
                Generator().manual_seed(seeds.weights),
                frozen=body == "frozen",
            )
            for name in companion_names
        }
        model = cls(backbone_name, backbone, companions, n_classes)
        if pretrained and not model.frozen:
            load_body(backbone, backbone_name)
            preprocessing = preprocessing_of(backbone_name)
            model.mean, model.std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        return model


def _model_of_arrays(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> Model:
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    return Model._of_tensors(tensors, metadata)


def build_model(config: TrainConfig, n_classes: int, seeds: Seeds, device: torch.device | None = None) -> Model:
    """The model of a round as it starts, on ``device`` (default: the fastest): fresh or published weights.

    ``n_classes`` is the number of classes of the round, at least 1. The same seeds give the same weights on every
    device, and the same backbone with and without companions.
    """
    if n_classes < 1:
        raise InputError(f"a model needs at least one class and got {n_classes}; add a class on the Project page.")
    model = Model.build(config.backbone, config.companions, n_classes, seeds, config.body, pretrained=config.pretrained)
    model.channels_last = config.channels_last
    return model.to(device or pick_device())


def load_weights(
    model: Model, path: Path, old_class_ids: Sequence[int] | None = None, new_class_ids: Sequence[int] | None = None
) -> int:
    """Start ``model`` from an earlier round's file: take every tensor that fits; the number of tensors taken.

    The ids say which class each position of the two rounds means. Rows of classes that both rounds have move to their
    new position, new classes keep their fresh rows. Without ids the positions must mean the same in both. Companions
    that train apart stay fresh. Raises InputError for a file that is damaged; the model is as it was then.
    """
    tensors, _ = read_tensors(path)
    unusable = next((name for name, value in tensors.items() if not value.isfinite().all()), None)
    if unusable is not None:
        raise InputError(f"{path} holds values that are no numbers, in {unusable}; delete the file and train again.")
    rows = {f"{name}.{key}" for name, module in model.modules().items() for key in module.class_rows}  # type: ignore[union-attr]
    fresh = tuple(f"companions.{name}." for name in model.apart())
    taken = 0
    with torch.no_grad():
        for name, own in model.state().items():
            old = None if name.startswith(fresh) else tensors.get(name)
            if old is None or old.shape[1:] != own.shape[1:]:
                continue
            if name in rows and old_class_ids is not None and new_class_ids is not None:
                positions = class_positions(np.array(new_class_ids, dtype=np.int64), old_class_ids)
                new_at = torch.from_numpy(np.flatnonzero(positions >= 0))
                own[new_at.to(own.device)] = old[torch.from_numpy(positions[positions >= 0])].to(own.device)
            elif old.shape == own.shape:
                own.copy_(old)
            else:
                continue
            taken += 1
    return taken


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; ``path`` is never half a file, and on the disk when this returns. Raises OSError."""
    with atomic(path, durable=True) as beside:
        whole = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
        try:
            save_file(whole, beside, dict(metadata))
        except SafetensorError as error:
            # The library says in its message alone what the operating system refused.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and metadata of a safetensors file; InputError if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} cannot be read as weights ({reason_of(error)}); delete the file and train again."
        ) from error
