"""Have I done enough? In plain words: how accurate, how steady, how far to a target, what is open. It stops nothing."""

from __future__ import annotations

import streamlit as st

from tidal_core.method import stopping
from tidal_core.projects import Project
from tidal_core.records import RoundRecord
from tidal_core.ui import looking
from tidal_core.ui import measured as measuring
from tidal_core.ui.forecasts import DEFAULT_TARGET, forecast_in_words, target_key
from tidal_core.ui.measured import Tested

ENOUGH = "Have I done enough?"
FIXED_SAMPLE = 1_000  # images that successive models are compared on
AGREEMENT_HELP = (
    "Both models say what they predict of the same random images. Cohen's kappa is their agreement beyond chance: 0 is "
    "chance, 1 is always. Models that agree may still both be wrong."
)


def enough(project: Project, done: list[RoundRecord], measured: Tested | None) -> None:
    """The panel: four sentences, each with what it rests on."""
    st.markdown(f"## {ENOUGH}")
    for line in sentences(project, done, measured):
        st.markdown(f"- {line}")
    st.caption("This is advice: nothing stops by itself, and you can go on labelling at any time.", help=AGREEMENT_HELP)


def sentences(project: Project, done: list[RoundRecord], measured: Tested | None) -> list[str]:
    """Accuracy, agreement, forecast and what is open, of the newest finished round; numbers only, no names."""
    return [
        accuracy_in_words(project, done, measured),
        _agreement(project, done),
        _forecast(project, measured),
        _open(project, done[-1]),
    ]


def after_round(project: Project, done: list[RoundRecord]) -> None:
    """One line after a round: the first two sentences."""
    measured = measuring.tested(project, done)
    st.caption(f"{accuracy_in_words(project, done, measured)} {_agreement(project, done)}")


@st.cache_data(max_entries=20, show_spinner=False)
def line_after_round(_project: Project, key: str) -> str:
    """The line after the newest round, which ``key`` (``looking.key_of``) names, read once."""
    done = looking.done_rounds(_project)
    return f"{accuracy_in_words(_project, done, measuring.tested(_project, done))} {_agreement(_project, done)}"


def accuracy_in_words(project: Project, done: list[RoundRecord], measured: Tested | None) -> str:
    """How often the newest model is right, with the interval where there is an honest one."""
    if measured is None:
        return measuring.not_yet(project, done)
    info = measuring.info(project, measured.rounds, measured)
    if not measured.is_comparable:
        return f"The model is right about {info.accuracy[-1]:.0%} of the time; this is a rough estimate."
    return (
        f"The model is right about **{info.accuracy[-1]:.0%}** of the time (with 95 % certainty between "
        f"{info.low[-1]:.0%} and {info.high[-1]:.0%}; {measured.tested[-1]:,} images measure it)."
    )


def _agreement(project: Project, done: list[RoundRecord]) -> str:
    if len(done) < 2:
        return "Whether it still changes its mind can be told after the next round."
    counts = project.store.predictions.agreement(done[-1].id, done[-2].id, project.settings.seed, FIXED_SAMPLE)
    if not counts.size:
        return "The last two models have no images in common that could be compared."
    agreement = stopping.agreement(counts)
    return (
        f"The last two models agree about {agreement.share:.0%} of {agreement.images:,} random images (kappa "
        f"{agreement.kappa:.2f}): {stopping.steadiness(agreement)}."
    )


def _forecast(project: Project, measured: Tested | None) -> str:
    target = float(st.session_state.get(target_key(project), DEFAULT_TARGET))
    if measured is None or not measured.is_comparable:
        return f"How many more labels bring {target:.0%} cannot be told yet: it needs an honest accuracy."
    return forecast_in_words(stopping.forecast(*measured.comparable, target), target)


def _open(project: Project, last: RoundRecord) -> str:
    mass, images = project.store.views.open_mass(last.id)
    if not images:
        return "No unlabelled images are left open by the model."
    undecided = "1 image" if round(mass) == 1 else f"{mass:,.0f} images"
    return (
        f"Over the {images:,} images that nobody labelled, as much is open as in {undecided} that the model cannot "
        f"decide at all ({mass / images:.0%}, by the predicted training dynamics)."
    )
