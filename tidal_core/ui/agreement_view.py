"""Agreement on Review: how far people agree, what they disagree on to be settled by key, how each of them labels."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from tidal_core.figures.palettes import ClassStyle
from tidal_core.labelling import people
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.people import Agreeing
from tidal_core.method import agreement
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerMode, ImageRecord
from tidal_core.rounds import again
from tidal_core.store.people import Disagreement, Person
from tidal_core.text import literal
from tidal_core.ui import life, looking, review_keys
from tidal_core.ui.address import PROJECT_PAGE
from tidal_core.ui.forms import table
from tidal_core.ui.owners import may_change
from tidal_core.ui.runtime import annotator
from tidal_core.ui.thumbnails import life_link, picture, show_picture

LEAD, SKIP, UNDO = "lead", "skip", "undo"
KEYS = {"Enter": LEAD, " ": SKIP, "z": UNDO, "Backspace": UNDO}
_SIDE = 560  # pixels of the image

NUMBERS_HELP = (
    "**Alpha** (Krippendorff 2004): 1 is full agreement, 0 what chance alone would bring; any number of people for "
    "each image. **Fleiss** (1971): the same idea for images with equally many labels. **Cohen** (1960): for two "
    "people; here the mean over all pairs, weighted by the images that they share. None of them counts what was said "
    "on Review, in the gallery or to settle: there a person sees what others said."
)


@dataclass
class _State:
    """What a browser has settled in one project."""

    event: str = field(default_factory=lambda: uuid.uuid4().hex)  # id of the next answer
    done: list[Answer] = field(default_factory=list)
    said: str = ""  # of the last answer, as Markdown


def show(project: Project) -> None:
    """The whole part below the page's title."""
    found = _agreement(project, project.store.answers.last_seq(), repr(project.store.classes.all(include_retired=True)))
    state: _State = st.session_state.setdefault(f"agreement-{project.slug}", _State())
    waiting = people.to_settle(project, annotator())
    if not found.result.images and not waiting and not state.done:
        _what_to_do(project)
    else:
        st.markdown(agreement.in_words(found.result))
        _numbers(found)
        _queue(project, state, waiting)
        _tables(project, found)
    _people(project)


@st.cache_data(max_entries=20, show_spinner="Comparing what people said…")
def _agreement(_project: Project, last_seq: int, classes: str) -> Agreeing:
    return people.agreement_of(_project)


def _what_to_do(project: Project) -> None:
    share = project.settings.double_share
    st.markdown("## :material/groups: No image has answers of two people yet")
    if not share:
        st.info(
            "To measure how far people agree, some images must be asked of several: set “Share of images asked of "
            "several people” on the Project page (Settings), 0.1 for one in ten, say.",
            icon=":material/tune:",
        )
        st.page_link(PROJECT_PAGE, label="Open the settings", icon=":material/settings:")
    else:
        waiting = len(project.store.queue.asked_again())
        images = "1 image waits" if waiting == 1 else f"{waiting:,} images wait"
        st.info(
            f"{share:.0%} of the images are asked of {project.settings.people_per_image} people. {images} for the "
            "answer of somebody else: a second person opens the studio, types another name (in the sidebar) and "
            "labels; these images come first.",
            icon=":material/person_add:",
        )
    st.caption(people.TIE_RULE)


def _numbers(found: Agreeing) -> None:
    result = found.result
    if not result.images:
        return
    with st.container(horizontal=True):
        st.metric("Images of two or more", f"{result.images:,}")
        st.metric("Alpha", _number(result.alpha), help=NUMBERS_HELP)
        st.metric(f"Fleiss' kappa, {result.fleiss_images:,} images of {result.fleiss_people}", _number(result.fleiss))
        st.metric("Cohen's kappa, mean", _number(result.cohen))
    st.caption(people.TIE_RULE)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


# --- what is to be settled


def _queue(project: Project, state: _State, waiting: list[Disagreement]) -> None:
    st.markdown("### To settle")
    current = waiting[0] if waiting else None
    image = project.store.images.get(current.image_id) if current is not None else None
    shown = picture(project, image, _SIDE) if image is not None else None
    _keys(project, state, current, alt=_alt(image) if image is not None and shown is not None else "")
    if state.said:
        st.caption(state.said)
    if current is None or image is None:
        st.success("Nobody disagrees about an image.", icon=":material/check_circle:")
        _undo_button(project, state)
        return
    styles = looking.class_styles(project)
    side, main = st.columns([1, 1], gap="large")
    with side:
        show_picture(shown, alt=_alt(image))
        life_link(project, image)
    with main:
        st.markdown("## What is it?")
        st.markdown("\n".join(f"- {line}" for line in _said(project, current, styles)))
        _buttons(project, state, current, styles)
        st.caption(f"{len(waiting):,} to settle.")
    life.last_curve(project, image)


def _alt(image: ImageRecord) -> str:
    return f"Image {image.id}, to settle"


def _said(project: Project, current: Disagreement, styles: dict[int, ClassStyle]) -> list[str]:
    """Who says what, the most said first, as Markdown; without names where these are nobody else's business."""
    names_shown = people.may_see_people(project, is_owner=may_change())
    by_class = Counter(each.class_id for each in current.said)
    lines = []
    for class_id, n in by_class.most_common():
        what = "skipped" if class_id is None else literal(styles[class_id].name)
        who = ", ".join(literal(each.annotator) for each in current.said if each.class_id == class_id)
        counts = ", counts until it is settled" if class_id == current.counts else ""
        lines.append(f"**{what}**: {who if names_shown else f'{n} of {len(current.said)} people'}{counts}")
    return lines


