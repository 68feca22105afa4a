"""Many labelled images at once: the data map with its selection, and the curves of groups."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from tidal_core.config import RoundConfig
from tidal_core.figures import groups as figures
from tidal_core.figures.palettes import GROUP_COLOURS, ClassStyle, Theme, class_colour
from tidal_core.figures.words import dynamics as words
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.naming import NameRule
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, Int64, RoundRecord, class_positions
from tidal_core.rounds import again
from tidal_core.store.views import ExactMapRows, MapRows
from tidal_core.ui import charts, life, looking
from tidal_core.ui.address import show_image
from tidal_core.ui.runtime import annotator
from tidal_core.ui.thumbnails import thumbnails

MAP = "Data map"
MAP_HELP = (
    "Each point is a labelled image. Up: a high probability of its label over the epochs (confidence). Right: that "
    "probability changed much (variability). Top left is easy, right is ambiguous, bottom left is hard or mislabelled. "
    "Click a point to see its image, or use the lasso above the figure to select several. (Swayamdipta et al. 2020)"
)
ALL_HELP = (
    "Each point is an image of the collection. Up: a high probability over the epochs of its label or, without a "
    "label, of the class predicted now (confidence). Right: that probability changed much (variability). Known for "
    "every image because in this round only the head of the model trained. Click a point to see its image, or use the "
    "lasso above the figure to select several."
)
SHOWN = {"all": "All images", "labelled": "Labelled images"}
GROUPS_OF_ALL = (
    ClassStyle(0, "labelled", GROUP_COLOURS["labelled"]),
    ClassStyle(1, "asked since", GROUP_COLOURS["asked"]),
    ClassStyle(2, "not labelled", GROUP_COLOURS["remaining"]),
)
BANDS = "Curves of groups"
BANDS_HELP = (
    "The line is the median probability of the label in each group; the band covers the middle half of its images. "
    "A class that stays low is hard to learn or labelled inconsistently."
)
COLOURS_OF_ALL = {"labelled": "Labelled or not", "correctness": "Correct epochs", "class": "Class"}
COLOURS = {"correctness": "Correct epochs", "class": "Class", "annotator": "Who labelled"}
GROUPS = {
    "class": "By class",
    "annotator": "By who labelled",
    "time": "By time (early or late)",
    "purpose": "By how it was chosen",
}
PICKED_AT_MOST = 48


def most_variable(project: Project) -> ImageRecord | None:
    """The image whose label's probability moved most in the newest finished round; else one that trains now."""
    done = looking.done_rounds(project)
    store = project.store
    if done:
        rows = _rows(project, done[-1])
        if len(rows.image_ids):
            return store.images.get(int(rows.image_ids[np.nanargmax(rows.statistics["variability"])]))
    active = store.rounds.active()
    if active is not None:
        ids, _ = store.rounds.images(active.id)
        if len(ids):
            return store.images.get(int(ids[0]))
    return None


def _rows(project: Project, record: RoundRecord) -> MapRows:
    rows = looking.map_rows(project, record.id, looking.key_of(project, record), looking.labels_version(project))
    return rows.without(again.hidden_from(project, annotator()))


def _choose_round(project: Project, key: str, *, with_curves: bool) -> RoundRecord | None:
    """The finished round to look at, the newest unless chosen."""
    done = looking.done_rounds(project)
    if with_curves:
        kept = set(project.store.curves.rounds_kept())
        done = [record for record in done if record.id in kept]
    if not done:
        return None
    records = {record.id: record for record in done}
    chosen = st.selectbox(
        "Round",
        list(records)[::-1],
        format_func=lambda round_id: f"Round {round_id}, {records[round_id].labels:,} labels",
        key=key,
        width=240,
    )
    return records[int(chosen or done[-1].id)]


