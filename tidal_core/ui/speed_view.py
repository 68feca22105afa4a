"""Speed of training on the Settings tab: a trial proposes precision and layout, a person takes the proposal or not."""

from __future__ import annotations

import dataclasses

import streamlit as st

from tidal_core.engine.speed_trial import WAYS, WORTH, Trial, way_name
from tidal_core.projects import Project
from tidal_core.rounds.fastest import DEVICES
from tidal_core.ui.forms import attempt, table
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import get_studio

WORDS = {
    "float32": "full precision",
    "float32, channels last": "full precision, arranged the other way",
    "bfloat16": "half precision",
    "bfloat16, channels last": "half precision, arranged the other way",
}


def speed_settings(project: Project) -> None:
    """How rounds compute now, what would be faster here, and a button to take it."""
    settings = project.settings
    now = way_name(settings.precision, settings.channels_last)
    key = f"speed-{project.slug}-{settings.preset}-{settings.training_size}"
    trial: Trial | None = st.session_state.get(key)
    with st.expander("Speed of training", expanded=trial is not None):
        if settings.find_fastest and settings.preset != "paper":
            st.write("Before its first round this project finds its fastest setting by itself, in seconds.")
        st.write(
            f"Rounds compute in {WORDS[now]}. Graphics cards are often faster in half precision, processors mostly "
            "slower; the results differ slightly. How pixels are arranged changes the speed only. "
            "A trial of the training chosen above finds the fastest on this "
            "computer: it takes seconds, or minutes for ResNet-18 on a processor."
        )
        if trial is not None and trial.running:
            if owners.button("Stop the trial", key=f"{key}-stop"):
                trial.stop()
                del st.session_state[key]
                st.rerun()
            _wait(trial)
            return
        if owners.button("Find the fastest setting", key=f"{key}-start"):
            st.session_state[key] = Trial(settings.train_config(), settings.training_size, _classes(project))
            st.rerun()
        if trial is not None:
            _result(project, trial, now)


@st.fragment(run_every=1.0)
def _wait(trial: Trial) -> None:
    """Looks whether the trial has ended."""
    if not trial.running:
        st.rerun()
    st.caption("Measuring… A round that trains meanwhile slows every setting alike.")


def _result(project: Project, trial: Trial, now: str) -> None:
    found = attempt(trial.result)
    if found is None:
        return
    speeds = found.images_per_second
    rows = [
        {
            "Setting": WORDS[name],
            "Images per second": round(speed),
            "Speed compared with now": f"{found.times(name, now):.2f}",
        }
        for name, speed in speeds.items()
    ]
    table(rows, width="content")
    best = found.worth_changing_to(now)
    if best is None:
        st.caption(
            f"On {DEVICES.get(found.device, found.device)} no setting is at least {WORTH:g} times as fast as now."
        )
        return
    if owners.button(
        f"Use {WORDS[best]} from the next round on, {found.times(best, now):.1f} times as fast",
        key=f"speed-use-{project.slug}-{best}",
        type="primary",
    ):
        precision, channels_last = next(way for way in WAYS if way_name(*way) == best)
        settings = project.settings
        changed = dataclasses.replace(settings, precision=precision, channels_last=channels_last, find_fastest=False)
        if attempt(lambda: get_studio().change_settings(project, changed, shown=settings)) is not None:
            st.rerun()


def _classes(project: Project) -> int:
    return max(2, len(project.store.classes.all()))
