"""A race: two arms with the same first labels, one asks by a strategy and the other at random, in turn.

A race is an experiment of one run and two configurations in a folder as any other (``files``), played by the same
process (``owner``), so it goes on where it was, and is on the page Experiments, too. ``start`` notes that it is wanted;
``keep_going`` starts it again where its process has ended before it was done, for whoever looks next. No torch here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidal_core.errors import InputError
from tidal_core.experiments import owner
from tidal_core.experiments.datasets import PROJECT, Dataset, is_prepared, keep_project, prepare
from tidal_core.experiments.files import Experiment, Spec, begin, experiments, rounds_done, unpack_right
from tidal_core.experiments.lead import Lead, leads
from tidal_core.experiments.protocol import PRESETS, Configuration, Protocol, asker
from tidal_core.experiments.results import read_results
from tidal_core.projects import Project, slugify
from tidal_core.records import Float64, Int64

RANDOM = "random"
USUAL = "tidal-margin"
"""The strategy that races where the project itself asks at random."""

ROUNDS = 12
LEAST_TESTED = 30  # images: with fewer no difference of two arms could be more than chance
_NAME = "race"  # what the names of its folders begin with
_WANTED = "wanted"  # the file that says that a person wants it to go on
_PLAYS = {True: "frozen", False: "human"}  # the preset, by whether only a head trains

_started_again: set[Path] = set()  # by this process: one that cannot be played is not started for ever


@dataclass(frozen=True)
class AfterFirstRound:
    """A race that starts once a project's first round is done: until then it would take the round's time.

    Whoever starts a studio leaves it as JSON in the variable ``projects.FIRST_RACE`` of its environment.
    """

    slug: str  # of the project
    race: str  # the experiment's name


@dataclass(frozen=True)
class Arm:
    """One arm as far as it has come."""

    configuration: str
    title: str
    labels: Int64  # (P,) of each finished round
    right: NDArray[np.bool_]  # (P, T) which test images it gets right
    asked: tuple[int, ...]  # rows of the pixel file of the images that it asked last
    asked_after: int  # the round that asked them; 0 before the first

    @property
    def accuracy(self) -> Float64:
        """(P,) share of the test images."""
        return np.asarray(self.right.mean(axis=1), np.float64)


@dataclass(frozen=True)
class Race:
    """A race as far as it has come."""

    experiment: Experiment
    arms: tuple[Arm, Arm]  # the strategy, random
    rounds: int  # planned
    tested: int  # images
    leads: tuple[Lead, ...]  # what can be said by now, see ``lead``

    @property
    def labels(self) -> Int64:
        """(P,) of the rounds that the arm which has come further has finished."""
        return max((arm.labels for arm in self.arms), key=len)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What can be said by now, for an audience."""
        titles = [arm.title for arm in self.arms]
        return tuple(lead.sentence(*(titles if lead.is_first else titles[::-1])) for lead in self.leads)


def cache(home: Path) -> Path:
    """Where data sets are prepared."""
    return home / "experiments" / "data"


def data_of(project: Project, home: Path) -> Dataset:
    """An open project's images with their known classes, or else its labels, as they are kept for comparisons.

    Raises InputError where they are too few.
    """
    name = f"{PROJECT}{project.slug}"
    if not is_prepared(name, cache(home)):
        keep_project(project, cache(home))
    return prepare(name, cache(home))


def protocol_of(dataset: Dataset, *, frozen: bool, seed: int = 0) -> Protocol:
    """How a race on a data set goes: cold rounds at a person's budgets. Raises InputError where it is too small."""
    protocol = dataclasses.replace(PRESETS[_PLAYS[frozen]], rounds=ROUNDS, validation=0, first_seed=seed)
    protocol = protocol.fitted(len(dataset.pool_rows))
    if protocol.rounds < 2 or len(dataset.test_rows) < LEAST_TESTED:
        raise InputError(
            f"{dataset.name} has {len(dataset.pool_rows)} images to ask and {len(dataset.test_rows)} to test on; a "
            f"race needs {protocol.first + protocol.per_round} and {LEAST_TESTED}. Import more images whose class is "
            "known."
        )
    return protocol


def begin_race(project: Project, home: Path, strategy: str, *, seed: int = 0) -> Experiment:
    """The race of a strategy against random on an open project's images; one that was begun before is the same.

    Raises InputError where it cannot be run.
    """
    if strategy == RANDOM:
        raise InputError("Random asking cannot race against itself; choose another strategy.")
    dataset = data_of(project, home)
    protocol = protocol_of(dataset, frozen=project.settings.train_config().body == "frozen", seed=seed)
    title = f"Race on {project.title}: {asker(strategy).title}, seed {seed}"
    name = slugify(f"{_NAME} {project.slug} {strategy} {seed}")
    return begin(home, name, Spec(dataset.name, protocol, (strategy, RANDOM), (1.0,), 1, title), dataset)


def races(home: Path, project: Project) -> list[Experiment]:
    """All races on a project's images, the one that was begun last first."""
    own = [
        each
        for each in experiments(home)
        if each.name.startswith(f"{_NAME}-") and _dataset(each) == f"{PROJECT}{project.slug}"
    ]
    return sorted(own, key=lambda each: (each.folder / "spec.json").stat().st_mtime, reverse=True)


def _dataset(experiment: Experiment) -> str:
    try:
        return experiment.spec.dataset
    except InputError:
        return ""


def start(experiment: Experiment) -> None:
    """Go on, in a process of its own, until it is done or ``stop``. Raises InputError."""
    (experiment.folder / _WANTED).touch()
    owner.resume(experiment.folder)


def stop(experiment: Experiment) -> None:
    """End its process; finished rounds are kept, and ``start`` goes on."""
    (experiment.folder / _WANTED).unlink(missing_ok=True)
    owner.stop(experiment.folder)


def keep_going(experiment: Experiment) -> bool:
    """Start a race again that ended before it was done and that nobody stopped; whether that was so.

    Once in the life of this process: what could not be played is left to a person, with its last words.
    """
    if not is_wanted(experiment) or experiment.owner is not None or experiment.folder in _started_again:
        return False
    _started_again.add(experiment.folder)
    start(experiment)
    return True


def is_wanted(experiment: Experiment) -> bool:
    """Whether a person wants it to go on, and there is something left to do."""
    done, total = rounds_done(experiment)
    return done < total and (experiment.folder / _WANTED).exists()


def read_race(experiment: Experiment) -> Race:
    """A race as far as it has come; a look costs a query, and merges what is new. Raises InputError."""
    spec, results = experiment.spec, read_results(experiment)
    arms = []
    for configuration in spec.configurations[:2]:
        runs = results.rounds.get((configuration, 1.0), ())
        lines = runs[0] if runs else ()
        tested = int(lines[0]["tested"]) if lines else 0
        asked = next((line for line in reversed(lines) if line["asked"]), None)
        arms.append(
            Arm(
                configuration,
                Configuration.parse(configuration).title,
                np.array([line["labels"] for line in lines], np.int64),
                np.array([unpack_right(line["right"], tested) for line in lines], bool).reshape(len(lines), tested),
                tuple(asked["asked"]) if asked else (),
                int(asked["round"]) if asked else 0,
            )
        )
    one, two = arms
    found = (
        leads(results.labels, one.right, two.right, spec.protocol.rounds) if len(one.right) and len(two.right) else ()
    )
    return Race(experiment, (one, two), spec.protocol.rounds, one.right.shape[1], tuple(found))
