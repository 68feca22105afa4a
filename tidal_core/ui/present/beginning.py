"""The first three screens: the collection, the first ten labels, the first round."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tidal_core.figures import training as figures
from tidal_core.figures.look import enlarged
from tidal_core.figures.words import present as words
from tidal_core.figures.words.common import counted
from tidal_core.labelling.autopilot import AUTOPILOT
from tidal_core.method.dynamics import Interval, wilson
from tidal_core.projects import Project
from tidal_core.records import RoundRecord, RoundState
from tidal_core.rounds.due import count_for_round, round_due
from tidal_core.text import literal, seconds_in_words, took
from tidal_core.ui import charts, looking, rounds_view
from tidal_core.ui import measured as measuring
from tidal_core.ui.address import LABEL_PAGE, PROJECT_PAGE
from tidal_core.ui.present import live
from tidal_core.ui.present.page import Page
from tidal_core.ui.present.tiles import tiles
from tidal_core.ui.runtime import get_studio
from tidal_core.ui.sidebar import progress_of

MOSAIC = 60


def collection(project: Project, height: int) -> Page:
    """How many images there are, and some of them."""
    tally = count_for_round(project).tally
    styles = looking.class_styles(project)
    classes = [styles[record.id] for record in project.store.classes.all()]
    shown = _at_random(project)
    if not tally.images:
        return Page("No images yet", "Add images on the page Project, and come back.", _to_project)
    return Page(
        counted(tally.images),
        words.collection(tally.images, tally.labelled, classes),
        lambda: tiles(project, shown, "collection"),
        note=f"{len(shown):,} of them, drawn at random" if len(shown) < tally.images else "",
    )


def _at_random(project: Project) -> list[int]:
    """Images drawn at random, the same ones each time; by the order fixed at the import where there is one."""
    shown = project.store.images.front_of_audit_order(MOSAIC)
    if not len(shown):
        ids = project.store.images.unlabelled_ids()
        shown = np.random.default_rng(project.settings.seed).permutation(ids)[:MOSAIC]
    return shown.tolist()  # type: ignore[no-any-return]


def collection_version(project: Project) -> tuple[object, ...]:
    """Images come by an import, labels by people."""
    return (project.store.images.count(), project.store.answers.last_seq() // 20)


def _to_project() -> None:
    st.page_link(PROJECT_PAGE, label="Add images", icon=":material/folder_open:")


def _to_label() -> None:
    st.page_link(LABEL_PAGE, label="Label images", icon=":material/sell:")


def first(project: Project, height: int) -> Page:
    """The first ten labels that stand, as they come."""
    labels = project.store.answers.labels()
    order = np.argsort(labels.seqs, kind="stable")[: words.FIRST]
    ids, class_ids = labels.image_ids[order].tolist(), labels.class_ids[order].tolist()
    styles = looking.class_styles(project)
    by_image = {image_id: styles[class_id] for image_id, class_id in zip(ids, class_ids, strict=True)}
    answers = [project.store.answers.current(image_id) for image_id in ids]
    by_autopilot = all(stored is not None and stored.answer.annotator == AUTOPILOT for stored in answers)
    sentence = words.first_labels(len(ids), len(set(class_ids)), by_autopilot=by_autopilot)
    acts = live.first_labels(project, len(ids)) if len(ids) < words.FIRST else ()
    if len(ids) < words.FIRST and not acts:
        sentence += f" {live.by_hand(project)}"

    def exhibit() -> None:
        tiles(project, ids, "first", classes=by_image, places=words.FIRST)
        if len(ids) < words.FIRST and not acts:
            _to_label()

    return Page("The first ten labels", sentence, exhibit, acts)


def first_version(project: Project) -> tuple[object, ...]:
    """Until there are ten, each label."""
    return min(project.store.answers.tally().labelled, words.FIRST), live.flies(project)


def first_round(project: Project, height: int) -> Page:
    """The first round as it trains, and what it came to."""
    records = project.store.rounds.all()
    record = next((each for each in records if each.state is RoundState.DONE), records[-1] if records else None)
    if record is None or (not record.state.is_active and record.state is not RoundState.DONE):
        return _before_round(project, record)
    info = rounds_view.info_of(project, record.id)
    if record.state is RoundState.DONE:
        sentence = _done(project, record)
    else:
        epoch, share = (0, None) if info is None else (int(info.epoch[-1]), float(info.accuracy[-1]))
        sentence = words.round_running(record.labels, epoch, 0 if info is None else info.epochs, share)

    def exhibit() -> None:
        if info is None:
            share, text = progress_of(get_studio().worker.progress(project.slug))
            st.progress(share, text=text)
            return
        theme = charts.page_theme()
        charts.draw_live(
            lambda: enlarged(figures.learnt_figure(info, theme), height=height),
            "Labelled images that are right, epoch by epoch",
            f"present-round-{project.slug}",
            (project.slug, record.id, height, len(info.epoch)),
        )

    return Page("The first round", sentence, exhibit)


def _before_round(project: Project, failed: RoundRecord | None) -> Page:
    due = round_due(project)
    acts = live.next_round(project, "Let the autopilot label what it needs")
    if failed is not None and failed.state is RoundState.FAILED:
        sentence = f"The round failed: {literal(failed.error or '')}"
    else:
        sentence = words.round_before(due.missing, literal(due.why_not or due.hindrance))
    if not acts and not live.flies(project):
        sentence += f" {live.by_hand(project)}"
    return Page("The first round", sentence, None if acts or live.flies(project) else _to_label, acts)


def _done(project: Project, record: RoundRecord) -> str:
    measured = measuring.tested(project, looking.done_rounds(project))
    accuracy: Interval | None = None
    if measured is not None and record.id in measured.by_round:
        place = [each.id for each in measured.rounds].index(record.id)
        accuracy = wilson(measured.right[place], measured.tested[place])
    seconds = seconds_in_words(took(record.started_at, record.finished_at))
    honest = measured is not None and measured.is_comparable
    return words.round_done(record.labels, seconds, accuracy, len(record.class_ids), honest=honest)


def round_version(project: Project) -> tuple[object, ...]:
    """Each epoch of the first round, and each label before it."""
    latest = project.store.rounds.latest()
    if latest is None:
        return (0, round_due(project).missing, live.flies(project))
    done = project.store.rounds.latest(RoundState.DONE)
    if done is not None:
        return (done.id > 0, live.flies(project))
    return (latest.id, latest.state, len(project.store.epochs.of(latest.id)), live.flies(project))
