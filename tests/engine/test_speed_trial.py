"""The trial that proposes precision and layout."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.gates import held_at_start
from tests.helpers.serving import ROOT
from tests.helpers.training import brief
from tidal_core.config import FROZEN, ProjectSettings
from tidal_core.engine import devices, speed_trial
from tidal_core.engine.speed_trial import QUICK_TURNS, Speeds, Step, Trial, Way, measure_speeds, quick_speeds, race
from tidal_core.errors import InputError, Stopped, TidalError

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


class Track:
    """A clock that only the steps of made-up ways move on: the first of each ``slow_start`` times as far."""

    def __init__(self, seconds: dict[Way, float], slow_start: float = 1.0) -> None:
        self.seconds, self.slow_start, self.now = seconds, slow_start, 0.0
        self.steps: list[Way] = []

    def clock(self) -> float:
        return self.now

    def starts(self) -> dict[Way, Callable[[], Step]]:
        return {way: functools.partial(self._start, way) for way in self.seconds}

    def _start(self, way: Way) -> Step:
        def step() -> None:
            self.now += self.seconds[way] * (self.slow_start if way not in self.steps else 1)
            self.steps.append(way)

        return step


FAST, SLOW, PLAIN = ("bfloat16", True), ("bfloat16", False), ("float32", True)


def test_a_race_takes_turns_and_does_not_count_the_first_steps() -> None:
    track = Track({PLAIN: 0.2, FAST: 0.1}, slow_start=2)

    assert race(track.starts(), track.clock, 100.0) == pytest.approx({PLAIN: 0.2, FAST: 0.1})
    assert track.steps == [PLAIN, FAST] * (QUICK_TURNS + 1)


def test_a_race_ends_in_time_whatever_the_network() -> None:
    track = Track({PLAIN: 0.5, FAST: 0.2, SLOW: 0.5})

    assert race(track.starts(), track.clock, 2.5) == pytest.approx({PLAIN: 0.5, FAST: 0.2})
    assert track.now <= 2.5


def test_a_network_that_is_too_slow_to_compare_stays_as_it_is() -> None:
    track = Track({PLAIN: 2.0, FAST: 1.0})

    assert race(track.starts(), track.clock, 2.5) == {}
    assert track.steps == [PLAIN]
    assert Speeds("cpu", {}).worth_changing_to("float32") is None


def test_a_race_stops_before_the_next_step_when_asked() -> None:
    track = Track({PLAIN: 0.2, FAST: 0.1})
    with pytest.raises(Stopped):
        race(track.starts(), track.clock, 100.0, lambda: len(track.steps) == 3)

    assert len(track.steps) == 3


@pytest.mark.parametrize(("able", "expected"), [(True, WAYS), (False, {"float32", "float32, channels last"})])
def test_a_short_trial_trains_only_ways_that_the_device_has_instructions_for(
    monkeypatch: pytest.MonkeyPatch, able: bool, expected: set[str]
) -> None:
    monkeypatch.setattr(devices, "computes_bfloat16", lambda _: able)
    monkeypatch.setattr(speed_trial, "QUICK_SECONDS", 1e9)

    assert set(quick_speeds(brief(), 8, 3).images_per_second) == expected


def test_a_short_trial_of_a_frozen_body_computes_its_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_trial, "QUICK_SECONDS", 1e9)
    monkeypatch.setattr(devices, "computes_bfloat16", lambda _: True)
    able = quick_speeds(FROZEN, 8, 3)
    monkeypatch.setattr(devices, "computes_bfloat16", lambda _: False)

    assert set(able.images_per_second) == {"float32, channels last", "bfloat16, channels last"}
    assert quick_speeds(FROZEN, 8, 3).images_per_second == {}


def test_a_trial_in_a_process_of_its_own_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_at_start(tmp_path / "gate", monkeypatch):
        trial = Trial(brief(), 8, 3)
        assert trial.running

    speeds = trial.result()

    assert set(speeds.images_per_second) == WAYS
    assert not trial.running
    assert trial.result() is speeds


def test_a_process_that_timed_a_round_ends_well() -> None:
    code = (
        "from tidal_core.config import FROZEN\n"
        "from tidal_core.engine.speed_trial import first_round_seconds\n"
        "print(first_round_seconds(FROZEN, 32, 3, 6) > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


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
