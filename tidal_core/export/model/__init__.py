"""The model goes out: a folder that classifies images on a machine without the studio.

    model.onnx, model.pt2 or model.safetensors (with model.py, the network's code)
    classes.json         id, name and position of each class in the model's output
    preprocessing.json   size and fit of the squares that the model sees; preprocessing.py makes them
    predict.py           python predict.py IMAGE...
    README.md            the model card

The model takes raw pixels: normalisation, softmax, and a frozen body with the resizing that its weights want, are
inside. What must be traced is traced in a process of its own (``__main__.py`` says why).

Add here: a format as a file of its own, and a line in ``FORMATS``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tidal_core.errors import DISK_FULL, InputError
from tidal_core.export.model.base import ModelFormat
from tidal_core.export.model.card import model_card
from tidal_core.export.model.facts import ModelFacts, model_facts
from tidal_core.export.model.onnx import Onnx
from tidal_core.export.model.safetensors import Safetensors
from tidal_core.export.model.sources import preprocessing_source
from tidal_core.export.model.torch import Torch
from tidal_core.files import disk_full, replaced, scratch
from tidal_core.projects import Project

FORMATS: tuple[ModelFormat, ...] = (Onnx(), Torch(), Safetensors())


_FILE_ENDINGS = {".zip", *(Path(model_format.file).suffix for model_format in FORMATS)}


def find_format(name: str) -> ModelFormat:
    """The format of this name. Raises InputError with those that there are."""
    for model_format in FORMATS:
        if model_format.name == name:
            return model_format
    names = ", ".join(model_format.name for model_format in FORMATS)
    raise InputError(f"there is no model format {name!r}; choose one of: {names}.")


def export_model(
    project: Project, target: Path | None = None, name: str = "onnx", round_id: int | None = None
) -> tuple[Path, ModelFacts]:
    """Write a round's model (default: the newest whose weights are kept) to the folder ``target``, new or empty.

    Returns the folder (default: one in the project's ``exports``) and what was exported. Raises InputError for a round
    without weights, a format that is unknown or lacks its packages, and a folder that has files already.
    """
    model_format = find_format(name)
    model_format.check()
    facts = model_facts(project, round_id)
    target = target or project.exports / f"model-round-{facts.round_id:04d}-{model_format.name}"
    target = Path(target).expanduser().absolute()
    if target.suffix.lower() in _FILE_ENDINGS:
        raise InputError(
            f"{target.name!r} ends like a file, and a model is exported as a folder; choose a name without this ending."
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} already exists; choose another folder (--to), or delete it.")
    with replaced(target) as beside:
        beside.mkdir()
        if model_format.traces:
            _write_apart(model_format, facts, beside)
        else:
            model_format.write(facts.weights, facts.pixels.size, beside)
        files = {
            "classes.json": _json([{"id": c.id, "name": c.name, "position": c.position} for c in facts.classes]),
            "preprocessing.json": _json(facts.preprocessing()),
            "preprocessing.py": preprocessing_source(),
            "predict.py": model_format.predict,
            "README.md": model_card(facts, model_format, (beside / model_format.file).stat().st_size),
        }
        for file, text in files.items():
            (beside / file).write_text(text, encoding="utf-8")
    return target, facts


def zipped_model(project: Project, name: str, round_id: int | None = None) -> bytes:
    """The same folder as the bytes of a zip file, with the folder inside."""
    with scratch("model") as around:
        folder, _ = export_model(project, around / f"{project.slug}-{name}", name, round_id)
        packed = around / "model.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{folder.name}/{file.name}")
        return packed.read_bytes()


def _write_apart(model_format: ModelFormat, facts: ModelFacts, folder: Path) -> None:
    """Write the weights in another process. Raises InputError with what it said when it fails."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tidal_core.export.model",
            model_format.name,
            facts.weights,
            str(facts.pixels.size),
            folder,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=Path(__file__).parents[3],
    )
    if ended.returncode:
        # torch says of a full disk only that the length of its file is not what it should be.
        needed, free = 2 * facts.weights.stat().st_size, shutil.disk_usage(folder).free
        if free < needed or any(os.strerror(number) in ended.stderr for number in DISK_FULL):
            raise disk_full(folder.parent.parent / folder.name)
        lines = ended.stderr.strip().splitlines() or [f"it ended with {ended.returncode}"]
        raise InputError(f"round {facts.round_id} could not be written as {model_format.name}: {lines[-1]}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
