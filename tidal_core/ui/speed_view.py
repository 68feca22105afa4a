"""Speed of training on the Settings tab: a trial proposes precision and layout, a person takes the proposal or not."""

from __future__ import annotations

import dataclasses

import streamlit as st

from tidal_core.engine.speed_trial import WAYS, WORTH, Trial, way_name
from tidal_core.projects import Project
from tidal_core.ui.forms import attempt
from tidal_core.ui.runtime import get_studio

WORDS = {
    "float32": "full precision, colour by colour",
    "float32, channels last": "full precision, pixel by pixel",
    "bfloat16": "half precision, colour by colour",
    "bfloat16, channels last": "half precision, pixel by pixel",
}


def speed_settings(project: Project) -> None:
    """How rounds compute now, what would be faster here, and a button to take it."""
    settings = project.settings
    now = way_name(settings.precision, settings.channels_last)
    key = f"speed-{project.slug}-{settings.preset}-{settings.training_size}"
    trial: Trial | None = st.session_state.get(key)
    with st.expander("Speed of training", expanded=trial is not None):
        st.write(
            f"Rounds compute in {WORDS[now]} (`{now}`). Graphics cards are often faster in half precision, processors "
            "mostly slower; rounds come out slightly different. A trial with the training that is chosen above tells "
            "what is fastest on this computer: in seconds, but for ResNet-18 on a processor in minutes."
        )
        if trial is not None and trial.running:
            if st.button("Stop the trial", key=f"{key}-stop"):
                trial.stop()
                del st.session_state[key]
                st.rerun()
            _wait(trial)
            return
        if st.button("Try what is fastest here", key=f"{key}-start"):
            st.session_state[key] = Trial(settings.train_config(), settings.training_size, _classes(project))
            st.rerun()
        if trial is not None:
            _result(project, trial, now)


@st.fragment(run_every=1.0)
def _wait(trial: Trial) -> None:
    """Looks whether the trial has ended."""
    if not trial.running:
        st.rerun()
    st.caption("Trying… A round that trains meanwhile slows all ways alike.")


def _result(project: Project, trial: Trial, now: str) -> None:
    found = attempt(trial.result)
    if found is None:
        return
    device = {"cpu": "the processor", "cuda": "the graphics card", "mps": "the graphics processor"}
    speeds = found.images_per_second
    st.dataframe(
        {
            "Computes in": [WORDS[name] for name in speeds],
            "Images a second": [round(speed) for speed in speeds.values()],
            "Times as fast as now": [f"{found.times(name, now):.2f}" for name in speeds],
        },
        hide_index=True,
        width="content",
    )
    best = found.worth_changing_to(now)
    if best is None:
        st.caption(f"On {device.get(found.device, found.device)} nothing is at least {WORTH:g} times as fast as now.")
        return
    if st.button(
        f"Use {WORDS[best]} from the next round on, {found.times(best, now):.1f} times as fast",
        key=f"speed-use-{project.slug}",
        type="primary",
    ):
        precision, channels_last = next(way for way in WAYS if way_name(*way) == best)
        changed = dataclasses.replace(project.settings, precision=precision, channels_last=channels_last)
        if attempt(lambda: get_studio().change_settings(project, changed)) is not None:
            st.rerun()


def _classes(project: Project) -> int:
    return max(2, len(project.store.classes.all()))
