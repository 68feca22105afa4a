"""PyTorch: the traced program that ``torch.export.load`` opens, without any code of the studio."""

from __future__ import annotations

from pathlib import Path

from tidal_core.export.model.base import ModelFormat, predict_script


class Torch(ModelFormat):
    """A ``.pt2`` file."""

    name = "torch"
    title = "PyTorch"
    file = "model.pt2"
    library = "pytorch"
    runs_with = "torch, numpy and pillow"
    traces = True
    predict = predict_script(
        runs_with,
        "import torch\n\ntorch.set_grad_enabled(False)",
        'torch.export.load(HERE / "model.pt2").module()',
        "model(torch.from_numpy(pixels)).numpy()",
    )
    batch = "model(torch.from_numpy(pixels))"

    def write(self, weights: Path, size: int, folder: Path) -> None:
        """Trace and save."""
        import torch

        from tidal_core.export.model.deployed import program

        torch.export.save(program(weights, size), folder / self.file)
