"""One project of real photos with a finished round, exported in every format once for all tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.export.model.photos import finish_real_round, photo_project, studio_says
from tidal_core.config import PRESETS, QUICK
from tidal_core.export.model import FORMATS, export_model


@dataclass(frozen=True)
class Exported:
    """What went out, and what the studio says of each image: its path to probabilities (C,)."""

    folders: dict[str, Path]
    expected: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(folder / "home"))
        patch.setitem(PRESETS, "quick", replace(QUICK, epochs=10, min_steps=40))
        project = photo_project(folder / "photos")
        round_id = finish_real_round(project)
        folders = {
            model_format.name: export_model(project, folder / model_format.name, model_format.name)[0]
            for model_format in FORMATS
        }
        expected = studio_says(project, round_id)
        project.close()
    return Exported(folders, expected)
