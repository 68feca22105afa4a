"""Two arms side by side: played in turn, compared image by image, and said only when it is more than chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.made import TINY, make_dataset
from tests.helpers.gates import wait_for
from tests.helpers.tiny import tiny_project
from tidal_core.config import QUICK
from tidal_core.errors import InputError
from tidal_core.experiments import protocol, race
from tidal_core.experiments.files import Spec, begin, pack_right, rounds_done, unpack_right
from tidal_core.experiments.lead import Lead, leads, level_of, mcnemar
from tidal_core.experiments.running import execute_all
from tidal_core.projects import home

LABELS = np.arange(20, 220, 20)


def rights(accuracies: list[float], images: int = 500, seed: int = 0) -> np.ndarray:
    """(P, T) which of the images are right: an image that is hard for one round is hard for all."""
    hardness = np.random.default_rng(seed).random(images)
    return np.array([hardness < accuracy for accuracy in accuracies])


def test_labels_are_saved_once_the_other_arm_is_still_below_with_more() -> None:
    fast = rights([0.6, 0.8, 0.9, 0.92])
    slow = rights([0.6, 0.7, 0.75, 0.8, 0.915])

    assert leads(LABELS, fast[:1], slow[:1], 10) == [], "after the first round they are the same"
    (ahead,) = leads(LABELS, fast[:2], slow[:2], 10)
    assert (ahead.saved, ahead.labels, ahead.is_first) == (0, 40, True)
    (ahead,) = leads(LABELS, fast[:3], slow[:3], 10)
    assert (ahead.labels, ahead.other_labels, ahead.saved) == (40, 60, 20)
    (ahead,) = leads(LABELS, fast, slow[:4], 10)
    assert (ahead.labels, ahead.other_labels, ahead.saved) == (60, 80, 20)
    (ahead,) = leads(LABELS, fast, slow, 10)
    assert (ahead.labels, ahead.other_labels) == (60, 80), "0.92 against 0.915 is not more than chance"
    assert ahead.sentence("Margin", "Random").startswith(
        f"Same accuracy with 20 fewer labels: Margin reached {fast[2].mean():.1%} with 60 labels; Random is still below"
    )
    (turned,) = leads(LABELS, slow, fast, 10)
    assert turned == ahead._replace(is_first=False), "and the same is said when random is the one ahead"


def test_an_arm_that_the_other_has_once_reached_saves_nothing() -> None:
    fast = rights([0.6, 0.8, 0.8])
    slow = rights([0.81, 0.5, 0.5])

    assert leads(LABELS, fast, slow, 3) == [], "the dip of the other arm is no gain"


def test_equal_arms_are_called_different_in_at_most_one_race_of_twenty() -> None:
    draws = np.random.default_rng(1)
    races, rounds = 400, 8
    accuracy = np.linspace(0.5, 0.9, rounds)[:, None]
    called = sum(
        bool(leads(LABELS, *(draws.random((2, rounds, 200)) < accuracy), rounds))  # type: ignore[arg-type]
        for _ in range(races)
    )

    assert called / races <= 0.05


def test_the_test_is_mcnemars() -> None:
    one, two = np.array([True] * 10 + [False] * 5), np.array([False] * 10 + [True] * 2 + [False] * 3)

    assert mcnemar(one, two) == pytest.approx(0.03857421875)  # 2 of 12 fair coins or fewer, twice
    assert mcnemar(one, one) == 1
    assert level_of(11) == pytest.approx(0.005)


def test_which_images_are_right_is_kept_whole() -> None:
    right = np.random.default_rng(0).random(501) < 0.5

    assert (unpack_right(pack_right(right), 501) == right).all()
    with pytest.raises(InputError, match="does not say which of 501"):
        unpack_right("zz", 501)


def test_arms_are_played_in_turn_and_one_that_was_stopped_catches_up(tmp_path: Path) -> None:
    experiment = begin(tmp_path, "race", Spec("made", TINY, ("margin", "random"), (1.0,), 1))
    dataset, said = make_dataset(tmp_path), list[str]()

    def stop_after_three(words: str) -> None:
        said.append(words.split(":")[0])
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute_all(experiment, dataset, say=stop_after_three)
    execute_all(experiment, dataset, say=lambda words: said.append(words.split(":")[0]))

    assert said == [f"{arm}, run 1, round {k} of 3" for k in (1, 2, 3) for arm in ("margin", "random")]
    found = race.read_race(experiment)
    assert [len(arm.right) for arm in found.arms] == [3, 3]
    assert (found.arms[0].right[0] == found.arms[1].right[0]).shape == (12,)
    assert found.arms[0].asked_after == 2, "the last round asks nothing any more"
    assert len(found.arms[0].asked) == 4


def test_a_project_races_in_a_process_of_its_own_and_goes_on_after_it_was_killed(
    tidal_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(protocol.PRESETS["human"], train=replace(QUICK, epochs=1, min_steps=0, warm_start=False))
    monkeypatch.setitem(protocol.PRESETS, "human", short.changed(first=6, per_round=4, subset=20))
    project = tiny_project(test=40)
    experiment = race.begin_race(project, home(), "margin", seed=3)
    spec = experiment.spec
    assert spec.configurations == ("margin", "random")
    assert (spec.protocol.first_seed, spec.protocol.rounds, spec.runs) == (3, 12, 1)
    assert race.begin_race(project, home(), "margin", seed=3) == experiment
    assert [each.name for each in race.races(home(), project)] == ["race-tiny-margin-3"]
    assert not race.keep_going(experiment), "nobody wanted it yet"

    race.start(experiment)
    wait_for(lambda: rounds_done(experiment)[0] >= 1, "its first round")
    race.owner.stop(experiment.folder)
    wait_for(lambda: experiment.owner is None, "its end")
    assert race.is_wanted(experiment)
    assert race.keep_going(experiment)
    wait_for(lambda: rounds_done(experiment)[0] == 24, "the end of the race")

    found = race.read_race(experiment)
    assert [arm.labels.tolist() for arm in found.arms] == [list(range(6, 54, 4))] * 2
    rows = {image.pixel_row for image in project.store.images.all()}
    assert all(set(arm.asked) <= rows for arm in found.arms)
    assert not race.is_wanted(experiment)
    project.close()


def test_a_race_that_cannot_be_run_is_refused_with_the_reason(tidal_home: Path) -> None:
    project = tiny_project(test=5)
    with pytest.raises(InputError, match="cannot race against itself"):
        race.begin_race(project, home(), "random")
    with pytest.raises(InputError, match="5 to test on; a race needs 40 and 30"):
        race.begin_race(project, home(), "margin")
    project.close()


def test_what_is_said_has_numbers_and_a_p() -> None:
    lead = Lead(True, 60, 60, 0.9, 0.8, 0.0004)
    assert lead.sentence("Margin", "Random") == (
        "Margin is ahead: 90.0% with 60 labels, where Random has 80.0% (p below 0.001). How many labels that saves, "
        "the next rounds show."
    )
