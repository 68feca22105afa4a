"""The two theorems on the Theory page: sliders, formulas, figures."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.figures import theory as figures
from tidal_core.figures.words import theory as words
from tidal_core.method import theory
from tidal_core.method.estimators import entropy, lead, log_of
from tidal_core.method.theory import Elasticity, entropy_falls_from
from tidal_core.text import literal
from tidal_core.ui import charts

PRESETS = {
    "Large": (1.0, 0.3, 0.1, "Hard images are pulled weakly: they stay far behind."),
    "Small": (1.0, 0.9, 0.1, "Hard images are pulled nearly as strongly as easy ones: the gap is small, but there."),
    "Gone": (1.0, 1.0, 0.1, "Hard images are pulled exactly like easy ones: no gap, the rest is chance."),
}
SLIDERS = ("alpha-e", "alpha-h", "beta")
END = 0.99  # of both curves of Theorem 2


def choose_preset() -> None:
    """Move the sliders to what was picked."""
    name = st.session_state["effect"]
    if name:
        for key, value in zip(SLIDERS, PRESETS[name], strict=False):
            st.session_state[key] = value


def name_preset() -> None:
    """Pick what the sliders were moved to, if it has a name."""
    values = tuple(st.session_state[key] for key in SLIDERS)
    st.session_state["effect"] = next((name for name, one in PRESETS.items() if one[:3] == values), None)


@st.cache_data(max_entries=30, show_spinner="Simulating")
def simulated(setting: Elasticity, runs: int, steps: int) -> figures.PathsInfo:
    """Cached: a slider that is moved back costs nothing."""
    return figures.paths_info(setting, runs, steps)


@st.fragment
def easy_ones_rise_faster() -> None:
    """Theorem 1."""
    st.header("1. Easy images are learnt faster", anchor=False)
    st.markdown(
        "A training step on one image also changes the others. Easy images lie close together and pull each other "
        "along; few pull a hard image. Let $X_s$ be the logit (the raw score before probabilities) of image $s$ for "
        "its true class. In the paper's model, the $m$-th step, on the image $J_m$, moves it by equation (12):"
    )
    st.latex(
        r"\begin{aligned} X_s(m) ={}& X_s(m-1) + h\,E_{s,J_m}\,X_{J_m}(m-1) \\"
        r" &+ \sqrt{h}\,\zeta_s(m-1) \end{aligned}"
    )
    st.markdown(
        "$h$ is the size of a step and $\\zeta$ noise of spread $\\sigma$. $E$ says how strongly one pulls the other: "
        "$\\alpha_e$ among easy images, $\\alpha_h$ where one of the two is hard, $\\beta$ between classes."
    )
    st.segmented_control(
        "Effect", list(PRESETS), default="Large", key="effect", on_change=choose_preset, help="Presets of the sliders."
    )
    one, two, three, four = st.columns(4)
    alpha_e = one.slider("Easy pulls easy, $\\alpha_e$", 0.1, 2.0, 1.0, 0.05, key="alpha-e", on_change=name_preset)
    alpha_h = two.slider("Where one is hard, $\\alpha_h$", 0.1, 2.0, 0.3, 0.05, key="alpha-h", on_change=name_preset)
    beta = three.slider("Between classes, $\\beta$", 0.0, 1.0, 0.1, 0.05, key="beta", on_change=name_preset)
    sigma = four.slider("Noise, $\\sigma$", 0.0, 2.0, 0.2, 0.1, key="sigma")
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
        st.warning(literal(str(error)), icon=":material/warning:")
        return
    theme = charts.page_theme()
    charts.chart(
        "Averaged logits",
        "",
        "theorem-1",
        lambda: (info, figures.paths_figure(info, theme)),
        words.paths_told(info),
        level=3,
    )
    preset = next((why for *values, why in PRESETS.values() if tuple(values) == (alpha_e, alpha_h, beta)), "")
    st.caption(
        f"{preset} The exact mean is $(I + hA)^m X(0)$, the differential equation's solution $e^{{At}} X(0)$. They end "
        f"{info.largest_gap:.2%} apart; half of $h$ makes it half of that."
    )
    if info.share_left > 0:
        share = f"{info.share_left:.1%}" if info.share_left >= 0.001 else "Fewer than 0.1%"
        st.info(
            f"{share} of the simulated images were seen at X ≤ 0. The theorem assumes X > 0: with less noise, or fewer "
            "steps, the paths stay inside.",
            icon=":material/info:",
        )
    st.markdown(
        "Theorem 1 says why: while $\\alpha_e > \\alpha_h$ and $X > 0$, the averages of easy and hard images drift "
        "apart, by equation (21):"
    )
    st.latex(
        r"\begin{aligned} &\frac{d}{dt}\left(\bar X^{1,e} - \bar X^{1,h}\right) \\"
        r" &\quad = \frac{n_{1,e}}{n}(\alpha_e - \alpha_h)\,\bar X^{1,e}(t) > 0 \end{aligned}"
    )
    charts.chart(
        "How much faster",
        "",
        "speed",
        lambda: (info, figures.speed_figure(info, theme)),
        words.speed_told(info),
        level=3,
    )


@st.fragment
def the_path_tells_more_than_the_end() -> None:
    """Theorem 2."""
    st.header("2. The path tells more than its end", anchor=False)
    st.markdown(
        "Late in training the network is sure of every training image, easy or hard: the *ends* of their curves are "
        "alike. The *areas* below are not. Let $s_y$ be the area below the curve of the true class, as a share, and "
        "let the other $C - 1$ classes share the rest equally. Then entropy and margin of the areas are (23) and (24), "
        "and the image with the smaller area has the higher entropy and the lower margin:"
    )
    st.latex(r"H(\mathbf s) = H_2(s_y) + (1 - s_y)\log(C-1)")
    st.latex(r"M(\mathbf s) = \frac{C}{C-1}\,s_y - \frac{1}{C-1}")
    st.markdown("$H_2(p) = -p \\log p - (1-p) \\log(1-p)$ is the entropy of a coin that lands heads with chance $p$.")
    one, two, three = st.columns(3)
    classes = one.slider("Classes, $C$", 2, 100, 10, key="theory-classes")
    least, most = 1 / classes + (END - 1 / classes) / 50, END - 1e-3
    slow = two.slider("Area of one image", 0.0, 1.0, 0.6, 0.01, key="area-slow")
    fast = three.slider("Area of the other", 0.0, 1.0, 0.9, 0.01, key="area-fast")
    info = figures.areas_info(END, min(max(slow, least), most), min(max(fast, least), most), classes)
    if not least <= min(slow, fast) <= max(slow, fast) <= most:
        st.caption(
            f"A curve that rises from chance, 1/{classes}, to {END:.0%} has an area from {least:.2f} to {most:.2f}: "
            "the nearest is drawn."
        )
    theme = charts.page_theme()
    left, right = st.columns(2, gap="large")
    with left:
        charts.chart(
            "Two images that end alike",
            "",
            "areas",
            lambda: (info, figures.areas_figure(info, theme)),
            words.areas_told(info),
            level=3,
        )
    with right:
        charts.chart(
            "Entropy and margin",
            "",
            "range",
            lambda: (info, figures.range_figure(info, theme)),
            words.range_told(info),
            level=3,
        )
    st.markdown(closed_against_direct(info))
    needed = "which is just what is needed." if classes == 2 else "which is enough and more than needed."
    st.caption(
        f"With {classes} classes entropy falls from $s_y$ = 1/C = {entropy_falls_from(classes):.3g} on. The theorem "
        f"asks for $s_y$ > 1/2, {needed} The margin rises everywhere."
    )


def closed_against_direct(info: figures.AreasInfo) -> str:
    """A table of both images: by the closed forms, and summed up class by class."""
    columns = []
    for curve in (info.fast, info.slow):
        s = log_of(theory.areas(curve.area, info.classes))[None]  # (1, C), the true class first
        of_true = np.array([0])
        columns.append((curve.area, curve.entropy, entropy(s)[0], curve.margin, lead(s, of_true)[0]))
    names = ("Area", "H by (23)", "H, class by class", "M by (24)", "M, class by class")
    rows = [f"| {name} | {early:.6f} | {late:.6f} |" for name, early, late in zip(names, *columns, strict=True)]
    return "\n".join(["| | learnt early | learnt late |", "|---|---|---|", *rows])
