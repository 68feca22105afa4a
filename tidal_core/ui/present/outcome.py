"""The last two screens: a wrong label found by its curve, and what it came to."""

from __future__ import annotations

import math
import uuid

import numpy as np
import streamlit as st

from tidal_core.access.people import Role
from tidal_core.figures import life as life_figures
from tidal_core.figures.look import enlarged
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.words import present as words
from tidal_core.figures.words.common import counted
from tidal_core.labelling import review
from tidal_core.labelling.autopilot import AUTOPILOT
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.review import Act as Judgement
from tidal_core.labelling.review import Suspect
from tidal_core.method import suspicion
from tidal_core.method.dynamics import Interval, wilson
from tidal_core.projects import Project
from tidal_core.rounds.due import count_for_round
from tidal_core.rounds.suspicions import Suspicions, suspicions_of
from tidal_core.text import literal
from tidal_core.ui import charts, life, looking
from tidal_core.ui import measured as measuring
from tidal_core.ui.measured import Tested
from tidal_core.ui.present import live
from tidal_core.ui.present.page import Act, Page
from tidal_core.ui.present.reasons import not_yet
from tidal_core.ui.present.tiles import tiles
from tidal_core.ui.runtime import annotator, get_studio

MISTAKE = "Which label is wrong? Its curve tells"
SURE = 24  # images


