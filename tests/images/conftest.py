"""An empty project per test, and a folder of small photos in two label folders."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.projects import Project, create_project


@pytest.fixture
def project() -> Iterator[Project]:
    made = create_project("flowers", ProjectSettings(title="Flowers", training_size=16))
    yield made
    made.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for seed, name in enumerate(["daisy/1.jpg", "daisy/2.jpg", "daisy/10.jpg", "rose/1.jpg", "rose/2.jpg"]):
        save(folder / name, seed=seed)
    return folder