def _buttons(project: Project, state: _State, current: Disagreement, styles: dict[int, ClassStyle]) -> None:
    key = f"settle-{project.slug}-{state.event}"
    keys = {act: pressed for pressed, act in reversed(review_keys.with_classes(project, KEYS).items())}

    def button(label: str, act: str, **more: Any) -> None:
        pressed = f" ({review_keys.name_of(keys[act])})" if act in keys else ""
        st.button(f"{label}{pressed}", key=f"{key}-{act}", on_click=_act, args=(project, act, state.event), **more)

    in_use = {record.id for record in project.store.classes.all()}
    said = dict.fromkeys(each.class_id for each in current.said if each.class_id in in_use)
    with st.container(horizontal=True):
        for class_id in said:
            if class_id is not None:
                leads = class_id == current.counts
                label = literal(styles[class_id].name)
                button(label, f"{review_keys.CLASS}{class_id}", type="primary" if leads else "secondary")
        button("No label", SKIP, icon=":material/block:")
        _undo_button(project, state)
    st.caption("Enter settles on what counts now; any class by its own key.")


def _undo_button(project: Project, state: _State) -> None:
    st.button(
        "Undo",
        key=f"settle-{project.slug}-{state.event}-undo",
        disabled=not state.done,
        on_click=_act,
        args=(project, UNDO, state.event),
        icon=":material/undo:",
    )


def _keys(project: Project, state: _State, current: Disagreement | None, *, alt: str) -> None:
    review_keys.listen(
        f"settle-keys-{project.slug}",
        event=state.event,
        keys=review_keys.with_classes(project, KEYS),
        undo=UNDO,
        is_asked=current is not None,
        can_undo=bool(state.done),
        alt=alt,
        pressed=lambda act, event: _act(project, act, event),
    )


def _act(project: Project, act: str, event: str) -> None:
    """One press, of a key or a button. A press for an image that is not the one on the screen any more does nothing."""
    state: _State | None = st.session_state.get(f"agreement-{project.slug}")
    if state is None or state.event != event:
        return
    state.event = uuid.uuid4().hex
    desk, who = desk_of(project), annotator()
    if act == UNDO:
        if state.done:
            last = state.done.pop()
            outcome = desk.record([last.undone(event, annotator=who, mode=AnswerMode.SETTLE)])[0]
            state.said = (
                literal(outcome.refused) if outcome.refused else f"Undone: image {last.image_id} is open again."
            )
        return
    waiting = people.to_settle(project, who)
    if not waiting:
        return
    current = waiting[0]
    if act == LEAD and current.counts is None:
        act = SKIP
    class_id = None if act == SKIP else current.counts if act == LEAD else int(act.removeprefix(review_keys.CLASS))
    given, refused = people.settle(desk, current, class_id, event, who)
    names = {record.id: record.name for record in project.store.classes.all(include_retired=True)}
    what = "no label" if class_id is None else literal(names.get(class_id, ""))
    state.said = literal(refused) if refused else f"Image {current.image_id} is settled: {what}."
    if given is not None:
        state.done.append(given)


# --- by class, by pair, by person


def _tables(project: Project, found: Agreeing) -> None:
    result, styles = found.result, looking.class_styles(project)
    if not result.images:
        return
    of_classes, of_pairs = st.columns(2, gap="large")
    with of_classes:
        st.markdown("### By class")
        table(
            [
                {
                    "Class": styles[each.class_id].name,
                    "Images": each.images,
                    "All agree": each.unanimous,
                    "Alpha": _number(each.alpha),
                }
                for each in result.classes
            ]
        )
        st.caption("Images that at least one person gave the class. Alpha: this class against all others.")
    with of_pairs:
        st.markdown("### By pair")
        if not people.may_see_people(project, is_owner=may_change()):
            st.caption("The owner of the project does not show how each person labels.")
            return
        table(
            [
                {
                    "People": f"{found.names[pair.first]} and {found.names[pair.second]}",
                    "Images": pair.images,
                    "The same": pair.same,
                    "Cohen's kappa": _number(pair.kappa),
                }
                for pair in result.pairs
            ]
        )
        st.caption(f"With fewer than {agreement.ENOUGH} images a kappa may be far off.")


def _people(project: Project) -> None:
    if not people.may_see_people(project, is_owner=may_change()):
        return
    everybody = project.store.people.all()
    if not everybody:
        return
    st.markdown("### By person")
    table([_row(person) for person in everybody])
    st.caption(
        "Labels per hour: of the time in which answers follow each other by at most two minutes. With the consensus: "
        "of the labels of images that others answered, too. Right: of the labels of images whose class is known, and "
        "of audit images that somebody else settled. "
        + ("Everybody sees this." if project.settings.people_shown else "Only the owner of the project sees this.")
    )


def _row(person: Person) -> dict[str, Any]:
    an_hour = 3600 * person.timed / person.active_seconds if person.active_seconds else None
    return {
        "Person": person.annotator,
        "Labels": person.labels,
        "Skips": person.skips,
        "Labels per hour": "–" if an_hour is None else f"{an_hour:,.0f}",
        "Median seconds": "–" if person.median_seconds is None else f"{person.median_seconds:.1f}",
        "With the consensus": _share(person.with_consensus, person.shared),
        "Right": _share(person.right, person.known),
    }


def _share(part: int, whole: int) -> str:
    return "–" if not whole else f"{part / whole:.0%} of {whole:,}"


def note_hidden(project: Project) -> None:
    """Say how many images are left out because this person is still to answer them."""
    n = len(again.hidden_from(project, annotator()))
    if n:
        images = "1 image is" if n == 1 else f"{n:,} images are"
        st.caption(f"{images} left out: you are still to answer what others have answered, without seeing it before.")
