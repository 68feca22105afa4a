"""The trial that proposes precision and layout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.gates import held_at_start
from tests.helpers.training import brief
from tidal_core.config import ProjectSettings
from tidal_core.engine.speed_trial import Speeds, Trial, measure_speeds
from tidal_core.errors import InputError, TidalError

WAYS = {"float32", "float32, channels last", "bfloat16", "bfloat16, channels last"}


def test_a_trial_measures_every_way() -> None:
    speeds = measure_speeds(brief(), 8, 3, rounds=1)

    assert set(speeds.images_per_second) == WAYS
    assert all(speed > 0 for speed in speeds.images_per_second.values())


def test_only_what_is_much_faster_is_worth_a_change() -> None:
    speeds = Speeds("cuda", {"float32": 100.0, "float32, channels last": 109.0, "bfloat16": 105.0})

    assert speeds.worth_changing_to("float32") is None
    assert speeds.worth_changing_to("float32, channels last") is None
    faster = Speeds("cuda", {**speeds.images_per_second, "bfloat16": 220.0})
    assert faster.worth_changing_to("float32") == "bfloat16"
    assert faster.times("bfloat16", "float32") == 2.2
    assert faster.worth_changing_to("bfloat16") is None, "in use already"


def test_a_trial_in_a_process_of_its_own_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_at_start(tmp_path / "gate", monkeypatch):
        trial = Trial(brief(), 8, 3)
        assert trial.running

    speeds = trial.result()

    assert set(speeds.images_per_second) == WAYS
    assert not trial.running
    assert trial.result() is speeds


def test_a_trial_that_breaks_off_says_why() -> None:
    with pytest.raises(TidalError, match=r"The speed trial stopped early: .*no backbone"):
        Trial(brief(backbone="nothing"), 8, 3).result()


def test_a_trial_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_at_start(tmp_path / "gate", monkeypatch):
        trial = Trial(brief(), 8, 3)
        assert trial.running

        trial.stop()

        assert not trial.running


def test_looking_at_a_trial_needs_no_torch() -> None:
    code = "import sys, tidal_core.engine.speed_trial; print('torch' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_what_was_found_comes_back_from_json_as_it_went() -> None:
    speeds = Speeds("cpu", {"float32": 1.5})

    assert Speeds.from_dict(json.loads(speeds.to_json())) == speeds


def test_a_project_trains_as_its_settings_say() -> None:
    for preset in ("quick", "paper"):
        config = ProjectSettings(preset=preset, precision="bfloat16", channels_last=False).train_config()
        assert (config.precision, config.channels_last) == ("bfloat16", False)
    with pytest.raises(InputError, match="no precision 'float8'"):
        ProjectSettings(precision="float8")  # type: ignore[arg-type]
