"""The race on its page: how one begins, the live race, what can be said by now."""

from __future__ import annotations

import streamlit as st

from tidal_core import strategies
from tidal_core.errors import TidalError
from tidal_core.experiments import race as racing
from tidal_core.experiments.files import Experiment, last_words, rounds_done
from tidal_core.experiments.lead import rule
from tidal_core.figures.race import race_figure, race_info
from tidal_core.projects import Project, home
from tidal_core.text import literal
from tidal_core.ui import charts
from tidal_core.ui.forms import attempt, attempt_in_callback, show_refused
from tidal_core.ui.owners import owners
from tidal_core.ui.strip import Shown, source_of, strip

POLL_SECONDS = 1.0
_SIDE = 56  # pixels of an image
_SHOWN = 20  # images that an arm has just asked


def choose(project: Project) -> Experiment | None:
    """The race to look at, and the form that begins one; None while there is none."""
    known = racing.races(home(), project)
    with st.expander("Start a race", icon=":material/flag:", expanded=not known):
        _form(project)
    if not known:
        return None
    titles = {each.name: each.title for each in known}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(known) > 1:
            name = st.selectbox("Race", list(titles), format_func=titles.__getitem__, key=_key(project), width=420)
        else:
            name = known[0].name
        experiment = next(each for each in known if each.name == name)
        attempt(lambda: racing.keep_going(experiment))
        running = experiment.owner is not None
        if running:
            owners.button(
                "Pause", icon=":material/pause:", key="race-pause", on_click=racing.stop, args=(experiment,),
                help="Finished rounds are kept.",
            )  # fmt: skip
        elif not _is_done(experiment):
            owners.button(
                "Go on", icon=":material/play_arrow:", key="race-go-on", type="primary",
                on_click=attempt_in_callback, args=("race", lambda: racing.start(experiment)),
            )  # fmt: skip
    show_refused("race")
    return experiment


def _key(project: Project) -> str:
    return f"race-shown-{project.slug}"


def _is_done(experiment: Experiment) -> bool:
    done, total = rounds_done(experiment)
    return done == total


def _form(project: Project) -> None:
    names = [name for name in strategies.names() if name != racing.RANDOM]
    own = project.settings.strategy
    usual = own if own in names else racing.USUAL
    with st.container(horizontal=True, vertical_alignment="bottom"):
        strategy = str(st.selectbox(
            "One arm asks by", names, names.index(usual), format_func=lambda name: strategies.get(name).title,
            key=f"race-strategy-{project.slug}", width=320,
        ))  # fmt: skip
        seed = int(st.number_input(
            "Seed", 0, 10**6, 0, key=f"race-seed-{project.slug}", width=120,
            help="Of the first labels, the same for both arms. Another seed is another race.",
        ))  # fmt: skip
        if owners.button("Start the race", type="primary", icon=":material/flag:", key="race-start"):
            begun = attempt(lambda: _begin(project, strategy, seed))
            if begun is not None:
                st.session_state[_key(project)] = begun.name
                st.rerun()
    st.caption(
        "The other arm asks at random. Both begin with the same labels, train in turn, and are tested on the same "
        "images. Known classes answer: those that the images came with, or else your labels."
    )


def _begin(project: Project, strategy: str, seed: int) -> Experiment:
    with st.spinner("Preparing the images"):
        begun = racing.begin_race(project, home(), strategy, seed=seed)
    racing.start(begun)
    return begun


def live(project: Project, experiment: Experiment) -> None:
    """The race as it goes, and the rule by which something is said."""
    _live(project, experiment, experiment.owner is not None)
    st.caption(rule(experiment.spec.protocol.rounds))


@st.fragment(run_every=POLL_SECONDS)
def _live(project: Project, experiment: Experiment, drawn_running: bool) -> None:
    """Without buttons: clicks get lost in here."""
    if (experiment.owner is not None) != drawn_running:
        st.rerun()
    done, total = rounds_done(experiment)
    try:
        race = _read(experiment, done)
    except TidalError as error:
        st.warning(literal(str(error)))
        return
    _headline(race, done, total, drawn_running)
    info = race_info(race)
    curves, arms = st.columns([3, 2], gap="large")
    with curves:
        if len(info.labels[0]):
            charts.draw_live(
                lambda: race_figure(info, charts.page_theme()), "Accuracy over labels", f"race-{experiment.name}",
                (experiment.name, done),
            )  # fmt: skip
        else:
            st.caption("The first round is training.")
    with arms:
        for arm in race.arms:
            _arm(project, experiment, arm)


def _arm(project: Project, experiment: Experiment, arm: racing.Arm) -> None:
    """How far an arm is, and what it has just asked."""
    now = f"{arm.accuracy[-1]:.1%} with {int(arm.labels[-1]):,} labels" if len(arm.labels) else "not tested yet"
    st.markdown(f"**{literal(arm.title)}**: {now}")
    st.caption(f"Asked after round {arm.asked_after}:" if arm.asked else "Asks its first images after the first round.")
    strip(_asked(project, arm), f"Images that {arm.title} has just asked",
          f"race-strip-{experiment.name}-{arm.configuration}", side=_SIDE, rows=2)  # fmt: skip


def _read(experiment: Experiment, done: int) -> racing.Race:
    """Read anew only once a round was finished: the files of a race need not be merged twice a second."""
    key = f"race-read-{experiment.name}"
    kept = st.session_state.get(key)
    if kept is None or kept[0] != done:
        kept = st.session_state[key] = (done, racing.read_race(experiment))
    race: racing.Race = kept[1]
    return race


def _headline(race: racing.Race, done: int, total: int, running: bool) -> None:
    for sentence in race.sentences:
        st.markdown(f"### {literal(sentence)}")
    if not race.leads:
        waiting = "No lead beyond chance yet" if len(race.arms[1].labels) > 1 else "Both begin with the same labels"
        st.markdown(f"### {'No lead beyond chance' if done == total else waiting}")
    if done < total:
        st.progress(done / total, f"{done:,} of {total:,} rounds" + ("" if running else ", paused"))
        words = last_words(race.experiment)
        if running and not words:
            words = "Loading the images and the network."
        if words:
            st.caption(literal(words) if running else f"Last message: {literal(words)}")


def _asked(project: Project, arm: racing.Arm) -> list[Shown]:
    rows = list(arm.asked[:_SHOWN])
    key = f"race-asked-{project.slug}-{arm.configuration}"
    kept = st.session_state.get(key)
    if kept is None or kept[0] != rows:
        kept = st.session_state[key] = (rows, _pictures(project, rows))
    shown: list[Shown] = kept[1]
    return shown


def _pictures(project: Project, rows: list[int]) -> list[Shown]:
    ids, pixel_rows = project.store.images.ids_and_pixel_rows()
    by_row = dict(zip(pixel_rows.tolist(), ids.tolist(), strict=True))
    images = project.store.images.many(by_row[row] for row in rows if row in by_row)
    names = {record.id: record.name for record in project.store.classes.all(include_retired=True)}
    return [
        Shown(image.id, source_of(project, image, 2 * _SIDE), names.get(image.known_class or 0, "")) for image in images
    ]
