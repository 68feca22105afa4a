"""docs/extending.md as it stands: its package is laid out as pip lays it out, and does what the page says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.frozen import compute_all, frozen_project, run_round
from tests.helpers.tiny import label_next
from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.config import ProjectSettings, Seeds
from tidal_core.engine.backbones import problems, registered
from tidal_core.engine.model import Model, build_model
from tidal_core.errors import TooFewClasses
from tidal_core.records import RoundState
from tidal_core.rounds.due import check_training
from tidal_core.rounds.queue_plan import fill_queue

PAGE = Path(__file__).parents[1] / "docs/extending.md"

pytestmark = pytest.mark.usefixtures("installed", "short_rounds")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    text = PAGE.read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    project = tomllib.loads(toml)["project"]
    (tmp_path / "my_package.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (metadata / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    strategies.reload()
    registered.reload()
    yield
    monkeypatch.undo()
    strategies.reload()
    registered.reload()


def test_the_strategy_chooses_level_images_and_is_not_called_with_one_class() -> None:
    pool = make_pool()
    level = strategies.get("level")

    rows = level.select(pool, 5, np.random.default_rng(0))

    p = np.sort(np.exp(pool.log_p), axis=1)
    gaps = p[:, -1] - p[:, -2]
    np.testing.assert_allclose(gaps[rows], np.sort(gaps)[:5])
    assert level.reason == "Chosen by Level: its two likeliest classes are level."
    assert strategies.problems() == ()
    with pytest.raises(TooFewClasses, match="level needs 2 classes and the round has 1"):
        level.select(make_pool(classes=1), 5, np.random.default_rng(0))


def test_the_network_serves_all_trainings_and_keeps_its_weights() -> None:
    assert problems() == ()
    for preset in ("frozen", "fine-tune", "quick"):
        check_training(ProjectSettings(preset=preset, backbone="my-net", quick_network="my-net"))
    settings = ProjectSettings(preset="fine-tune", backbone="my-net")

    tuned = build_model(settings.train_config(), 3, Seeds())
    fresh = Model.build("my-net", (), 3, Seeds())

    assert torch.allclose(tuned.backbone.get_parameter("layer.weight"), torch.tensor(0.1))
    assert fresh.backbone.get_parameter("layer.weight").std() > 0.01


def test_a_project_learns_with_both() -> None:
    project = frozen_project(24, test=0, backbone="my-net", strategy="level")
    fill_queue(project)
    compute_all(project)
    label_next(project, 9)

    record = run_round(project)

    assert (record.state, record.strategy) == (RoundState.DONE, "level")
    assert project.store.scores.pool_size(record.id) == 15
    project.close()
