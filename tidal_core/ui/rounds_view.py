"""Rounds on a page: one as it runs, one that ended, the accuracy over all of them, their history, the log."""

from __future__ import annotations

import streamlit as st

from tidal_core.figures import progress as progress_figures
from tidal_core.figures import training as figures
from tidal_core.projects import Project
from tidal_core.records import RoundProgress, RoundRecord, RoundState
from tidal_core.rounds.due import round_due
from tidal_core.text import literal, seconds_in_words, took
from tidal_core.ui import charts
from tidal_core.ui import measured as measuring
from tidal_core.ui.first_figure import first_figure_stands
from tidal_core.ui.forms import table
from tidal_core.ui.runtime import get_studio
from tidal_core.ui.sidebar import STATE_WORDS, progress_of

GOING, WENT = "How this round is going", "How this round went"
LEARNT_HELP = (
    "The share of labelled images that the model gets right while it learns from them, after each epoch (one pass "
    "through all of them). It rises as it learns. How often the model is right on other images stands further below."
)
DETAILS = "Details: losses and learning rate"
ROUND_HELP = (
    "Loss: how far the model's probabilities are from the labels; lower is better. The TD module, a small "
    "network, learns to predict the training dynamics; its loss is how far it is from them. "
    "Accuracy: the share of labelled images that the model gets "
    "right while it learns from them (not its accuracy on other images). Learning rate: the size of a training step."
)
ACCURACY = "Accuracy over the rounds"
ACCURACY_HELP = (
    "The share of correct predictions on images that the model has not trained on; which ones, stands below. "
    "The band is the 95 % interval (Wilson), wide with few such images. Balanced accuracy gives every "
    "class the same weight, however rare."
)
DURATIONS = "How long the rounds took"
DURATIONS_HELP = "Training, scoring and ranking together."
_ICONS = {
    RoundState.DONE: "✓ done",
    RoundState.FAILED: "✗ failed",
    RoundState.CANCELLED: "– cancelled",
}


def startable(project: Project) -> tuple[bool, str]:
    """Whether a person may start a round now; if not, why."""
    due = round_due(project)
    return due.startable, due.why_not or due.hindrance


def title_of(record: RoundRecord) -> str:
    """A round in a list."""
    return f"Round {record.id}, {STATE_WORDS[record.state]}, {record.labels:,} labels"


def info_of(project: Project, round_id: int) -> figures.RoundInfo | None:
    """The epochs of a round so far; None before its first one."""
    epochs = [stored.record for stored in project.store.epochs.of(round_id)]
    if not epochs:
        return None
    return figures.round_info(
        [epoch.epoch for epoch in epochs],
        epochs[-1].epochs,
        [epoch.class_loss for epoch in epochs],
        [epoch.td_loss for epoch in epochs],
        [epoch.train_accuracy for epoch in epochs],
        [epoch.learning_rate for epoch in epochs],
        [epoch.images_per_second for epoch in epochs],
    )


def running(project: Project, round_id: int) -> None:
    """A running round, and below it the choice of what its figure shows."""
    key = f"round-details-{project.slug}"
    _live(project, round_id, details=bool(st.session_state.get(key)))
    st.toggle(DETAILS, key=key, help=ROUND_HELP)


@st.fragment(run_every=1.0)
def _live(project: Project, round_id: int, *, details: bool) -> None:
    """A running round, asked again every second. No buttons here: clicks get lost in polled parts."""
    record = project.store.rounds.get(round_id)
    share, text = progress_of(get_studio().worker.progress(project.slug))
    words = STATE_WORDS[record.state]
    st.progress(share, text=f"Round {record.id} is {words} on {record.labels:,} labels. {text}")
    info = info_of(project, round_id)
    speed = info.images_per_second[-1] if info else None
    progress = get_studio().worker.progress(project.slug)
    training = progress.training if progress else None
    with st.container(horizontal=True):
        st.metric(
            "Epoch",
            "–" if info is None else f"{info.epoch[-1]:,} of {info.epochs:,}",
            help="One epoch is one pass through all labelled images.",
            width=260,
        )
        st.metric("Time left", seconds_in_words(training.seconds_left) if training else "–", width=130)
        st.metric("Images per second", "–" if speed is None else f"{speed:,.0f}", width=170)
        st.metric("Accuracy on the labels", "–" if info is None else f"{info.accuracy[-1]:.0%}", width=190)
    charts.heading(GOING, LEARNT_HELP, "live-round")
    if info is None:
        st.info(waiting_for(record, progress), icon=":material/hourglass_empty:")
        return
    theme = charts.page_theme()
    version = (project.slug, round_id, details, len(info.epoch))
    drawn = figures.round_figure if details else figures.learnt_figure
    charts.draw_live(lambda: drawn(info, theme), GOING, "live-figure", version)