@st.cache_resource(max_entries=6, show_spinner=False)
def _map(
    _rows: MapRows | ExactMapRows,
    names: NameRule,
    _group: Int64,
    members: tuple[ClassStyle, ...],
    key: str,
    theme: Theme,
    by_correctness: bool,
) -> tuple[figures.MapInfo, go.Figure]:
    """The map's numbers and drawing, kept for the next click on a point: nobody may change them."""
    forgetting = None if isinstance(_rows, ExactMapRows) else _rows.statistics["forgetting"]
    if isinstance(_rows, ExactMapRows):
        values = _rows.mean, _rows.variability, _rows.correctness
    else:
        statistics = _rows.statistics
        values = statistics["confidence"], statistics["variability"], statistics["correctness"]
    called = [
        names.of(name) or f"image {image_id}"
        for image_id, name in zip(_rows.image_ids.tolist(), _rows.names, strict=True)
    ]
    info = figures.map_info(_rows.image_ids, called, *values, _group, members, forgetting)
    return info, figures.map_figure(info, theme, by="correctness" if by_correctness else "group")


def _exact_rows(project: Project, record: RoundRecord | None) -> ExactMapRows | None:
    """The rows of every image; None where the round knows the curves of its labelled images only."""
    if record is None or RoundConfig.from_json(record.config).train.body != "frozen":
        return None
    key = looking.key_of(project, record)
    rows = looking.exact_map_rows(project, record.id, key, looking.labels_version(project))
    rows = rows.without(again.hidden_from(project, annotator()))
    return rows if len(rows.image_ids) else None


