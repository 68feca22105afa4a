"""Chapter 3 of the Theory page: the motivating experiment, trained and shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.experiments import separation
from tidal_core.experiments.datasets import available
from tidal_core.figures import theory as figures
from tidal_core.figures.words import Told
from tidal_core.figures.words import theory as words
from tidal_core.ownership import owner_of
from tidal_core.projects import home
from tidal_core.records import Int64
from tidal_core.text import literal
from tidal_core.ui import charts
from tidal_core.ui.owners import owners

SATURATED = 0.95  # training accuracy below which the final prediction has not settled
PAIRS = {"Entropy": ("entropy", "td_entropy"), "Margin": ("margin", "td_margin")}


def does_it_hold_for_real_images() -> None:
    """The motivating experiment."""
    st.header("3. Does it hold for real images?", anchor=False)
    st.markdown(
        "The paper's experiment: half of the classes keep a tenth of their images, which makes them hard. A network "
        "trains for 30 epochs on the remaining images. What separates the rare images from the common ones: the "
        "uncertainty of its *final prediction*, or its *training dynamics* (TD)?"
    )
    data = os.environ.get("TIDAL_DATA")
    names = available(home() / "experiments" / "data", Path(data) if data else None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = st.selectbox("Images", names, key="motivating-data", width=200)
        per_class = st.number_input("Images per common class", 20, 5_000, 100, 20, key="motivating-size", width=180)
        folder = separation.folder_of(home(), dataset)
        running = owner_of(folder) is not None
        if owners.button(
            "Train", icon=":material/play_arrow:", key="motivating-start", type="primary", disabled=running
        ):
            separation.begin(folder, dataset, int(per_class))
            st.rerun()
        if owners.button("Stop", icon=":material/stop:", key="motivating-stop", disabled=not running):
            separation.cancel(folder)
            st.rerun()
    _progress(folder, running)
    _result(folder, running)


@st.fragment(run_every=1.5)
def _progress(folder: Path, was_running: bool) -> None:
    """How far it is. Without buttons: clicks get lost in what is drawn again by itself."""
    state = separation.state_of(folder)
    if state is not None:
        share, message = state
        st.progress(share, literal(message[0].upper() + message[1:]))
    if was_running != (state is not None):
        st.rerun()
    why = separation.broke_off(folder)
    if why is not None:
        st.error(literal(why), icon=":material/error:")


def _result(folder: Path, running: bool) -> None:
    file = folder / separation.RESULT
    if not file.exists():
        if not running:
            st.info("No result for these images yet: press “Train”. With the digits it takes about a minute.")
        return
    result = separation.Separation.load(file)
    info = figures.separation_info(
        result.minor, result.counts, result.class_names, result.accuracy, result.scores, result.auroc
    )
    theme = charts.page_theme()
    if running:
        st.caption("Shown is the previous result until the new one is ready.")
    first, second, third = st.columns(3)
    first.metric("Training dynamics, AUROC", f"{result.auroc['td_entropy']:.3f}", help="By entropy.")
    second.metric("Final prediction, AUROC", f"{result.auroc['entropy']:.3f}", help="By entropy.")
    third.metric("Training accuracy", f"{result.train_accuracy:.1%}")
    common, rare = (result.counts[part] for part in (slice(info.major_classes), slice(info.major_classes, None)))
    st.caption(
        f"{len(result.minor):,} training images: {_several(common)} of each common class, {_several(rare)} of each "
        "rare one. AUROC is the chance that a rare image is judged harder than a common one: 1 is perfect, 0.5 is "
        "guessing."
    )
    if result.train_accuracy < SATURATED:
        st.warning(
            f"The network knows only {result.train_accuracy:.0%} of its training images. The effect needs a network "
            "that has learnt nearly all of them: until then its final prediction is unsure of hard images, too.",
            icon=":material/warning:",
        )

    def shown(title: str, key: str, told: Told, draw: Callable[[], go.Figure]) -> None:
        charts.chart(title, "", key, lambda: (info, draw()), told, level=3)

    left, right = st.columns(2, gap="large")
    with left:
        told = words.label_told(info)
        shown("Images per class", "motivating-labels", told, lambda: figures.label_figure(info, theme))
    with right:
        told = words.learning_told(info)
        shown("Accuracy while it trains", "motivating-accuracy", told, lambda: figures.learning_figure(info, theme))
    judged = st.segmented_control("Judged by", list(PAIRS), default="Entropy", required=True, key="motivating-judge")
    pair = PAIRS[str(judged or "Entropy")]
    left, right = st.columns(2, gap="large")
    for place, score, by, key in zip(
        (left, right), pair, ("final prediction", "training dynamics"), ("snapshot", "dynamics"), strict=True
    ):
        with place:
            told = words.histogram_told(info, score)
            title = f"Judged by the {by}"
            shown(title, f"motivating-{key}", told, partial(figures.histogram_figure, info, score, theme))
    told = words.scatter_told(info, *pair)
    title = "Final prediction against training dynamics"
    shown(title, "motivating-scatter", told, lambda: figures.scatter_figure(info, theme, *pair))
    st.markdown("### AUROC of rare against common images")
    st.markdown(auroc_table(result))
    st.caption(
        "Held-out images were not trained on, so their dynamics are the TD module's prediction. Published: CIFAR-10, "
        "27,500 training images, ResNet-18."
    )


def auroc_table(result: separation.Separation) -> str:
    """Every estimator on training and held-out images, beside what was published."""
    lines = ["| | training | held-out | published |", "|---|---|---|---|"]
    for name in COMPARED_ESTIMATORS:
        numbers = (result.auroc[name], result.held_out[name], separation.PUBLISHED[name])
        lines.append(f"| {ESTIMATORS[name].title} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    return "\n".join(lines)


def _several(counts: Int64) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
