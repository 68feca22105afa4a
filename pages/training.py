"""Training: the round as it runs, the accuracy over rounds, the history, the worker's log."""

from __future__ import annotations

import streamlit as st

from tidal_core import strategies
from tidal_core.config import RoundConfig
from tidal_core.projects import Project
from tidal_core.text import config_in_words, literal
from tidal_core.ui import enough_view, looking, rounds_view
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import current_project, get_studio

CLASSES_NAMED = 20


def controls(project: Project) -> None:
    """Train now, cancel, try again. Outside the polled part: clicks get lost there."""
    worker = get_studio().worker
    active = project.store.rounds.active()
    with st.container(horizontal=True, vertical_alignment="center"):
        startable, why_not = rounds_view.startable(project)
        if owners.button(
            "Train now",
            icon=":material/play_arrow:",
            type="primary",
            disabled=not startable,
            help=why_not or "Starts a round with the current labels, without waiting for more.",
            key=f"train-now-{project.slug}",
        ):
            worker.ask(project.slug)
            st.toast("The next round starts in a moment.")
        if active is not None and owners.button(
            "Cancel this round",
            icon=":material/stop:",
            key=f"cancel-{project.slug}-{active.id}",
            help="Ends the round. Its labels are kept for the next one.",
        ):
            worker.cancel(project.slug)
            st.toast(f"Round {active.id} is being cancelled.")
        if not startable and active is None:
            st.caption(literal(why_not))
        if not worker.alive:
            st.error("The training worker has stopped: restart the studio.", icon=":material/error:")


def one_round(project: Project) -> bool:
    """The epochs of one round: the running one by itself, else the chosen one.

    False while the first figure does not stand: nothing is to be sent below it then.
    """
    records = project.store.rounds.all()
    active = project.store.rounds.active()
    if active is not None:
        rounds_view.running(project, active.id)
        chosen = active
    else:
        ids = [record.id for record in records][::-1]
        by_id = {record.id: record for record in records}
        number = st.selectbox(
            "Round",
            ids,
            format_func=lambda round_id: rounds_view.title_of(by_id[round_id]),
            width=320,
            key=f"round-{project.slug}",
        )
        chosen = by_id[int(number or ids[0])]
        if not rounds_view.finished(project, chosen):
            return False
    with st.expander("What this round does", icon=":material/notes:"):
        strategy = strategies.of_round(chosen.strategy)
        for line in config_in_words(RoundConfig.from_json(chosen.config), chosen.labels, strategy.in_words):
            st.markdown(f"- {literal(line)}")
        styles = looking.styles_of(project, chosen)
        names = ", ".join(style.name for style in styles[:CLASSES_NAMED])
        more = f" and {len(styles) - CLASSES_NAMED:,} more" if len(styles) > CLASSES_NAMED else ""
        st.markdown(f"- {literal(f'Tells apart {len(styles):,} classes: {names}{more}.')}")
    looking.say_names(project, chosen)
    return True


project = current_project()
seen = looking.state_of(project)  # before anything is drawn: what changes on the way is seen as new
st.title("Training")
st.caption("The model learns from the labels in rounds while you go on labelling.")
controls(project)
if not project.store.rounds.all():
    looking.empty_state(project, "training curves, live, and the accuracy of each round")
    rounds_view.log(project)
else:
    if one_round(project):
        if done := looking.done_rounds(project):
            enough_view.after_round(project, done)
        rounds_view.accuracy(project)
        rounds_view.history(project)
        rounds_view.log(project)
looking.watch(project, seen)
