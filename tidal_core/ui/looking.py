"""What the pages that look at rounds share: class colours, cached reads of finished rounds, empty states.

A finished round never changes, so what was read of it is kept for everybody. The key holds the project's folder and
the round's time stamp: a project made anew under an old name has other rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.uncertainty import BINS
from tidal_core.projects import Project
from tidal_core.records import Int64, RoundRecord, RoundState
from tidal_core.rounds.due import round_due
from tidal_core.store.views import ExactMapRows, MapRows
from tidal_core.text import literal, plain_colour
from tidal_core.ui.address import LABEL_PAGE, PROJECT_PAGE, TRAINING_PAGE

BAND_IMAGES = 4_000  # quartiles of more images look the same and take longer than a page may
BAND_EPOCHS = 30  # of as many images, for the same reason


def class_styles(project: Project, record: RoundRecord | None = None) -> dict[int, ClassStyle]:
    """Name and colour of every class, retired ones too, by id.

    Of a round as they were when it began, and of classes that came later as they are; say so with ``say_names``.
    """
    if record is None:
        classes = {each.id: each for each in project.store.classes.all(include_retired=True)}
    else:
        then, now = project.store.classes.then_and_now(record)
        classes = now | then
    return {each.id: ClassStyle(each.id, each.name, plain_colour(each.colour)) for each in classes.values()}


def styles_of(project: Project, record: RoundRecord) -> list[ClassStyle]:
    """The classes of a round in its order, as they were when it began."""
    styles = class_styles(project, record)
    return [styles[class_id] for class_id in record.class_ids]


def say_names(project: Project, record: RoundRecord) -> None:
    """Say how the classes of a round differ from those of now; nothing where they do not."""
    sentence = project.store.classes.names_told(record)
    if sentence:
        st.caption(literal(sentence))


def done_rounds(project: Project) -> list[RoundRecord]:
    """Finished rounds, oldest first."""
    return [record for record in project.store.rounds.all() if record.state is RoundState.DONE]


def empty_state(project: Project, what: str) -> None:
    """Say what a page will show and what is missing, with the way there. Nothing else is drawn then."""
    store = project.store
    latest = store.rounds.latest()
    active = store.rounds.active()
    st.markdown(f"## :material/hourglass_empty: Not yet: {what}")
    if active is not None:
        st.info(f"Round {active.id} is running. This page fills in by itself when the round is done.")
        st.page_link(TRAINING_PAGE, label="Watch it train", icon=":material/model_training:")
        return
    if latest is not None and latest.state is RoundState.FAILED:
        st.error(f"Round {latest.id} failed: {literal(latest.error or '')}", icon=":material/error:")
        st.page_link(TRAINING_PAGE, label="See what happened and try again", icon=":material/model_training:")
    due = round_due(project)
    if not store.images.count():
        st.info("This project has no images yet.")
        st.page_link(PROJECT_PAGE, label="Add images", icon=":material/folder_open:")
        return
    if due.why_not:
        st.info(due.why_not)
        st.page_link(PROJECT_PAGE, label="Add classes", icon=":material/category:", query_params={"tab": "Classes"})
        return
    missing = due.missing if due.left else 0
    more = f"Label {missing} more image{'s' if missing != 1 else ''} to see this."
    st.info(more if missing else literal(due.sentence))
    if due.left:
        st.page_link(LABEL_PAGE, label="Label images", icon=":material/sell:")
    elif due.startable:
        st.page_link(TRAINING_PAGE, label="Train now", icon=":material/model_training:")


@st.fragment(run_every=4.0)
def watch(project: Project, seen: tuple[int, int]) -> None:
    """Run the page again when a round began or ended since ``seen``: ``state_of`` before it drew. Draws nothing."""
    if state_of(project) != seen:
        st.rerun(scope="app")


def state_of(project: Project) -> tuple[int, int]:
    """Changes when a round begins or ends, however it ends: the newest round, and the one under way (0: none)."""
    latest, active = project.store.rounds.latest(), project.store.rounds.active()
    return latest.id if latest else 0, active.id if active else 0


def labels_version(project: Project) -> str:
    """Changes with every answer, and with every class that is added, changed, merged or retired."""
    classes = project.store.classes.all(include_retired=True)
    return f"{project.store.answers.last_seq()}|{hash(tuple(classes))}"


def key_of(project: Project, record: RoundRecord) -> str:
    """Names a finished round among all projects of this process."""
    return f"{project.folder}|{record.id}|{record.created_at.isoformat()}"


@st.cache_data(max_entries=20, show_spinner=False)
def map_rows(_project: Project, round_id: int, key: str, labels: str) -> MapRows:
    """The data map's rows; ``labels`` (``labels_version``) because annotators can change by an undo."""
    return _project.store.views.map(round_id)


@st.cache_data(max_entries=6, show_spinner=False)
def exact_map_rows(_project: Project, round_id: int, key: str, labels: str) -> ExactMapRows:
    """The data map's rows of all images; ``labels`` (``labels_version``) because images are labelled meanwhile."""
    return _project.store.views.exact_map(round_id)


@st.cache_data(max_entries=200, show_spinner=False)
def _histogram(_project: Project, round_id: int, key: str, estimator: str, classes: int, batch: int, asked: int) -> Any:
    low, high = ESTIMATORS[estimator].bounds(classes)
    return _project.store.views.histogram(round_id, estimator, low, high, BINS, next_batch=batch)


def histograms(project: Project, records: Sequence[RoundRecord], estimator: str) -> Int64:
    """Counts (R, 3, BINS) of finished rounds; those whose ranking no longer serves come from the cache."""
    batch = project.settings.labels_per_round
    newest = records[-1].id
    last_answer = project.store.answers.last_seq()
    codes = []
    for record in records:
        serves = record.id == newest
        codes.append(
            _histogram(
                project,
                record.id,
                key_of(project, record),
                estimator,
                len(record.class_ids),
                batch if serves else 0,
                last_answer if serves else 0,
            )
        )
    return np.array(codes, dtype=np.int64)


@st.cache_data(max_entries=4, show_spinner=False)
def pool_table(_project: Project, round_id: int, key: str) -> dict[str, Any]:
    """All estimators of a finished round's pool."""
    return _project.store.scores.table(round_id)


@st.cache_data(max_entries=20, show_spinner=False)
def band_counts(
    _project: Project, round_id: int, key: str, places: Int64, groups: Int64, rows: Int64, labels: str
) -> tuple[Int64, Int64]:
    """Spread of p(label) per group; ``rows`` of the map are counted, ``places`` and ``groups`` are theirs."""
    rows_of_map = map_rows(_project, round_id, key, labels)
    return _project.store.views.bands(
        round_id,
        rows_of_map.image_ids[rows],
        places,
        rows_of_map.class_ids[rows],
        groups,
        most_epochs=BAND_EPOCHS if len(rows) >= BAND_IMAGES else 0,
    )
