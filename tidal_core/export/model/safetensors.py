"""safetensors: the weights as they were trained, and the network's code beside them, for training on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tidal_core.errors import InputError
from tidal_core.export.model.base import ModelFormat, predict_script

if TYPE_CHECKING:
    from torch import Tensor

_MOMENTS = ("mean", "std")  # of pixels, or of the features of a frozen body


class Safetensors(ModelFormat):
    """The classifier's part of the round's own file, which the studio can read too, and ``model.py``.

    If the body is frozen its weights lie beside the head.
    """

    name = "safetensors"
    title = "safetensors"
    file = "model.safetensors"
    library = "pytorch"
    runs_with = "torch, safetensors, numpy and pillow"
    predict = predict_script(
        runs_with,
        "import torch\nfrom model import load\n\ntorch.set_grad_enabled(False)",
        'load(HERE / "model.safetensors")',
        "model(torch.from_numpy(pixels)).numpy()",
    )
    batch = "model(torch.from_numpy(pixels))"

    def write(self, weights: Path, size: int, folder: Path) -> None:
        """Leave out what only serves to choose images (TD module, heads of all epochs); write the network's code."""
        from tidal_core.engine.model import read_tensors, write_tensors
        from tidal_core.export.model.sources import NETWORKS, model_source

        tensors, metadata = read_tensors(weights)
        network, frozen = metadata.get("backbone", ""), metadata.get("body") == "frozen"
        if network not in NETWORKS:
            raise InputError(
                f"safetensors needs the code of the network, which there is for {', '.join(NETWORKS)} and not for "
                f"{network!r}; choose the format onnx or torch."
            )
        kept = {name: value for name, value in tensors.items() if name.startswith("backbone.") or name in _MOMENTS}
        if frozen:
            kept |= _frozen_body(network)
        write_tensors(folder / self.file, kept, {**metadata, "companions": "[]", "format": "pt"})
        (folder / "model.py").write_text(model_source(network, frozen=frozen), encoding="utf-8")


def _frozen_body(network: str) -> dict[str, Tensor]:
    """The published weights without the classes that they were trained for, and how pixels are prepared for them."""
    import torch

    from tidal_core.engine.pretrained import build_pretrained, preprocessing_of

    body, preprocessing = build_pretrained(network), preprocessing_of(network)
    own = {f"body.{name}": value for name, value in body.state_dict().items() if name not in body.class_rows}
    return {**own, "pixel_mean": torch.tensor(preprocessing.mean), "pixel_std": torch.tensor(preprocessing.std)}
