"""Projects of real photos with a finished round, exported in every format once for all tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.export.model.photos import finish_real_round, photo_project, studio_says
from tidal_core.config import FINE_TUNE, PRESETS, QUICK
from tidal_core.export.model import FORMATS, export_model


@dataclass(frozen=True)
class Exported:
    """What went out, and what the studio says of each image: its path to probabilities (C,)."""

    folders: dict[str, Path]
    expected: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Of a small network that was trained from nothing."""
    return _exported(tmp_path_factory.mktemp("exported"), tuple(model_format.name for model_format in FORMATS))


@pytest.fixture(scope="session")
def exported_frozen(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Of a head on frozen features."""
    names = tuple(model_format.name for model_format in FORMATS)
    return _exported(tmp_path_factory.mktemp("frozen"), names, preset="frozen", training_size=32)


@pytest.fixture(scope="session")
def exported_fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Of a pretrained network that was trained whole. Its ONNX file takes half a minute and has no layer of its own."""
    names = ("torch", "safetensors")
    return _exported(tmp_path_factory.mktemp("fine-tuned"), names, preset="fine-tune", training_size=32)


def _exported(folder: Path, names: tuple[str, ...], **settings: object) -> Exported:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(folder / "home"))
        patch.setitem(PRESETS, "quick", replace(QUICK, epochs=10, min_steps=40))
        patch.setitem(PRESETS, "fine-tune", replace(FINE_TUNE, epochs=4, min_steps=0, head_epochs=2))
        project = photo_project(folder / "photos", **settings)
        round_id = finish_real_round(project)
        folders = {name: export_model(project, folder / name, name)[0] for name in names}
        expected = studio_says(project, round_id)
        project.close()
    return Exported(folders, expected)
