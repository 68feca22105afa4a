"""The trial that proposes precision and layout."""

import pytest

from tests.engine import brief
from tidal_core import trials
from tidal_core.trials import propose_speed


def test_a_trial_measures_every_way_and_keeps_everything_else() -> None:
    proposed, speed = propose_speed(brief(), 8, 3, rounds=1)

    assert set(speed) == {"float32", "float32, channels last", "bfloat16", "bfloat16, channels last"}
    assert all(images_per_second > 0 for images_per_second in speed.values())
    assert brief(precision=proposed.precision, channels_last=proposed.channels_last) == proposed


def test_the_configuration_stays_where_nothing_is_much_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "WORTH", 1e9)

    assert propose_speed(brief(), 8, 3, rounds=1)[0] == brief()