@st.fragment
def data_map(project: Project) -> None:
    """The map, and below it whatever is selected there."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        record = _choose_round(project, f"map-round-{project.slug}", with_curves=False)
        exact = _exact_rows(project, record)
        shown = "labelled"
        if exact is not None:
            shown = st.segmented_control(
                "Images",
                list(SHOWN),
                default="all",
                required=True,
                format_func=SHOWN.__getitem__,
                key=f"map-images-{project.slug}",
            )
        colours = COLOURS if shown == "labelled" else COLOURS_OF_ALL
        by = st.segmented_control(
            "Colour",
            list(colours),
            default=next(iter(colours)),
            required=True,
            format_func=colours.__getitem__,
            key=f"map-by-{shown}-{project.slug}",
        )
    if record is None:
        return
    rows: MapRows | ExactMapRows
    if exact is not None and shown == "all":
        rows = exact
        group, members = (exact.groups, list(GROUPS_OF_ALL)) if by == "labelled" else _by_class(project, exact, record)
    else:
        rows = labelled = _rows(project, record)
        group, members = _by_annotator(labelled) if by == "annotator" else _by_class(project, labelled, record)
    kept_as = f"{looking.key_of(project, record)}|{looking.labels_version(project)}|{shown}|{by}|{len(rows.image_ids)}"
    names = desk_of(project).names()
    map_info, figure = _map(rows, names, group, tuple(members), kept_as, charts.page_theme(), by == "correctness")
    charts.heading(MAP, ALL_HELP if shown == "all" else MAP_HELP, "map", lambda: (map_info, figure))
    charts.say(words.map_told(map_info))
    looking.say_names(project, record)
    key = f"map-{project.slug}-{record.id}-{shown}-{by}"
    selection = charts.draw(figure, MAP, key, select=True, modes=("points", "lasso", "box"))
    picked = [int(image_id) for image_id in charts.picked(selection)]
    _selected(project, picked)


def _selected(project: Project, picked: list[int]) -> None:
    if not picked:
        st.caption("Click a point to see its image. To see several, draw around them with the lasso above the figure.")
        return
    chosen = picked[0]
    if len(picked) > 1:
        shown = picked[:PICKED_AT_MOST]
        more = f", the first {PICKED_AT_MOST} are shown" if len(picked) > PICKED_AT_MOST else ""
        st.caption(f"{len(picked):,} images{more}. Click one to see its curves.")
        key = f"map-chosen-{project.slug}"
        clicked = thumbnails(project, shown, "map-picked", chosen=st.session_state.get(key))
        if clicked is not None:
            st.session_state[key] = clicked
        before = st.session_state.get(key)
        chosen = before if before in shown else shown[0]
    if st.button(
        f"Open image {chosen}",
        icon=":material/open_in_full:",
        key=f"map-open-{project.slug}",
        on_click=show_image,
        args=(chosen,),
        help="Shows the image by itself, at an address that can be sent to others.",
    ):
        st.rerun()
    life.show(project, project.store.images.get(chosen))


def _by_class(project: Project, rows: MapRows | ExactMapRows, record: RoundRecord) -> tuple[Int64, list[ClassStyle]]:
    members = looking.styles_of(project, record)
    group = class_positions(rows.class_ids, record.class_ids)
    if (group < 0).any():  # labelled since, as a class that the round did not know
        group[group < 0] = len(members)
        members.append(ClassStyle(0, "a class added since", GROUP_COLOURS["remaining"]))
    return group, members


def _by_annotator(rows: MapRows) -> tuple[Int64, list[ClassStyle]]:
    names, group = np.unique(rows.annotators.astype(str), return_inverse=True)
    members = [
        ClassStyle(position, str(name) or "undone since", class_colour(position)) for position, name in enumerate(names)
    ]
    return group.astype(np.int64), members


def _grouped(project: Project, by: str, rows: MapRows, record: RoundRecord) -> tuple[Int64, list[ClassStyle]]:
    """Group of each row, and how groups are shown."""
    if by == "annotator":
        return _by_annotator(rows)
    if by == "time":
        late = rows.answered > np.median(rows.answered)
        return late.astype(np.int64), [
            ClassStyle(0, "labelled early", class_colour(0)),
            ClassStyle(1, "labelled late", class_colour(6)),
        ]
    if by == "purpose":
        asked = rows.purposes == "query"
        return asked.astype(np.int64), [
            ClassStyle(0, "chosen at the start", class_colour(0)),
            ClassStyle(1, "chosen by the model", class_colour(9)),
        ]
    return _by_class(project, rows, record)


def bands(project: Project) -> None:
    """Median and quartiles of p(label) per group and epoch."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        record = _choose_round(project, f"bands-round-{project.slug}", with_curves=True)
        by = st.selectbox(
            "Groups", list(GROUPS), format_func=GROUPS.__getitem__, key=f"bands-by-{project.slug}", width=300
        )
    if record is None:
        st.info("The curves of all rounds were deleted to save space. The next round records them again.")
        return
    labels = looking.labels_version(project)
    rows = _rows(project, record)
    group, members = _grouped(project, str(by), rows, record)
    counted = np.arange(len(rows.image_ids))
    if len(counted) > looking.BAND_IMAGES:
        counted = np.sort(np.random.default_rng(0).choice(counted, looking.BAND_IMAGES, replace=False))
    epochs, counts = looking.band_counts(
        project,
        record.id,
        looking.key_of(project, record),
        class_positions(rows.class_ids, record.class_ids)[counted],
        group[counted],
        counted,
        labels,
    )
    present = np.flatnonzero(counts.sum(axis=(1, 2)))
    if len(present) > 10:
        present = present[np.argsort(-np.bincount(group, minlength=len(members))[present], kind="stable")[:10]]
    info = figures.bands_info(
        epochs,
        [members[position] for position in present],
        np.bincount(group, minlength=len(members))[present],
        figures.quartiles(counts[present]),
    )
    theme = charts.page_theme()
    charts.chart(BANDS, BANDS_HELP, "bands", lambda: (info, figures.bands_figure(info, theme)), words.bands_told(info))
    looking.say_names(project, record)
    if len(counted) < len(rows.image_ids):
        st.caption(f"From {len(counted):,} of {len(rows.image_ids):,} images, chosen at random.")
    if len(present) < len(members):
        st.caption(f"The {len(present)} largest of {len(members)} groups.")
