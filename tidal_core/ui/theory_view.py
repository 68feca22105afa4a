"""The three chapters of the Theory page."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.experiments import owner, separation
from tidal_core.experiments.datasets import available
from tidal_core.figures import theory as figures
from tidal_core.projects import home
from tidal_core.theory import Elasticity, entropy_falls_from
from tidal_core.ui import charts

PRESETS = {
    "Large": (1.0, 0.3, 0.1, "Hard samples are pulled along weakly: their logits stay far behind."),
    "Small": (1.0, 0.9, 0.1, "Hard samples pull nearly as strongly as easy ones: the gap is small, and it is there."),
    "Gone": (1.0, 1.0, 0.1, "Hard samples pull exactly like easy ones: there is no gap. Chance is all that differs."),
}


def choose_preset() -> None:
    """Move the sliders to what was picked."""
    name = st.session_state["effect"]
    if name:
        for key, value in zip(("alpha-e", "alpha-h", "beta"), PRESETS[name], strict=False):
            st.session_state[key] = value


@st.cache_data(max_entries=30, show_spinner="Simulating")
def simulated(setting: Elasticity, runs: int, steps: int) -> figures.PathsInfo:
    """Cached: a slider that is moved back costs nothing."""
    return figures.paths_info(setting, runs, steps)


@st.fragment
def easy_ones_rise_faster() -> None:
    """Theorem 1."""
    st.header("1. Easy images are learnt faster", anchor=False)
    st.markdown(
        "A training step on one image moves its neighbours too. Easy images lie close together and pull each other "
        "along; a hard image is pulled by few. In the paper's model a step on $J_m$ moves the logit of every image $s$:"
    )
    st.latex(r"X_s(m) = X_s(m-1) + h\,E_{s,J_m}\,X_{J_m}(m-1) + \sqrt{h}\,\zeta_s(m-1) \qquad (12)")
    st.segmented_control(
        "Effect", list(PRESETS), default="Large", key="effect", on_change=choose_preset, help="Presets of the sliders."
    )
    one, two, three, four = st.columns(4)
    alpha_e = one.slider("Easy pulls easy, α_e", 0.1, 2.0, 1.0, 0.05, key="alpha-e")
    alpha_h = two.slider("Where one is hard, α_h", 0.1, 2.0, 0.3, 0.05, key="alpha-h")
    beta = three.slider("Between classes, β", 0.0, 1.0, 0.1, 0.05, key="beta")
    sigma = four.slider("Noise σ", 0.0, 2.0, 0.3, 0.1, key="sigma")
    with st.expander("Group sizes, step and runs"):
        columns = st.columns(6)
        sizes = tuple(
            int(column.number_input(f"{group.capitalize()} images", 1, 500, size, key=f"size-{group}"))
            for column, group, size in zip(columns[:3], ("easy", "hard", "other"), (100, 50, 150), strict=True)
        )
        h = columns[3].number_input("Step h", 0.0005, 0.1, 0.002, 0.0005, format="%.4f")
        steps = int(columns[4].number_input("Steps", 100, 2_000, 1_000, 100))
        runs = int(columns[5].number_input("Runs", 2, 1_000, 200, 50))
    try:
        setting = Elasticity(alpha_e, alpha_h, beta, (sizes[0], sizes[1], sizes[2]), h=h, sigma=sigma)
        info = simulated(setting, runs, steps)
    except TidalError as error:
        st.warning(str(error), icon=":material/warning:")
        return
    theme = charts.page_theme()
    charts.chart(
        "Averaged logits",
        "What to look at: the gap between easy and hard opens from the start and never closes. Bands hold the middle "
        "90 % of the runs. Dashes: the exact mean (I + hA)^m X(0). Dots: the differential equation (20).",
        "theorem-1",
        lambda: (info, figures.paths_figure(info, theme)),
    )
    st.latex(
        r"\frac{d\bar X^{1,e}}{dt} - \frac{d\bar X^{1,h}}{dt}"
        r" = \frac{n_{1,e}}{n}(\alpha_e - \alpha_h)\,\bar X^{1,e}(t) > 0 \qquad (21)"
    )
    charts.chart(
        "How much faster easy images rise",
        "What to look at: both sides of (21) lie on each other, above zero all the way.",
        "speed",
        lambda: (info, figures.speed_figure(info, theme)),
    )
    preset = next((why for *values, why in PRESETS.values() if tuple(values) == (alpha_e, alpha_h, beta)), "")
    st.caption(
        f"{preset} Largest difference of the two sides of (21): {abs(info.difference - info.closed).max():.1e}. "
        f"The differential equation ends {info.largest_gap:.2%} from the exact mean; halve h and so does that."
    )
    if info.share_left > 0:
        share = f"{info.share_left:.1%}" if info.share_left >= 0.001 else "Fewer than 0.1%"
        st.info(
            f"{share} of the images were seen at X ≤ 0. The theorem assumes X > 0: with less noise σ, or "
            "fewer steps, the paths stay inside.",
            icon=":material/info:",
        )


@st.fragment
def the_path_tells_more_than_the_end() -> None:
    """Theorem 2."""
    st.header("2. The path tells more than its end", anchor=False)
    st.markdown(
        "Late in training the network is sure of every training image, easy or hard: the *ends* are alike. The *areas* "
        "below the curves are not, and entropy and margin of the areas tell which was harder:"
    )
    st.latex(r"H(\mathbf s) = H_2(s_y) + (1 - s_y)\log(C-1) \qquad (23)")
    st.latex(r"M(\mathbf s) = \frac{C}{C-1}\,s_y - \frac{1}{C-1} \qquad (24)")
    one, two, three = st.columns(3)
    classes = one.slider("Classes C", 2, 100, 10, key="theory-classes")
    low, high = 1 / classes, 0.99
    least = low + (high - low) / 50
    slow = two.slider("Area of the one learnt late", 0.0, 1.0, 0.6, 0.01, key="area-slow")
    fast = three.slider("Area of the one learnt early", 0.0, 1.0, 0.9, 0.01, key="area-fast")
    info = figures.areas_info(high, min(max(slow, least), high - 1e-3), min(max(fast, least), high - 1e-3), classes)
    theme = charts.page_theme()
    left, right = st.columns(2, gap="large")
    with left:
        charts.chart(
            "Two images that end alike",
            "What to look at: both end at 99 %. Only the areas, the training dynamics, tell them apart.",
            "areas",
            lambda: (info, figures.areas_figure(info, theme)),
        )
    with right:
        charts.chart(
            "Entropy and margin of an area",
            "What to look at: in the shaded range a larger area always means less entropy and more margin.",
            "range",
            lambda: (info, figures.range_figure(info, theme)),
        )
    st.caption(
        f"With {classes} classes entropy falls from $s_y$ = 1/C = {entropy_falls_from(classes):.3g} on. The theorem "
        "asks for $s_y$ > 1/2, which is enough and more than needed. The margin rises everywhere."
    )


def does_it_hold_for_real_images() -> None:
    """The motivating experiment."""
    st.header("3. Does it hold for real images?", anchor=False)
    st.markdown(
        "The paper's experiment: half of the classes keep a tenth of their images, which makes them hard. A network "
        "trains for 30 epochs. Who tells the rare images from the common ones, the trained network's own uncertainty "
        "or the dynamics of its training? An AUROC of 1 is perfect, 0.5 is guessing."
    )
    data = os.environ.get("TIDAL_DATA")
    names = available(home() / "experiments" / "data", Path(data) if data else None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = st.selectbox("Images", names, key="motivating-data", width=200)
        per_class = st.number_input("Of each common class", 20, 5_000, 100, 20, key="motivating-size", width=180)
        folder = separation.folder_of(home(), dataset)
        clicked = st.button("Train", icon=":material/play_arrow:", key="motivating-start", type="primary")
        if clicked and owner.owner_of(folder) is None:
            owner.start(["separability", dataset, "--per-class", str(per_class)], folder)
            st.toast("The experiment starts in a moment.")
        if st.button("Stop", icon=":material/stop:", key="motivating-stop") and owner.stop(folder):
            st.toast("The experiment was stopped; an earlier result stays.")
    _progress(folder)
    _result(folder)


@st.fragment(run_every=1.5)
def _progress(folder: Path) -> None:
    """How far it is. Without buttons: clicks get lost in what is drawn again by itself."""
    state = separation.state_of(folder)
    was = st.session_state.get("motivating-running", False)
    st.session_state["motivating-running"] = state is not None
    if state is not None:
        st.progress(*state)
    elif was:
        st.rerun()


def _result(folder: Path) -> None:
    file = folder / separation.RESULT
    if not file.exists():
        st.info("No result for these images yet: train for one. On the digits it takes about a minute.")
        return
    found = separation.Separation.load(file)
    info, theme = found.info(), charts.page_theme()
    tiles = st.columns(5)
    for tile, (name, title) in zip(tiles, figures.ESTIMATORS.items(), strict=False):
        tile.metric(
            f"{title}, AUROC",
            f"{found.auroc[name]:.3f}",
            help=f"Published for CIFAR-10 with ResNet-18: {separation.PUBLISHED[name]}. On held-out images, with the "
            f"module's prediction in place of the tracked dynamics: {found.held_out[name]:.3f}.",
        )
    tiles[4].metric(
        "Training accuracy",
        f"{found.train_accuracy:.1%}",
        help="The effect needs a saturated snapshot: far below 100 % the snapshot tells hard images apart too.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        charts.chart("Images per class", "What to look at: half of the classes are rare.", "motivating-labels",
                     lambda: (info, figures.label_figure(info, theme)))  # fmt: skip
        estimator = st.segmented_control(
            "Estimator", list(figures.ESTIMATORS), default="td_entropy", required=True,
            format_func=figures.ESTIMATORS.__getitem__, key="motivating-estimator",
        )  # fmt: skip
        shown = str(estimator or "td_entropy")
        charts.chart("How each image is judged", "What to look at: the less the two groups overlap, the better.",
                     "motivating-histogram", lambda: (info, figures.histogram_figure(info, shown, theme)))  # fmt: skip
    with right:
        charts.chart("Accuracy while it trains", "What to look at: rare classes are learnt later.",
                     "motivating-accuracy", lambda: (info, figures.learning_figure(info, theme)))  # fmt: skip
        charts.chart("Snapshot against dynamics", "What to look at: the snapshot packs most images at zero; the "
                     "dynamics spread them.", "motivating-scatter",
                     lambda: (info, figures.scatter_figure(info, theme)))  # fmt: skip