def waiting_for(record: RoundRecord, progress: RoundProgress | None) -> str:
    """Why a round that has begun shows no curve yet, and when it will."""
    if record.state is RoundState.WAITING or progress is None or (progress.training or progress.features) is None:
        return "The model is being loaded. The curve begins after the first pass through the labelled images."
    if progress.training is None:
        return "The pretrained model looks at images that are new to it first; then the training begins."
    return (
        f"The first of {progress.training.epochs:,} passes through the {record.labels:,} labelled images is under way. "
        "The curve begins when it is done."
    )


def finished(project: Project, record: RoundRecord) -> bool:
    """A round that has ended. Whether its figure stands; until then nothing is to be sent below it."""
    if record.state is RoundState.FAILED:
        st.error(
            f"Round {record.id} failed: {literal(record.error or '')}  \n"
            "What it recorded is shown below. Your labels are safe; press “Train now” to start another round.",
            icon=":material/error:",
        )
    elif record.state is RoundState.CANCELLED:
        st.info(f"Round {record.id} was cancelled. Its labels are kept for the next round.")
    info = info_of(project, record.id)
    if info is None:
        st.caption("The round ended before its first epoch.")
        return True
    theme = charts.page_theme()
    charts.chart(WENT, LEARNT_HELP, "round", lambda: (info, figures.learnt_figure(info, theme)))
    if not first_figure_stands("round"):
        return False
    with st.expander(DETAILS, icon=":material/monitoring:"):
        st.caption(ROUND_HELP)
        charts.draw(figures.round_figure(info, theme), DETAILS, "round-details")
    notes = [stored.record.note for stored in project.store.epochs.of(record.id) if stored.record.note]
    for note in notes:
        st.caption(literal(note))
    return True


def accuracy(project: Project) -> None:
    """Accuracy over the rounds, or why there is none."""
    done = [record for record in project.store.rounds.all() if record.state is RoundState.DONE]
    measured = measuring.tested(project, done)
    if measured is None:
        charts.heading(ACCURACY, ACCURACY_HELP, "accuracy")
        st.caption("No accuracy yet: it appears after the first finished round with images kept to measure it.")
        return
    theme, info = charts.page_theme(), measuring.info(project, done, measured)
    charts.chart(ACCURACY, ACCURACY_HELP, "accuracy", lambda: (info, progress_figures.accuracy_figure(info, theme)))
    st.caption(measuring.in_words(measured))


def history(project: Project) -> None:
    """All rounds as a table, newest first, and how long they took."""
    records = project.store.rounds.all()
    measured = measuring.tested(project, [record for record in records if record.state is RoundState.DONE])
    accuracies = {} if measured is None else measured.by_round
    st.markdown("## History")
    rows = [
        {
            "Round": record.id,
            "State": _ICONS.get(record.state, STATE_WORDS[record.state]),
            "Labels": record.labels,
            "Accuracy": f"{accuracies[record.id]:.1%}" if record.id in accuracies else "–",
            "Duration": seconds_in_words(took(record.started_at, record.finished_at)),
            "Started by": "a person" if record.started_by == "person" else "enough labels",
            "Started (UTC)": record.started_at,
            "What went wrong": record.error or "",
        }
        for record in reversed(records)
    ]
    table(rows, column_config={"Started (UTC)": st.column_config.DatetimeColumn(format="D MMM, HH:mm:ss")})
    lasted = [took(record.started_at, record.finished_at) for record in records]
    if len(records) > 1:
        info = figures.durations_info(
            [record.id for record in records],
            [record.labels for record in records],
            [float("nan") if seconds is None else seconds for seconds in lasted],
            [record.state.value for record in records],
        )
        theme = charts.page_theme()
        charts.chart(DURATIONS, DURATIONS_HELP, "durations", lambda: (info, figures.durations_figure(info, theme)))


def log(project: Project) -> None:
    """The worker's log, newest first."""
    with st.expander("Training log", icon=":material/receipt_long:"):
        lines = project.store.log.last(200)
        if not lines:
            st.caption("Nothing has happened yet.")
            return
        table(
            [
                {"When (UTC)": line.logged_at, "Round": line.round_id, "Kind": line.level, "What": line.message}
                for line in lines
            ],
            column_config={"When (UTC)": st.column_config.DatetimeColumn(format="D MMM, HH:mm:ss")},
        )
