"""The page Finish: a target, what the model can be trusted with, a sample to look at, accept, take back."""

from __future__ import annotations

import streamlit as st

from tidal_core.labelling import finishing
from tidal_core.method.finishing import Proposal
from tidal_core.projects import Project
from tidal_core.records import ImageRecord
from tidal_core.rounds.finishing import Standing, proposal_of, standing
from tidal_core.text import literal
from tidal_core.ui import looking
from tidal_core.ui.address import LABEL_PAGE
from tidal_core.ui.forms import attempt_in_callback, show_refused, table
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import annotator
from tidal_core.ui.thumbnails import thumbnails

TARGETS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
TARGET_HELP = (
    "Of the images that get the model's class, at least this share is right: that is shown on images that were picked "
    "at random and that you checked, and it errs in one project of twenty at most, in all rounds and for all targets "
    "that you try together. So each target that fails makes the next test stricter: choose the one that you need first."
)


@st.cache_data(max_entries=20, show_spinner="Looking for what the model can be trusted with")
def _proposal(_project: Project, _state: Standing, key: str, labels: str, target: float) -> Proposal:
    return proposal_of(_project, _state, target)


def finish(project: Project) -> None:
    """Everything below the title; there is a finished round."""
    show_refused(_place(project))
    for note in st.session_state.pop(f"finish-note-{project.slug}", []):
        st.info(literal(note))
    _acts(project)
    if any(act.images for act in project.store.model_answers.acts()):
        st.info("The other images are for people. To choose another target, or what a newer round proposes, take back.")
        return
    state = standing(project)
    if state is None:
        return
    target = float(
        st.select_slider(
            "Share that has to be right",
            TARGETS,
            value=0.95,
            format_func=lambda share: f"{share:.0%}",
            key=f"finish-target-{project.slug}",
            width=420,
            help=TARGET_HELP,
        )
    )
    record = project.store.rounds.get(state.round_id)
    proposal = _proposal(
        project, state, f"{looking.key_of(project, record)}|{state.looks}", looking.labels_version(project), target
    )
    if finishing.vetoed(project, state, target):
        st.warning(
            "Too many images of the sample were wrong. Nothing can be accepted at this target until another round has "
            "trained; a lower target may do."
        )
    elif proposal.accepted:
        _proposed(project, state, proposal)
    else:
        _nothing(project, state, proposal)


def _acts(project: Project) -> None:
    """What was accepted, each with its way back."""
    newest = project.store.scores.latest_round()
    for act in project.store.model_answers.acts():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":material/smart_toy: **{act.images:,} images** have the class of round {act.round_id}'s model, "
                f"{literal(act.note)}, by {literal(act.annotator)} on {act.taken_at:%Y-%m-%d %H:%M} UTC."
            )
            is_old = newest is not None and newest > act.round_id
            owners.button(
                "Take back, and propose anew" if is_old else "Take back",
                icon=":material/undo:",
                key=f"finish-undo-{project.slug}-{act.act_id}",
                help=f"Round {newest} has learnt more since: take these back and see what it proposes."
                if is_old
                else "All of them at once: people are asked about these images again.",
                on_click=_undo,
                args=(project, act.act_id),
            )


def _undo(project: Project, act_id: str) -> None:
    images = attempt_in_callback(_place(project), lambda: finishing.undo(project, act_id, annotator=annotator()))
    if images is not None:
        _note(project, f"Taken back: {images:,} images have no class of the model any more.")


def _nothing(project: Project, state: Standing, proposal: Proposal) -> None:
    """Why nothing is proposed, and what to do."""
    st.markdown("## :material/person: Nothing for the model yet")
    st.info(literal(proposal.reason))
    if proposal.more_checks:
        owners.button(
            f"Check {proposal.more_checks:,} random images",
            icon=":material/fact_check:",
            type="primary",
            key=f"finish-check-{project.slug}",
            help="They come first on the page Label. The model never trains on them; those that it gets wrong are "
            "labelled by that as well.",
            on_click=_check_more,
            args=(project, state, proposal),
        )
    st.page_link(LABEL_PAGE, label="Label images", icon=":material/sell:")


