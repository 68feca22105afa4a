"""An experiment on its page: how far it is, what was measured. What begins one is ``experiments_form``."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import streamlit as st

from tidal_core import strategies
from tidal_core.errors import InputError, TidalError
from tidal_core.experiments import owner, removing, report
from tidal_core.experiments.files import Experiment, experiments, last_words, rounds_done
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.results import Metric, Results, read_results
from tidal_core.experiments.statistics import band, beyond_chance, labels_saved, paired_runs, win_matrix
from tidal_core.figures import experiments as figures
from tidal_core.projects import home
from tidal_core.records import Float64
from tidal_core.text import literal
from tidal_core.ui import charts
from tidal_core.ui.experiments_form import data_folder, start_runs
from tidal_core.ui.forms import attempt_in_callback, show_refused
from tidal_core.ui.owners import owners

VARIANTS = (
    "random",
    "tidal-entropy",
    "tidal-margin",
    "tidal-margin-naive",
    "tidal-confidence",
    "tidal-confidence-naive",
)
METRICS: dict[Metric, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "validation_accuracy": "Validation accuracy",
}


def choose() -> Experiment | None:
    """The experiment to look at, with its controls."""
    known = experiments(home())
    if not known:
        st.info("No experiment yet. Start one above: with the digits and the preset quick it takes less than a minute.")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        titles = {experiment.name: experiment.title for experiment in known}
        name = st.selectbox(
            "Experiment", list(titles), format_func=lambda shown: titles.get(shown, shown), key="exp-shown", width=320
        )
        experiment = next(experiment for experiment in known if experiment.name == name)
        try:
            done, total = rounds_done(experiment)
        except InputError as error:
            st.error(literal(str(error)))
            return None
        running, finished = experiment.owner is not None, done == total
        if owners.button(
            "Stop", icon=":material/stop:", key=f"exp-stop-{experiment.name}", disabled=not running
        ) and owner.stop(experiment.folder):
            st.toast("Stopped. Finished rounds are kept; press “Go on” to continue.")
        if owners.button(
            "Go on", icon=":material/play_arrow:", key=f"exp-go-on-{experiment.name}", disabled=running or finished
        ):
            start_runs(experiment)
    return experiment


def removal(experiment: Experiment) -> None:
    """Take configurations, runs or the whole experiment away again."""
    key, spec = f"exp-remove-{experiment.name}", experiment.spec
    place = f"{key}-{'-'.join(spec.configurations)}-{spec.runs}"
    with st.expander("Remove", icon=":material/delete:"):
        titles = _titles(spec.configurations)
        without = st.multiselect(
            "Configurations to remove",
            list(titles),
            format_func=lambda name: titles.get(name, name),
            key=f"{place}-arms",
        )
        runs = int(st.number_input("Runs to keep of each configuration", 1, spec.runs, spec.runs, key=f"{place}-runs"))
        lost = [f"{len(without)} configurations"] if without else []
        lost += [f"{spec.runs - runs} runs of each configuration"] if runs < spec.runs else []
        sure = st.checkbox("Delete what they measured, for good", key=f"{place}-sure")
        with st.container(horizontal=True):
            owners.button(
                "Remove " + (" and ".join(lost) or "these"), disabled=not (lost and sure), key=f"{place}-some",
                on_click=attempt_in_callback,
                args=(key, lambda: removing.shorten(experiment, without=without, runs=runs)),
            )  # fmt: skip
            owners.button(
                "Remove the whole experiment", disabled=not sure, key=f"{place}-all", on_click=attempt_in_callback,
                args=(key, lambda: removing.remove(experiment)),
            )  # fmt: skip
        show_refused(key)


@st.fragment(run_every=2.0)
def progress(experiment: Experiment) -> None:
    """How far it is; draws the page again when rounds were finished. Without buttons: clicks get lost in here."""
    (done, total), running = rounds_done(experiment), experiment.owner is not None
    seen = st.session_state.get(f"exp-seen-{experiment.name}")
    st.session_state[f"exp-seen-{experiment.name}"] = (done, running)
    if running or done < total:
        st.progress(done / total, f"{done:,} of {total:,} rounds" + ("" if running else ", not running now"))
        message = last_words(experiment)
        if running and not message:
            message = "Loading the images and the network."
        if message:
            st.caption(literal(message) if running else f"Last message: {literal(message)}")
    if seen is not None and seen != (done, running):
        st.rerun()


def compare(experiment: Experiment) -> None:
    """Everything measured so far."""
    try:
        results = read_results(experiment)
    except TidalError as error:
        st.warning(literal(str(error)))
        return
    if not len(results.labels):
        st.info("The first round is not finished yet.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric: Metric = st.segmented_control(
            "Measure", list(METRICS), default="accuracy", required=True,
            format_func=lambda name: METRICS[name].removesuffix(" accuracy"), key="exp-metric",
        )  # fmt: skip
        ratio = results.imbalances[0]
        if len(results.imbalances) > 1:
            ratio = st.selectbox("Imbalance ratio", results.imbalances, key="exp-shown-ratio", width=160)
        only_variants = st.toggle("Variants of TiDAL only", key="exp-variants", help="As in figure 13 of the paper.")
    values = results.setting(ratio, metric)
    if only_variants:
        values = {configuration: one for configuration, one in values.items() if configuration in VARIANTS}
    pair = side_by_side(results, values, METRICS[metric])
    _curves(experiment, results, values, ratio, METRICS[metric], pair)
    titles = _titles(results.configurations)
    wins = figures.WinsInfo(
        win_matrix([results.setting(imbalance, metric) for imbalance in results.imbalances]), titles
    )
    theme = charts.page_theme()
    if wins.wins.points:
        charts.chart(
            f"Who beats whom by {METRICS[metric].lower()}",
            f"Two configurations share up to {wins.wins.points} points (numbers of labels times imbalance ratios). "
            "Shown is the share of points at which the row is better than the column with a paired p below 0.05, not "
            "adjusted: a summary, not a test.",
            "exp-wins",
            lambda: (wins, figures.wins_figure(wins, theme)),
        )
    _tables(experiment, results)


def _titles(configurations: Iterable[str]) -> dict[str, str]:
    """What people call them; the name of one whose strategy is not installed any more."""
    known = strategies.names()
    return {
        configuration: Configuration.parse(configuration).title
        if re.split(r"[+/]", configuration)[0] in known
        else configuration
        for configuration in configurations
    }


def _curves(
    experiment: Experiment,
    results: Results,
    values: dict[str, Float64],
    ratio: float,
    measure: str,
    pair: tuple[str, ...],
) -> None:
    theme, titles = charts.page_theme(), _titles(values)
    behind = _behind(experiment, titles, pair)
    absolute = figures.curves_info(results.labels, values, titles, measure=measure, behind=behind)
    charts.chart(
        f"{measure} over labels",
        "Mean over the runs with its 95 % interval (Student's t); hover for the number of runs.",
        "exp-absolute",
        lambda: (absolute, figures.curves_figure(absolute, theme)),
    )
    if "random" not in values:
        st.caption("To see accuracy relative to random choice, add random to the comparison.")
        return
    published, begins = _published(experiment, tuple(values), ratio)
    against = figures.curves_info(
        results.labels, values, titles, measure=measure, is_relative=True, published=published, behind=behind
    )
    charts.chart(
        "Relative to random",
        "100 (acc - acc_random) / acc_random, run by run. Dotted: the published curves, where $TIDAL_DATA has them.",
        "exp-relative",
        lambda: (against, figures.curves_figure(against, theme)),
    )
    if begins:
        st.caption(f"The published curves begin at {begins:,} labels, more than this experiment has.")


def _behind(experiment: Experiment, titles: dict[str, str], pair: tuple[str, ...]) -> set[str]:
    """The configurations that are drawn in grey, where there are too many for a colour each."""
    if len(titles) <= figures.MOST_COLOURS:
        return set()
    usual = dict.fromkeys(("random", *pair, "margin", "tidal-entropy", "tidal-margin"))
    picked = st.multiselect(
        "In colour", list(titles), [name for name in usual if name in titles], format_func=titles.__getitem__,
        max_selections=figures.MOST_COLOURS, key=f"exp-colour-{experiment.name}-{'-'.join(pair)}",
        help="Shown with their intervals. The others are grey lines; point at one for its name.",
    )  # fmt: skip
    return set(titles).difference(picked) if picked else set()


def _published(
    experiment: Experiment, configurations: tuple[str, ...], ratio: float
) -> tuple[dict[str, figures.Published], int]:
    """Published curves as far as the experiment goes, or else the labels at which they begin (0: there are none)."""
    folder, spec = data_folder(), experiment.spec
    file = folder / "published" / "tidal_relative_improvement.csv" if folder else None
    if file is None or not file.exists():
        return {}, 0
    curves = {
        configuration: one
        for configuration, one in figures.read_published(file, spec.dataset, ratio).items()
        if configuration in configurations
    }
    cut = {
        configuration: one
        for configuration, whole in curves.items()
        if len((one := whole.until(spec.protocol.last_labels)).labels) > 1
    }
    return cut, 0 if cut or not curves else min(int(curve.labels[0]) for curve in curves.values())


def side_by_side(results: Results, setting: dict[str, Float64], measure: str) -> tuple[str, ...]:
    """Two configurations for an audience: two numbers, and a sentence where they differ by more than chance.

    The configurations that were chosen.
    """
    if len(setting) < 2:
        return ()
    names = list(setting)
    ended = {
        configuration: float(np.nan_to_num(band(setting[configuration]).mean[-1], nan=-1.0))
        for configuration in names
        if configuration != "random"
    }
    best = max(ended, key=ended.__getitem__)
    one, two = st.columns(2, gap="large")
    titles = _titles(names)
    configuration = str(one.selectbox("This configuration", names, names.index(best), titles.__getitem__, key="exp-one",
                            help="First: the one with the best final mean; of many, some lead by chance."))  # fmt: skip
    start = names.index("random") if "random" in names else 0
    other = str(two.selectbox("Against", names, start, titles.__getitem__, key="exp-two"))
    for column, name in ((one, configuration), (two, other)):
        shown = band(setting[name])
        if not shown.n.any():
            column.caption(f"{literal(titles[name])} has no such measurement.")
            return configuration, other
        known = int((shown.n > 0).sum()) - 1
        column.metric(
            f"{literal(titles[name])}, {results.labels[known]:,} labels",
            f"{shown.mean[known]:.1%}",
            help=f"{measure}, mean of {shown.n[known]} runs.",
            chart_data=[float(value) for value in shown.mean[: known + 1]],
            chart_type="line",
        )
    if configuration == other:
        return (configuration,)
    pair = paired_runs(setting[configuration], setting[other])
    labels = results.labels[: pair[0].shape[1]]
    candidates = len(names) - 1
    saved = labels_saved(labels, *pair, candidates=candidates)
    if saved is not None:
        st.markdown(f"**{saved.sentence}**")
    st.caption(beyond_chance(labels, *pair, candidates=candidates))
    return configuration, other


def _tables(experiment: Experiment, results: Results) -> None:
    st.header("Tables", anchor=False)
    with st.container(horizontal=True):
        for name, (kind, build) in report.parts(results).items():
            owners.download_button(
                name, build, f"{experiment.name}-{name}", kind, key=f"exp-{name}",
                icon=":material/download:",
            )  # fmt: skip
    with st.container(key="exp-tables"):
        st.html("<style>.st-key-exp-tables table { display: block; overflow-x: auto; }</style>")
        st.markdown(report.markdown(results))
    st.caption(f"The same files are in {literal(str(experiment.folder))} after each run.")