def version(project: Project) -> tuple[object, ...]:
    """Changes with each round, and every twenty labels."""
    return (*live.state_of(project), project.store.answers.last_seq() // 20)


# --- a wrong label


@st.cache_resource(max_entries=4, show_spinner="Looking at every label…")
def _suspicions(_project: Project, key: str) -> Suspicions:
    """What speaks against the labels that the newest round trained on, which ``key`` names."""
    return suspicions_of(_project)


def mistake(project: Project, height: int) -> Page:
    """The label that its curve speaks against most."""
    done = looking.done_rounds(project)
    if not done:
        return not_yet(project, MISTAKE, "Labels can be judged by their curves")
    suspicions = _suspicions(project, looking.key_of(project, done[-1]))
    suspects = review.waiting(project, suspicions, suspicion.DEFAULT, everything=True) if suspicions.signals else []
    found = _with_curve(project, suspects)
    more = live.next_round(project, "Let the autopilot label on, with some mistakes", live.MISTAKES)
    if found is None or not _is_worth_it(project, suspicions, can_wait=bool(more)):
        return _nothing_doubtful(project, len(suspicions.image_ids), more)
    suspect, curves = found
    styles = looking.class_styles(project)
    image = project.store.images.get(suspect.image_id)
    label, other = styles[suspect.label], styles[suspect.suggested or suspect.label]
    known = styles.get(image.known_class) if image.known_class else None
    rows = looking.map_rows(project, done[-1].id, looking.key_of(project, done[-1]), looking.labels_version(project))
    learnt = rows.statistics["first_learnt"]
    own = learnt[rows.image_ids == suspect.image_id]
    doubt = words.Doubt(
        label,
        other,
        len(suspicions.image_ids),
        suspect.p_label,
        suspect.p_suggested,
        float(own[0]) if len(own) else math.nan,
        float(np.median(np.where(learnt == 0, np.inf, learnt))) if len(learnt) else math.nan,
        suspicions.is_out_of_fold,
    )

    def exhibit() -> None:
        side, main = st.columns([1, 2], gap="large", vertical_alignment="center")
        with side:
            tiles(project, [suspect.image_id], "mistake", room="27vw")
        with main:
            figure = enlarged(life_figures.life_figure(curves, charts.page_theme()), height=height)
            charts.draw(figure, f"Probabilities of image {suspect.image_id}", f"present-mistake-{project.slug}")

    sentence = f"{words.suspect(doubt)} {words.truth(known, label)}".strip()
    return Page(MISTAKE, sentence, exhibit, (*_judgements(project, suspect, other), *more))


def _is_worth_it(project: Project, suspicions: Suspicions, *, can_wait: bool) -> bool:
    """Whether to show the most doubtful label: one is contradicted, or mistakes are known to be among those judged.

    Where labels are on their way, or the autopilot could give some, the screen waits for them instead.
    """
    if review.worth_a_look(suspicions):
        return True
    if live.flies(project) or project.store.rounds.active() is not None:
        return False
    return not can_wait or project.store.answers.given_by(AUTOPILOT).mistakes > 0


def _nothing_doubtful(project: Project, n: int, more: tuple[Act, ...]) -> Page:
    sentence = f"No curve speaks against any of the {counted(n, 'label')} that the model has learnt from."
    if live.flies(project) or project.store.rounds.active() is not None:
        sentence = f"{sentence} More are on their way; the next round judges them."
    elif not more:
        sentence = f"{sentence} {live.by_hand(project)}"
    return Page(MISTAKE, sentence, None, more)


def _with_curve(project: Project, suspects: list[Suspect]) -> tuple[Suspect, life_figures.LifeInfo] | None:
    """The first suspect that has a curve of the label that stands."""
    for suspect in suspects:
        if suspect.suggested is None or not suspect.p_label >= 0:
            continue
        last = life.last_info(project, project.store.images.get(suspect.image_id))
        if last is not None and last[1].classes[0].id == suspect.label:
            return suspect, last[1]
    return None


def _judgements(project: Project, suspect: Suspect, other: ClassStyle) -> tuple[Act, ...]:
    """By the keys of the page Review."""

    def judge(act: Judgement, class_id: int | None = None) -> str:
        _, refused = review.answer(desk_of(project), suspect, act, uuid.uuid4().hex, annotator(), class_id)
        get_studio().worker.wake()
        return refused

    return (
        Act("c", f"Change it to {literal(other.name)}", lambda: judge("change", other.id), Role.ANNOTATOR),
        Act("k", "Keep it", lambda: judge("keep"), Role.ANNOTATOR),
    )


def mistake_version(project: Project) -> tuple[object, ...]:
    """Changes with each round, and when a label was looked at."""
    return (*live.state_of(project), len(project.store.answers.reviewed(review.REASON)))


# --- the end


def finish(project: Project, height: int) -> Page:
    """What all labels have come to."""
    tally, done = count_for_round(project).tally, looking.done_rounds(project)
    measured = measuring.tested(project, done)
    accuracy = None if measured is None else _newest(measured)
    honest = measured is not None and measured.is_comparable
    sentence = words.finish(tally.labelled, tally.images, accuracy, honest=honest)

    def exhibit() -> None:
        if not done:
            return
        ids, classes = _surest(project, done[-1].id, looking.key_of(project, done[-1]))
        tiles(project, ids, "finish", classes=classes)

    acts = live.next_round(project)
    shows = bool(done and tally.left)
    note = "Images without a label that the model is surest of, with what it takes them for" if shows else ""
    return Page(f"{tally.labelled:,} of {tally.images:,} labelled", sentence, exhibit, acts, note=note)


def _surest(project: Project, round_id: int, key: str) -> tuple[list[int], dict[int, ClassStyle]]:
    """Images without a label, the surest first, and the class that the model gives each."""
    table = looking.pool_table(project, round_id, key)
    ids = np.asarray(table["image_id"])
    free = np.isin(ids, project.store.images.unlabelled_ids())
    sure = np.ma.filled(np.ma.asarray(table["confidence"], dtype=np.float64), -np.inf)
    order = [row for row in np.argsort(-sure, kind="stable") if free[row]][:SURE]
    styles = looking.class_styles(project)
    predicted = np.asarray(table["predicted"])
    return [int(ids[row]) for row in order], {int(ids[row]): styles[int(predicted[row])] for row in order}


def _newest(measured: Tested) -> Interval:
    return wilson(measured.right[-1], measured.tested[-1])
