"""Review: one label after the other that is probably wrong, and what a person says of it by one key.

What to look at is decided once, when the page opens or a round ends, so that answers do not wait for it; the list is
then shorter by each answer. Each image on the screen has an event id of its own: whatever comes twice, or late, from a
page that was drawn before, is stored once or not at all.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field

import streamlit as st

from tidal_core.figures.palettes import ClassStyle
from tidal_core.labelling import review
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.review import Suspect
from tidal_core.method import suspicion
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerMode, ImageRecord, RoundState
from tidal_core.rounds import again, similar
from tidal_core.rounds.suspicions import Suspicions, suspicions_of
from tidal_core.text import literal
from tidal_core.ui import agreement_view, life, looking, review_keys
from tidal_core.ui.address import LABEL_PAGE
from tidal_core.ui.runtime import annotator, get_studio
from tidal_core.ui.thumbnails import life_link, picture, show_picture, thumbnails

NOTHING_LEFT = "Nothing suspicious is left."
KEEP, CHANGE, UNSURE, UNDO = "keep", "change", "unsure", "undo"
KEYS = {"k": KEEP, " ": KEEP, "c": CHANGE, "Enter": CHANGE, "u": UNSURE, "z": UNDO, "Backspace": UNDO}
_SIDE = 560  # pixels of the image
_NEIGHBOURS = 8  # labelled images that are shown beside it


@dataclass
class _State:
    """What a browser looks at in one project."""

    version: tuple[object, ...]
    suspicions: Suspicions
    event: str  # id of the next answer
    done: list[Answer] = field(default_factory=list)
    said: str = ""  # of the last answer, as Markdown
    everything: bool = False
    left: int = 0  # suspects when the page was drawn last
    current: Suspect | None = None


def show(project: Project) -> None:
    """The whole page below its title."""
    state = _state(project)
    if not state.suspicions.signals and not (state.suspicions.twins > 0).any():
        _nothing_known(project)
        return
    ranking = _head(project, state)
    hidden = again.hidden_from(project, annotator())
    everything = review.waiting(project, state.suspicions, ranking, everything=state.everything)
    suspects = [each for each in everything if each.image_id not in hidden]
    agreement_view.note_hidden(project)
    state.current = suspects[0] if suspects else None
    state.left = len(suspects)
    current = state.current
    image = project.store.images.get(current.image_id) if current is not None else None
    shown = picture(project, image, _SIDE) if image is not None else None
    _keys(project, state, image, has_picture=shown is not None)  # before the picture: whoever sees it can answer it
    if state.said:
        st.caption(state.said)
    if current is None or image is None:
        _end(project, state)
    else:
        _suspect(project, state, current, image, shown)


def _version(project: Project) -> tuple[object, ...]:
    latest = project.store.rounds.latest(RoundState.DONE)
    classes = project.store.classes.all()
    return latest.id if latest else 0, tuple((record.id, record.name) for record in classes), str(project.folder)


def _state_key(project: Project) -> str:
    return f"review-state-{project.slug}"


def _state(project: Project) -> _State:
    """What this browser looks at; looked for anew after a round, and when classes change."""
    known: _State | None = st.session_state.get(_state_key(project))
    version = _version(project)
    if known is None or known.version != version:
        with st.spinner("Looking at every label…"):
            looked_at = suspicions_of(project)
        before = [] if known is None or known.version[2] != version[2] else known.done
        known = _State(version, looked_at, uuid.uuid4().hex, before)
        st.session_state[_state_key(project)] = known
    return known


def _nothing_known(project: Project) -> None:
    if len(project.store.classes.all()) < 2 and project.store.images.count():
        st.info("A label can be mistaken for another once there are two classes.")
        st.page_link(LABEL_PAGE, label="Label images", icon=":material/sell:")
        return
    looking.empty_state(project, "labels that are probably wrong")


def _head(project: Project, state: _State) -> str:
    """How many are worth a look, and by what they are ranked; returns the ranking."""
    suspicions = state.suspicions
    n, worth = len(suspicions.image_ids), review.worth_a_look(suspicions)
    contradictions = int((suspicions.twins > 0).sum())
    sentences = []
    if suspicions.signals and suspicions.contradicted:
        first = "the first one is" if worth == 1 else f"the first {worth:,} labels are"
        sentences.append(
            f"For **{suspicions.contradicted:,}** of {n:,} labels the model is confident of another class. "
            f"It is wrong about some of these, and others are mistakes: {first} worth a look."
        )
    elif suspicions.signals:
        sentences.append(f"For none of the {n:,} labels is the model confident of another class.")
    if contradictions:
        sentences.append(
            f"{contradictions:,} show the same as an image with another label, or came with two: they come first."
        )
    if not suspicions.signals:
        sentences.append("No model has judged the labels yet.")
    elif suspicions.is_out_of_fold:
        sentences.append("Each label is judged by models that did not train on its image.")
    else:
        sentences.append(
            "The model trained on these labels, so it may have learnt mistakes by heart. Each label is judged by how "
            "hard it was to learn."
        )
    st.markdown(" ".join(sentences))
    choices = [suspicion.DEFAULT, *suspicions.signals]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        ranking = st.selectbox(
            "Ranked by",
            choices,
            format_func=lambda name: "All together" if name == suspicion.DEFAULT else suspicion.SIGNALS[name].title,
            key=f"review-ranking-{project.slug}",
            help="\n\n".join(f"**{signal.title}**: {signal.meaning}" for signal in suspicion.SIGNALS.values()),
            width=260,
        )
        st.button(
            "Look again",
            key=f"review-again-{project.slug}",
            icon=":material/refresh:",
            help="Judge all labels of now, those of the last minutes, too.",
            on_click=lambda: st.session_state.pop(_state_key(project), None),
        )
    st.caption("Images that measure accuracy are left out: mending some of them would make the model look better.")
    return str(ranking)


def _end(project: Project, state: _State) -> None:
    st.success(NOTHING_LEFT, icon=":material/check_circle:")
    worth, n = review.worth_a_look(state.suspicions), len(state.suspicions.image_ids)
    if not state.everything and worth < n:

        def go_on() -> None:
            state.everything = True

        st.button(f"Look at the other {n - worth:,}, too", key=f"review-rest-{project.slug}", on_click=go_on)
    _undo_button(project, state)


def _suspect(
    project: Project, state: _State, suspect: Suspect, image: ImageRecord, shown: tuple[bytes, str] | None
) -> None:
    styles = looking.class_styles(project)
    side, main = st.columns([1, 1], gap="large")
    with side:
        show_picture(shown, alt=_alt(image))
        life_link(project, image)
    with main:
        st.markdown(f"## {literal(styles[suspect.label].name)}?")
        st.markdown(_thoughts(project, suspect, styles))
        _buttons(project, state, suspect, styles)
        st.caption(f"{state.left:,} to look at.")
        if suspect.twin is not None:
            _twin(project, suspect, styles)
        _neighbours(project, state, suspect, styles)
    life.last_curve(project, image)


def _thoughts(project: Project, suspect: Suspect, styles: dict[int, ClassStyle]) -> str:
    """What the model thinks, and since when, as Markdown."""
    if suspect.suggested is None:
        return "The model has not judged this label yet."
    if math.isnan(suspect.p_label):
        return ""
    label, other = literal(styles[suspect.label].name), literal(styles[suspect.suggested].name)
    sentence = f"The model gives **{other}** {suspect.p_suggested:.0%} and **{label}** {suspect.p_label:.0%}."
    known = review.since(project, suspect)
    if known.round_id is not None:
        sentence += f" It has predicted {other} since round {known.round_id}"
        sentence += f", in the last one from epoch {known.epoch} on." if known.epoch is not None else "."
    elif known.epoch is not None:
        sentence += f" {other} has led since epoch {known.epoch} of the last round."
    return sentence


def _buttons(project: Project, state: _State, suspect: Suspect, styles: dict[int, ClassStyle]) -> None:
    """For the mouse, and what the keys are; each button is of this image alone."""
    key = f"review-{project.slug}-{state.event}"
    shown = {act: shown_key for shown_key, act in reversed(review_keys.with_classes(project, KEYS).items())}
    with st.container(horizontal=True):
        st.button(
            f"Keep ({review_keys.name_of(shown[KEEP])})",
            key=f"{key}-keep",
            on_click=_act,
            args=(project, KEEP, state.event),
            icon=":material/check:",
        )
        if suspect.suggested is not None:
            st.button(
                f"{literal(styles[suspect.suggested].name)} ({review_keys.name_of(shown[CHANGE])})",
                key=f"{key}-change",
                type="primary",
                on_click=_act,
                args=(project, CHANGE, state.event),
                icon=":material/edit:",
            )
        st.button(
            f"Unsure ({review_keys.name_of(shown[UNSURE])})",
            key=f"{key}-unsure",
            on_click=_act,
            args=(project, UNSURE, state.event),
            icon=":material/flag:",
        )
        _undo_button(project, state)
    others = [record for record in project.store.classes.all() if record.id != suspect.label]
    keys = {record.id: f" ({record.key})" if record.key else "" for record in others}
    chosen = st.selectbox(
        "Another class",
        list(keys),
        index=None,
        format_func=lambda class_id: styles[class_id].name + keys[class_id],
        placeholder="Choose, or press its key",
        key=f"{key}-other",
        width=260,
    )
    if chosen is not None:
        st.button(
            "Change",
            key=f"{key}-to-{chosen}",
            on_click=_act,
            args=(project, f"{review_keys.CLASS}{chosen}", state.event),
        )


def _undo_button(project: Project, state: _State) -> None:
    shown = next(
        review_keys.name_of(key) for key, act in review_keys.with_classes(project, KEYS).items() if act == UNDO
    )
    st.button(
        f"Undo ({shown})",
        key=f"review-{project.slug}-{state.event}-undo",
        disabled=not state.done,
        on_click=_act,
        args=(project, UNDO, state.event),
        icon=":material/undo:",
    )


def _twin(project: Project, suspect: Suspect, styles: dict[int, ClassStyle]) -> None:
    if suspect.twin == suspect.image_id:
        other = project.store.answers.two_labels().get(suspect.image_id)
        if other is not None:
            name = literal(styles[other].name)
            st.warning(f"It was imported with a second label: {name}.", icon=":material/content_copy:")
        return
    answer = project.store.answers.current(suspect.twin or 0)
    if answer is None or answer.answer.class_id is None:
        return
    name = literal(styles[answer.answer.class_id].name)
    st.warning(f"Image {suspect.twin} shows the same and is labelled {name}.", icon=":material/content_copy:")


def _neighbours(project: Project, state: _State, suspect: Suspect, styles: dict[int, ClassStyle]) -> None:
    ids = similar.nearest(project, suspect.image_id, state.suspicions.image_ids, _NEIGHBOURS).tolist()
    hidden = again.hidden_from(project, annotator())
    ids = [image_id for image_id in ids if image_id not in hidden]
    if suspect.twin not in (None, suspect.image_id, *ids):
        ids = [suspect.twin, *ids]
    if not ids:
        return
    labels = dict(zip(state.suspicions.image_ids.tolist(), state.suspicions.labels.tolist(), strict=True))
    st.markdown("**Labelled images most like it**")
    thumbnails(project, ids, "review-near", captions=lambda image: styles[labels[image.id]].name)


def _alt(image: ImageRecord) -> str:
    return f"Image {image.id}, to review"


# --- answers


def _keys(project: Project, state: _State, image: ImageRecord | None, *, has_picture: bool) -> None:
    """Listen to keys, for this image and once; a picture that is not painted yet is not answered."""
    review_keys.listen(
        f"review-keys-{project.slug}",
        event=state.event,
        keys=review_keys.with_classes(project, KEYS),
        undo=UNDO,
        is_asked=image is not None,
        can_undo=bool(state.done),
        alt=_alt(image) if image is not None and has_picture else "",
        pressed=lambda act, event: _act(project, act, event),
    )


def _act(project: Project, act: str, event: str) -> None:
    """One press, of a key or a button. A press for an image that is not the one on the screen any more does nothing."""
    state: _State | None = st.session_state.get(_state_key(project))
    if state is None or event != state.event:
        return
    if act == UNDO:
        _undo(project, state)
    elif state.current is not None:
        _answer(project, state, state.current, act)
    state.event = uuid.uuid4().hex
    get_studio().worker.wake()


def _answer(project: Project, state: _State, suspect: Suspect, act: str) -> None:
    names = {record.id: record.name for record in project.store.classes.all(include_retired=True)}
    desk, who = desk_of(project), annotator()
    class_id = int(act.removeprefix(review_keys.CLASS)) if act.startswith(review_keys.CLASS) else suspect.suggested
    if act == UNSURE:
        given, refused = review.answer(desk, suspect, "unsure", state.event, who)
        said = "flagged: unsure"
    elif act == KEEP or class_id == suspect.label:
        given, refused = review.answer(desk, suspect, "keep", state.event, who)
        said = f"{literal(names[suspect.label])} kept"
    elif class_id is None:
        return
    else:
        given, refused = review.answer(desk, suspect, "change", state.event, who, class_id)
        said = f"{literal(names[suspect.label])} is now {literal(names.get(class_id, ''))}"
    state.said = literal(refused) if refused else f"Image {suspect.image_id}: {said}."
    if given is not None:
        state.done.append(given)


def _undo(project: Project, state: _State) -> None:
    if not state.done:
        return
    last = state.done.pop()
    undo = last.undone(state.event, annotator=annotator(), mode=AnswerMode.REVIEW)
    outcome = desk_of(project).record([undo])[0]
    state.said = literal(outcome.refused) if outcome.refused else f"Undone: image {last.image_id} is here again."
