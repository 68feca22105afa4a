"""Two screens of what a round has chosen: what the model is unsure of and why, and what it asks next."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tidal_core import strategies
from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.figures import life as life_figures
from tidal_core.figures import present as figures
from tidal_core.figures.look import enlarged
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.words import present as words
from tidal_core.labelling import explaining
from tidal_core.projects import Project
from tidal_core.records import RoundRecord
from tidal_core.rounds.due import count_for_round
from tidal_core.text import literal
from tidal_core.ui import charts, life, looking, pool_view
from tidal_core.ui.present import live
from tidal_core.ui.present.page import Page
from tidal_core.ui.present.tiles import tiles

NEXT = 20  # images at most
UNSURE, NEXT_TITLE = "What the model is unsure of", "What it asks next"


def version(project: Project) -> tuple[object, ...]:
    """Changes with each round, and while images are answered."""
    return (*live.state_of(project), project.store.answers.last_seq())


def not_yet(project: Project, title: str, what: str) -> Page:
    """A screen that needs a finished round."""
    active, acts = project.store.rounds.active(), live.next_round(project, "Let the autopilot go on to the first round")
    if active is not None or live.flies(project):
        return Page(title, f"{what} after the first round, which is under way.", None)
    if acts:
        return Page(title, f"{what} after the first round.", None, acts)
    return Page(title, f"{what} after the first round. {live.by_hand(project)}", None)


def unsure(project: Project, height: int) -> Page:
    """The image of the pool that is least certain, and between which classes."""
    done = looking.done_rounds(project)
    if not done:
        return not_yet(project, UNSURE, "The model shows what it is unsure of")
    newest = done[-1]
    image_id = _least_certain(project, newest)
    if image_id is None:
        return Page(UNSURE, "No image without a label is left to be unsure of.", None)
    why = explaining.reasons(project, image_id)
    styles = looking.class_styles(project, newest)
    classes = [styles[share.class_id] for share in why.classes]
    p = [share.p for share in why.classes]
    td = [share.td for share in why.classes]
    dynamics = None if any(value is None for value in td) else np.array(td, dtype=np.float64)
    info = figures.shares_info(classes, p, dynamics)
    sentence = words.unsure(classes, p, None if dynamics is None else dynamics.tolist())
    image = project.store.images.get(image_id)
    curves = life.last_info(project, image)

    def exhibit() -> None:
        side, main = st.columns([1, 2], gap="large", vertical_alignment="center")
        theme = charts.page_theme()
        with side:
            tiles(project, [image_id], "unsure", room="27vw")
        with main:
            figure = life_figures.life_figure(curves[1], theme) if curves else figures.shares_figure(info, theme)
            charts.draw(
                enlarged(figure, height=height), f"Probabilities of image {image_id}", f"present-unsure-{project.slug}"
            )

    note = " ".join(filter(None, (why.unsettled, project.store.classes.names_told(newest))))
    return Page(UNSURE, sentence, exhibit, note=literal(note))


def _least_certain(project: Project, newest: RoundRecord) -> int | None:
    """The image that the round's own score, else the dynamics, calls least certain and that nobody has answered."""
    table = looking.pool_table(project, newest.id, looking.key_of(project, newest))
    own = strategies.of_round(newest.strategy).estimator
    names = [*([own.name] if own else []), *COMPARED_ESTIMATORS]
    name = next((name for name in names if pool_view.has(table, name)), None)
    ids = np.asarray(table["image_id"])
    if name is None or not len(ids):
        return None
    urgency = ESTIMATORS[name].urgency(np.ma.filled(np.ma.asarray(table[name], dtype=np.float64), np.nan))
    free = np.isin(ids, project.store.images.unlabelled_ids()) & np.isfinite(urgency)
    return int(ids[free][np.argmax(urgency[free])]) if free.any() else None


def asked_next(project: Project, height: int) -> Page:
    """The next images, with what the model takes them for."""
    done = looking.done_rounds(project)
    if not done:
        return not_yet(project, NEXT_TITLE, "The model chooses what it asks next")
    newest = done[-1]
    ids = project.store.queue.next_to_train_on(min(project.settings.labels_per_round, NEXT))
    table = looking.pool_table(project, newest.id, looking.key_of(project, newest))
    predicted = dict(zip(np.asarray(table["image_id"]).tolist(), np.asarray(table["predicted"]).tolist(), strict=True))
    styles = looking.class_styles(project)
    guesses = {
        image_id: ClassStyle(0, f"{styles[predicted[image_id]].name}?", styles[predicted[image_id]].colour)
        for image_id in ids
        if predicted.get(image_id) in styles
    }
    strategy = strategies.of_round(newest.strategy)
    left = count_for_round(project).tally.left
    acts = live.next_round(project)
    return Page(
        NEXT_TITLE,
        words.asked_next(len(ids), left, literal(strategy.explanation)),
        (lambda: tiles(project, ids, "next", classes=guesses)) if ids else None,
        acts,
        note=f"Chosen after round {newest.id} by {literal(strategy.title)}; below each, what the model takes it for"
        if ids
        else "",
    )