def _check_more(project: Project, state: Standing, proposal: Proposal) -> None:
    images = attempt_in_callback(_place(project), lambda: finishing.check_more(project, state, proposal))
    if images is not None:
        _note(project, f"{images:,} random images come first on the page Label now. Label them and come back.")


def _proposed(project: Project, state: Standing, proposal: Proposal) -> None:
    """The proposal by class, the sample, and the button."""
    left = len(state.image_ids) - proposal.accepted
    st.markdown(f"## :material/smart_toy: The model can label {proposal.accepted:,} images")
    with st.container(horizontal=True):
        st.metric("For the model", f"{proposal.accepted:,}", width=150)
        st.metric("Left for people", f"{left:,}", help="Beside those that are kept to measure accuracy.", width=170)
        st.metric(
            "Checked at random",
            f"{proposal.checked:,}",
            f"{proposal.wrong:,} wrong",
            delta_color="off",
            delta_arrow="off",
            width=170,
        )
        st.metric(
            "Right, at least",
            f"{proposal.at_least or 0:.1%}",
            help="The lower end of the interval for the images that would be accepted.",
            width=150,
        )
    styles = looking.class_styles(project)
    table(
        [
            {
                "Class": styles[state.class_ids[share.position]].name,
                "Accepted": share.accepted,
                "From a probability of": f"{share.threshold:.1%}" if share.accepted else "",
                "Left for people": share.left,
                "Checked": share.checked,
                "Wrong of these": share.wrong,
            }
            for share in proposal.classes
        ]
    )
    _sample(project, state, proposal)


@st.fragment
def _sample(project: Project, state: Standing, proposal: Proposal) -> None:
    """Images to look at: a click, or Enter on one, marks it as wrong and takes the mark away."""
    shown = finishing.sample(project, state, proposal)
    key = f"finish-wrong-{project.slug}-{state.round_id}-{proposal.target}-{len(state.image_ids)}"
    wrong: set[int] = st.session_state.setdefault(key, set())
    st.markdown(f"### Look at {len(shown)} of them, picked at random")
    st.caption("Mark those whose class is wrong: by a click, or by the keys Tab and Enter.")
    styles = looking.class_styles(project)
    class_of = dict(zip(state.image_ids.tolist(), state.predicted.tolist(), strict=True))

    def caption(image: ImageRecord) -> str:
        name = styles[state.class_ids[class_of[image.id]]].name
        return f"✗ {name}" if image.id in wrong else name

    picked = thumbnails(project, shown.tolist(), key, captions=caption, marked=wrong)
    if picked is not None and picked in set(shown.tolist()):
        wrong ^= {picked}
        st.session_state[key] = wrong
        st.rerun(scope="fragment")
    st.markdown(f"**{len(wrong)} of {len(shown)} marked as wrong**")
    # No callback: after one, only this fragment would be drawn anew, without what was accepted.
    if owners.button(
        f"Accept the model's class for {proposal.accepted - len(wrong):,} images",
        icon=":material/done_all:",
        type="primary",
        key=f"finish-accept-{project.slug}",
        help="They are marked as the model's: nothing trains on them, exports and pages tell them from yours, and you "
        "can take them back as one. What you marked as wrong is asked next.",
    ):
        _accept(project, state, proposal, key)
        st.rerun()


def _accept(project: Project, state: Standing, proposal: Proposal, key: str) -> None:
    wrong = sorted(st.session_state.get(key, ()))
    shown = finishing.sample(project, state, proposal)
    accepted = attempt_in_callback(
        _place(project),
        lambda: finishing.accept(project, state, proposal, shown, wrong, annotator=annotator()),
    )
    if accepted is not None:
        st.session_state.pop(key, None)
        outcome = "Nothing was accepted." if accepted.veto.is_vetoed else f"{accepted.images:,} images accepted."
        _note(project, f"{outcome} {accepted.veto.sentence}")


def _note(project: Project, text: str) -> None:
    st.session_state.setdefault(f"finish-note-{project.slug}", []).append(text)


def _place(project: Project) -> str:
    return f"finish-{project.slug}"
