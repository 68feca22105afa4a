"""The table of a round's predictions, a page of it at a time, and its downloads.

Images that are kept to measure accuracy are in it once they are labelled: before, it would tell their labeller what
the model says. Skipped and hidden ones are left out for the same reason; the downloads have all.
"""

from __future__ import annotations

import base64
import math

import streamlit as st

from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, RoundRecord
from tidal_core.rounds import again
from tidal_core.store.predictions import PredictionRow
from tidal_core.ui import looking
from tidal_core.ui.forms import table
from tidal_core.ui.runtime import annotator
from tidal_core.ui.table_downloads import prediction_downloads
from tidal_core.ui.thumbnails import picture

ROWS_AT_ONCE = 25
ORDERS = {"surest": "most certain first", "least sure": "least certain first", "image": "by image number"}
WHO = {"all": "all images", "unlabelled": "not labelled", "labelled": "labelled", "differ": "label differs"}
_THUMBNAIL = 96  # pixels


def predictions(project: Project, done: list[RoundRecord]) -> None:
    """The table of one round, by class and in an order that a person chooses."""
    rounds = {record.id: record for record in done}
    key = f"predictions-{project.slug}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        round_id = st.selectbox(
            "Round",
            list(rounds)[::-1],
            format_func=lambda number: f"Round {number}, {rounds[number].labels:,} labels",
            key=f"{key}-round",
            width=220,
        )
        styles = looking.class_styles(project, rounds[round_id])
        class_id = st.selectbox(
            "Predicted class",
            [None, *rounds[round_id].class_ids],
            format_func=lambda chosen: "all classes" if chosen is None else styles[chosen].name,
            key=f"{key}-class-{round_id}",
            width=220,
        )
        who = st.selectbox("Images", list(WHO), format_func=WHO.__getitem__, key=f"{key}-who", width=180)
        order = st.selectbox("Order", list(ORDERS), format_func=ORDERS.__getitem__, key=f"{key}-order", width=200)
    stored = project.store.predictions
    n = stored.count(round_id, class_id, who)
    pages = max(1, math.ceil(n / ROWS_AT_ONCE))
    page = 1
    if pages > 1:
        chosen_key = f"{key}-page-{round_id}-{class_id}-{who}-{order}"
        page = int(st.number_input(f"Page, of {pages:,}", 1, pages, 1, key=chosen_key, width=160))
    rows = stored.some(round_id, class_id, who, order, (page - 1) * ROWS_AT_ONCE, ROWS_AT_ONCE)
    st.caption(f"{n:,} images." if n else "No image is like that.")
    looking.say_names(project, rounds[round_id])
    if rows:
        names = {class_id: style.name for class_id, style in styles.items()}
        hidden = again.hidden_from(project, annotator())
        rows = [row for row in rows if row.image_id not in hidden]
        images = {image.id: image for image in project.store.images.many(row.image_id for row in rows)}
        table(
            [_cells(project, images[row.image_id], row, names) for row in rows],
            row_height=64,
            column_config={
                "": st.column_config.ImageColumn(width="small"),
                "Probability": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
            },
        )
    withheld = stored.count_withheld(round_id)
    if withheld:
        st.caption(
            f"{withheld:,} images without a label are not in this table, because whoever labels them should not know "
            "what the model says: those kept to measure accuracy, skipped and hidden ones. The downloads have all."
        )
    prediction_downloads(project, round_id)


def _cells(project: Project, image: ImageRecord, row: PredictionRow, names: dict[int, str]) -> dict[str, object]:
    shown = picture(project, image, _THUMBNAIL)
    name = desk_of(project).names().of(image.name)
    return {
        "": f"data:{shown[1]};base64,{base64.b64encode(shown[0]).decode()}" if shown else None,
        "Image": image.id,
        "Name": name,
        "Predicted": names[row.predicted],
        "Probability": row.p,
        "Label": names[row.label] if row.label is not None else "",
    }
