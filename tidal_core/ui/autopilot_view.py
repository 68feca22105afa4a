"""The autopilot on the page Label: how it is started and stopped, what it does, the images that it has just answered.

It is one for a project, whatever tab started it; what is polled draws the page again when it starts or stops elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import streamlit as st

from tidal_core.errors import NotFound
from tidal_core.labelling.autopilot import FASTEST, SLOWEST, Autopilot, AutopilotState, Phase, Plan, why_not
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.text import literal
from tidal_core.ui.forms import attempt_in_callback, show_refused
from tidal_core.ui.owners import for_owners, owners
from tidal_core.ui.runtime import get_studio
from tidal_core.ui.strip import Shown, source_of, strip

POLL_SECONDS = 0.5
_SIDE = 64  # pixels of an image in the strip
_LAST = 16  # images in the strip
_SOURCES = 200  # images whose pictures are kept for the strip
PHASES = {
    Phase.OFF: ("Autopilot", ":material/smart_toy:"),
    Phase.ANSWERING: ("Autopilot answers", ":material/play_circle:"),
    Phase.WAITING: ("Autopilot waits", ":material/hourglass_top:"),
    Phase.PAUSED: ("Autopilot is paused", ":material/pause_circle:"),
    Phase.ENDED: ("Autopilot has ended", ":material/check_circle:"),
    Phase.FAILED: ("Autopilot has stopped", ":material/error:"),
}


def autopilot_button(project: Project) -> None:
    """The way to the panel, at the foot of the page."""
    if not _is_open(project):
        st.button(
            "Autopilot", key=f"autopilot-open-{project.slug}", type="tertiary", on_click=_open, args=(project, True),
            help="For an audience: known classes answer instead of you.",
        )  # fmt: skip


def autopilot_panel(project: Project) -> None:
    """What it does and how to change it; nothing until somebody asks for it or it flies."""
    if not _is_open(project):
        return
    pilot = get_studio().autopilot(project)
    with st.container(border=True, key="autopilot", gap="small"):
        reason = why_not(desk_of(project))
        if reason and pilot.state(0).phase is Phase.OFF:
            st.info(literal(reason), icon=":material/smart_toy:")
            st.button("Close", key=f"autopilot-close-{project.slug}", on_click=_open, args=(project, False))
            return
        _controls(project, pilot, can_start=not reason)
        _live(project, pilot, pilot.flies)


def _is_open(project: Project) -> bool:
    pilot = get_studio().autopilot(project)
    return pilot.flies or bool(st.session_state.get(_open_key(project), pilot.state(0).phase is not Phase.OFF))


def _open(project: Project, is_open: bool) -> None:
    st.session_state[_open_key(project)] = is_open


def _open_key(project: Project) -> str:
    return f"autopilot-is-open-{project.slug}"


def _controls(project: Project, pilot: Autopilot, *, can_start: bool) -> None:
    plan, slug = pilot.state(0).plan, project.slug
    refused = f"autopilot-{slug}"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if pilot.flies:
            owners.button(
                "Pause", key=f"autopilot-pause-{slug}", icon=":material/pause:", on_click=pilot.pause, type="primary"
            )
        else:
            owners.button(
                "Start", key=f"autopilot-start-{slug}", icon=":material/play_arrow:", type="primary",
                disabled=not can_start, on_click=attempt_in_callback,
                args=(refused, lambda: pilot.start(_chosen(slug, pilot))),
            )  # fmt: skip
        owners.button(
            "To the next round", key=f"autopilot-round-{slug}", icon=":material/fast_forward:", disabled=not can_start,
            on_click=attempt_in_callback,
            args=(refused, lambda: pilot.start(_chosen(slug, pilot, to_the_next_round=True))),
            help="Answers as fast as it can what the next round needs, and stops when that round has ended.",
        )  # fmt: skip
        st.slider(
            "Answers a second", SLOWEST, FASTEST, int(plan.per_second or 5), key=f"autopilot-speed-{slug}", width=260,
            on_change=_changed, args=(refused, slug, pilot),
        )  # fmt: skip
        with st.popover("More", icon=":material/tune:"):
            st.slider(
                "Mistakes, %", 0, 50, round(100 * plan.mistakes), key=f"autopilot-mistakes-{slug}",
                on_change=_changed, args=(refused, slug, pilot),
                help="The share of images that it says a wrong class of.",
            )  # fmt: skip
            st.number_input(
                "Seed of the mistakes", 0, 10**6, plan.seed, key=f"autopilot-seed-{slug}", on_change=_changed,
                args=(refused, slug, pilot), help="The same seed makes the same mistakes about the same images.",
            )  # fmt: skip
            st.toggle(
                "Wait for each round", plan.wait_for_rounds, key=f"autopilot-wait-{slug}", on_change=_changed,
                args=(refused, slug, pilot),
                help="Answers what a round needs, waits until it has ended, and goes on with what it asks. A demo that "
                "is repeated in a new project then comes out the same.",
            )  # fmt: skip
        if not pilot.flies:
            st.button(
                "Close", key=f"autopilot-close-{project.slug}", type="tertiary", on_click=_open, args=(project, False)
            )
    show_refused(refused)


def _chosen(slug: str, pilot: Autopilot, *, to_the_next_round: bool = False) -> Plan:
    plan, state = pilot.state(0).plan, st.session_state
    speed = None if to_the_next_round else float(state.get(f"autopilot-speed-{slug}", plan.per_second or 5))
    return Plan(
        speed,
        float(state.get(f"autopilot-mistakes-{slug}", 100 * plan.mistakes)) / 100,
        int(state.get(f"autopilot-seed-{slug}", plan.seed)),
        bool(state.get(f"autopilot-wait-{slug}", plan.wait_for_rounds)),
    )


@for_owners
def _changed(refused: str, slug: str, pilot: Autopilot) -> None:
    """One that flies takes what was changed at once; else it counts at the next start."""
    if pilot.flies:
        attempt_in_callback(refused, lambda: pilot.start(_chosen(slug, pilot)))


@st.fragment(run_every=POLL_SECONDS)
def _live(project: Project, pilot: Autopilot, drawn_flying: bool) -> None:
    """What it does, from the store. Without buttons: clicks get lost in here."""
    if pilot.flies != drawn_flying:
        st.rerun()
    state = pilot.state(_LAST)
    title, icon = PHASES[state.phase]
    st.markdown(f"{icon} **{title}.** {literal(words_of(state))}")
    strip(_answered(project, state), "Images that the autopilot has just answered", f"autopilot-strip-{project.slug}",
          side=_SIDE)  # fmt: skip


def words_of(state: AutopilotState) -> str:
    """What it does, in a line."""
    parts = [state.sentence] if state.sentence else []
    if state.phase.flies and state.plan.per_second is not None:
        measured = "" if state.per_second is None else f", {state.per_second:.1f} measured"
        parts.append(f"{state.plan.per_second:g} a second asked for{measured}.")
    if state.labels:
        wrong = f", {state.mistakes:,} of them wrong" if state.mistakes else ""
        parts.append(f"{state.labels:,} labels so far{wrong}.")
    return " ".join(parts)


def _answered(project: Project, state: AutopilotState) -> list[Shown]:
    classes = {record.id: record for record in project.store.classes.all(include_retired=True)}
    images = {image.id: image for image in project.store.images.many(each.answer.image_id for each in state.last)}
    shown = []
    for each in state.last:
        image, record = images.get(each.answer.image_id), classes.get(each.answer.class_id or 0)
        if image is not None and record is not None:
            is_wrong = image.known_class is not None and image.known_class != record.id
            caption = f"{'✗ ' if is_wrong else ''}{record.name}"
            shown.append(Shown(image.id, _source(project, image.id), caption, is_wrong))
    return shown


@cache
def _kept() -> OrderedDict[tuple[str, int], str]:
    return OrderedDict()


def _source(project: Project, image_id: int) -> str:
    """A picture for the strip, made once while it is shown."""
    kept, key = _kept(), (str(project.folder), image_id)
    if key not in kept:
        try:
            kept[key] = source_of(project, project.store.images.get(image_id), 2 * _SIDE)
        except NotFound:
            return ""
        while len(kept) > _SOURCES:
            kept.popitem(last=False)
    return kept.get(key, "")
