"""The trial that proposes precision and layout."""

import json
import subprocess
import sys
import time

import pytest

from tests.engine import brief
from tidal_core import trials
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, TidalError
from tidal_core.trials import Proposal, Trial, propose_speed

WAYS = {"float32", "float32, channels last", "bfloat16", "bfloat16, channels last"}


def test_a_trial_measures_every_way() -> None:
    found = propose_speed(brief(), 8, 3, rounds=1)

    assert set(found.speed) == WAYS
    assert all(images_per_second > 0 for images_per_second in found.speed.values())
    assert found.own == "float32, channels last"
    assert found.times >= 1


def test_the_configuration_stays_where_nothing_is_much_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "WORTH", 1e9)
    given = brief(precision="bfloat16", channels_last=False)

    found = propose_speed(given, 8, 3, rounds=1)

    assert (found.precision, found.channels_last) == (given.precision, given.channels_last)
    assert found.times == 1


def test_the_fastest_way_is_proposed_where_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "WORTH", 0)

    found = propose_speed(brief(), 8, 3, rounds=1)

    assert found.speed[found.name] == max(found.speed.values())


def test_a_trial_in_a_process_of_its_own_says_what_it_found() -> None:
    trial = Trial(brief(), 8, 3)

    assert trial.running
    found = trial.result()

    assert set(found.speed) == WAYS
    assert not trial.running
    assert trial.result() is found


def test_a_trial_that_breaks_off_says_why() -> None:
    with pytest.raises(TidalError, match=r"The trial broke off: .*no backbone"):
        Trial(brief(backbone="nothing"), 8, 3).result()


def test_a_trial_can_be_stopped() -> None:
    trial = Trial(brief(), 8, 3)
    began = time.monotonic()

    trial.stop()

    assert not trial.running
    assert time.monotonic() - began < 5


def test_looking_at_a_trial_needs_no_torch() -> None:
    code = "import sys, tidal_core.trials; print('torch' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_a_proposal_comes_back_from_json_as_it_went() -> None:
    found = Proposal("cpu", {"float32": 1.5}, "float32", "float32", False)

    assert Proposal.from_dict(json.loads(found.to_json())) == found


def test_a_project_trains_as_its_settings_say() -> None:
    for preset in ("quick", "paper"):
        config = ProjectSettings(preset=preset, precision="bfloat16", channels_last=False).train_config()
        assert (config.precision, config.channels_last) == ("bfloat16", False)
    with pytest.raises(InputError, match="no precision 'float8'"):
        ProjectSettings(precision="float8")  # type: ignore[arg-type]
