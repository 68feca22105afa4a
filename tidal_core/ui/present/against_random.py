"""The gain against random: a race of two arms on the project's own images; before it, the project's own accuracy."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from tidal_core import strategies
from tidal_core.errors import TidalError
from tidal_core.experiments import race as racing
from tidal_core.experiments.files import Experiment, last_words, rounds_done
from tidal_core.figures import progress as figures
from tidal_core.figures import race as race_figures
from tidal_core.figures.look import enlarged
from tidal_core.figures.words import present as words
from tidal_core.figures.words import progress as progress_words
from tidal_core.projects import Project, home
from tidal_core.text import literal
from tidal_core.ui import charts, looking
from tidal_core.ui import measured as measuring
from tidal_core.ui.present import live
from tidal_core.ui.present.page import Act, Page

TITLE = "Does it pay to ask well?"


def gain(project: Project, height: int) -> Page:
    """Two models with the same first labels: one asks by the project's strategy, the other at random."""
    experiment = _newest(project)
    if experiment is None:
        return _without_race(project, height)
    done, total = rounds_done(experiment)
    race = _read(experiment, experiment.name, done)
    running = experiment.owner is not None
    both = min(len(arm.labels) for arm in race.arms)
    if race.sentences:
        sentence = literal(race.sentences[0])
    elif both:
        one, two = race.arms
        titles = literal(one.title), literal(two.title)
        accuracies = float(one.accuracy[both - 1]), float(two.accuracy[both - 1])
        labels = int(one.labels[both - 1])
        sentence = words.race(titles, labels, accuracies, race.tested, is_over=done == total)
    else:
        sentence = "Both models begin with the same labels; each then asks in its own way, one of them at random."

    def exhibit() -> None:
        if both:
            info = race_figures.race_info(race)
            charts.draw_live(
                lambda: enlarged(race_figures.race_figure(info, charts.page_theme()), height=height),
                "Accuracy over labels",
                f"present-race-{project.slug}",
                (experiment.name, height, done),
            )
        elif running:
            st.progress(done / total, literal(last_words(experiment) or "Loading the images and the network."))

    return Page(TITLE, sentence, exhibit, _acts(experiment, done, total), note=_note(done, total, running))


def _note(done: int, total: int, running: bool) -> str:
    return f"{done:,} of {total:,} rounds" + ("" if running or done == total else ", paused")


def _newest(project: Project) -> Experiment | None:
    """The race that was begun last; one that ended before it was done goes on."""
    known = racing.races(home(), project)
    if not known:
        return None
    with suppress(TidalError):  # the screen has a key to try again, which says why not
        racing.keep_going(known[0])
    return known[0]


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(_experiment: Experiment, name: str, done: int) -> racing.Race:
    """Read once for each finished round: a look merges files."""
    return racing.read_race(_experiment)


def _acts(experiment: Experiment, done: int, total: int) -> tuple[Act, ...]:
    def pause() -> str:
        racing.stop(experiment)
        return ""

    if done == total:
        return ()
    if experiment.owner is not None:
        return (Act("Enter", "Pause the race", pause),)
    return (Act("Enter", "Go on with the race", lambda: _tried(experiment)),)


def _tried(experiment: Experiment) -> str:
    try:
        racing.start(experiment)
    except TidalError as error:
        return str(error)
    return ""


def _begin(project: Project) -> str:
    strategy = racing.USUAL if project.settings.strategy == racing.RANDOM else project.settings.strategy
    try:
        return _tried(racing.begin_race(project, home(), strategy, seed=project.settings.seed))
    except TidalError as error:
        return str(error)


def _without_race(project: Project, height: int) -> Page:
    """What this project's own labels have brought, and the key that begins a race."""
    strategy = racing.USUAL if project.settings.strategy == racing.RANDOM else project.settings.strategy
    begin = Act("Enter", f"Race {literal(strategies.of_round(strategy).title)} against random", lambda: _begin(project))
    done = looking.done_rounds(project)
    measured = measuring.tested(project, done)
    sentence = "Two models learn from the same first labels; then one asks, and the other gets labels at random."
    if measured is None or len(measured.comparable.labels) < 2:
        return Page(TITLE, sentence, None, (begin,))
    info = measuring.info(project, done, measured)
    since = measured.rounds[measured.comparable_from].id
    told = progress_words.accuracy_told(info, comparable=measured.is_comparable, since=since)

    def exhibit() -> None:
        figure = enlarged(figures.accuracy_figure(info, charts.page_theme()), height=height)
        charts.draw(figure, "Accuracy over the labels", f"present-gain-{project.slug}")

    note = "This project by itself; a race compares it with labels given at random"
    return Page(TITLE, told.here, exhibit, (begin,), note=note)


def version(project: Project) -> tuple[object, ...]:
    """Changes with each round of the race and of the project."""
    known = racing.races(home(), project)
    if not known:
        return live.state_of(project)
    return (known[0].name, rounds_done(known[0]), known[0].owner is not None)
