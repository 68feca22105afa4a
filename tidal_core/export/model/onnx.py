"""ONNX: runs with onnxruntime, without torch, also from C++, C#, Java and in browsers."""

from __future__ import annotations

from pathlib import Path

from tidal_core.export.model.base import ModelFormat, predict_script


class Onnx(ModelFormat):
    """One graph, input ``pixels`` and output ``probabilities``."""

    name = "onnx"
    title = "ONNX"
    file = "model.onnx"
    library = "onnx"
    runs_with = "onnxruntime and pillow"
    needs = ("onnx", "onnxscript")
    install = "python -m pip install onnx onnxscript"
    traces = True
    predict = predict_script(
        runs_with,
        "import onnxruntime",
        'onnxruntime.InferenceSession(HERE / "model.onnx")',
        'model.run(None, {"pixels": pixels})[0]',
    )
    batch = 'model.run(None, {"pixels": pixels})[0]'

    def write(self, weights: Path, size: int, folder: Path) -> None:
        """Trace with torch, write without the notes that name files of this machine."""
        import onnx
        import torch

        from tidal_core.export.model.deployed import program

        exported = torch.onnx.export(
            program(weights, size), (), input_names=["pixels"], output_names=["probabilities"], verbose=False
        )
        assert exported is not None  # torch gives None only to those who pass a file
        proto = exported.model_proto
        for element in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
            del element.metadata_props[:]
        onnx.save_model(proto, folder / self.file)
