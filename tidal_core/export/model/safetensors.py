"""safetensors: the weights as they were trained, and the network's code beside them, for training on."""

from __future__ import annotations

from pathlib import Path

from tidal_core.errors import InputError
from tidal_core.export.model.base import ModelFormat, predict_script


class Safetensors(ModelFormat):
    """The classifier's part of the round's own file, which the studio can read too, and ``model.py``."""

    name = "safetensors"
    title = "safetensors"
    file = "model.safetensors"
    library = "pytorch"
    runs_with = "torch, safetensors, numpy and pillow"
    predict = predict_script(
        runs_with,
        "import torch\nfrom model import load\nfrom preprocessing import square",
        'load(here / "model.safetensors")',
        "model(torch.from_numpy(pixels))[0].detach()",
    )
    batch = "model(torch.from_numpy(pixels))"

    def write(self, weights: Path, size: int, folder: Path) -> None:
        """Leave out what only serves to choose images (the TD module), and write the network's code."""
        from tidal_core.engine.model import read_tensors, write_tensors
        from tidal_core.export.model.sources import NETWORKS, model_source

        tensors, metadata = read_tensors(weights)
        network = metadata.get("backbone", "")
        if network not in NETWORKS:
            raise InputError(
                f"safetensors needs the code of the network, which there is for {' and '.join(NETWORKS)} and not for "
                f"{network!r}; choose the format onnx or torch."
            )
        kept = {name: value for name, value in tensors.items() if not name.startswith("companions.")}
        write_tensors(folder / self.file, kept, {**metadata, "companions": "[]", "format": "pt"})
        (folder / "model.py").write_text(model_source(network), encoding="utf-8")
