"""Figures 9 to 13 of TiDAL (ICCV 2023) as one page: this studio's curves over the published ones.

The page opens without a network. The published values are read from a file that its owner has (columns as in
``figures.experiments.read_published``); only relative accuracies were published as numbers, so the absolute figures
show ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tidal_core.experiments.datasets import TITLES
from tidal_core.experiments.paper_figures import FIGURES, Panel, PaperFigure, command
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.results import Results
from tidal_core.figures.experiments import BASELINE, CurvesInfo, Published, curves_figure, curves_info, read_published
from tidal_core.figures.palettes import FONT, LIGHT

PANEL_TITLES = {**TITLES, "inaturalist2018": "iNaturalist 2018"}
STYLE = f"""
body {{ font-family: {FONT}; color: {LIGHT.text}; background: {LIGHT.background}; margin: 2rem auto; max-width: 78rem;
  padding: 0 1rem; line-height: 1.5; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(34rem, 100%), 1fr)); gap: 1.5rem; }}
section {{ min-width: 0; }} h2 {{ grid-column: 1 / -1; margin: 2rem 0 0; }} h3 {{ margin: 0; font-size: 1rem; }}
p {{ margin: .25rem 0; color: {LIGHT.muted}; }} code {{ overflow-wrap: anywhere; color: {LIGHT.text}; }}
"""


class Measured(NamedTuple):
    """What an experiment came to for one panel."""

    source: str  # its name, and its size where that is another than the paper's
    panel: Panel
    results: Results
    as_published: bool  # by the protocol: only then the published curves are of the same budgets


class Drawn(NamedTuple):
    """One panel: what is in it, and where ours comes from."""

    figure: PaperFigure
    panel: Panel
    source: str  # the experiment's name and size; empty where nothing was measured
    info: CurvesInfo


def panels(measured: Sequence[Measured], published: Path | None) -> list[Drawn]:
    """Every panel of every figure: one for each experiment, one without ours where none is as published.

    ``published``: the file of published values, if it is at hand. Raises InputError for runs of different lengths.
    """
    drawn = []
    for figure in FIGURES:
        for panel in figure.panels:
            behind = _published(figure, panel, published)
            ours = [each for each in measured if each.panel == panel and _has_one_of(each, figure)]
            for each in ours:
                info = _curves(figure, panel, each.results, behind if each.as_published else {})
                drawn.append(Drawn(figure, panel, each.source, info))
            if not any(each.as_published for each in ours):
                drawn.append(Drawn(figure, panel, "", _curves(figure, panel, None, behind)))
    return drawn


def _has_one_of(measured: Measured, figure: PaperFigure) -> bool:
    shown = set(figure.configurations) - ({BASELINE} if figure.is_relative else set())
    return not shown.isdisjoint(measured.results.setting(measured.panel.imbalance))


def _published(figure: PaperFigure, panel: Panel, file: Path | None) -> dict[str, Published]:
    if file is None or not figure.is_relative:
        return {}
    curves = read_published(file, panel.dataset, panel.imbalance if panel.imbalance > 1 else panel.own_imbalance)
    return {name: curves[name] for name in figure.configurations if name in curves}


def _curves(figure: PaperFigure, panel: Panel, results: Results | None, behind: dict[str, Published]) -> CurvesInfo:
    setting = results.setting(panel.imbalance) if results is not None else {}
    values = {name: setting[name] for name in figure.configurations if name in setting}
    labels = results.labels if results is not None else np.empty(0, np.int64)
    titles = {name: Configuration.parse(name).title for name in figure.configurations}
    return curves_info(labels, values, titles, is_relative=figure.is_relative, published=behind)


def page(drawn: Sequence[Drawn]) -> str:
    """All panels as HTML, with Plotly in it."""
    parts, number, with_plotly = [], 0, True
    for each in drawn:
        if each.figure.number != number:
            number = each.figure.number
            parts.append(f"<h2>Figure {number}: {escape(each.figure.shows)}</h2>")
        ratio = f", imbalance {each.panel.imbalance:g}" if each.panel.imbalance > 1 else ""
        parts.append(f"<section><h3>{escape(PANEL_TITLES[each.panel.dataset] + ratio)}</h3><p>{escape(said(each))}</p>")
        if each.info.bands or each.info.published:
            figure = curves_figure(each.info, LIGHT)
            parts.append(figure.to_html(full_html=False, include_plotlyjs=with_plotly, config={"displaylogo": False}))
            with_plotly = False
        if not each.source:
            parts.append(f"<p>To measure it: <code>{escape(command(each.figure, each.panel))}</code></p>")
        parts.append("</section>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures 9 to 13</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>Figures 9 to 13 of TiDAL (ICCV 2023)</h1>"
        "<p>Lines: measured with TiDAL Studio, mean and 95 % interval over the runs. Dotted: as published.</p>"
        f"<main>{''.join(parts)}</main></body></html>\n"
    )


def said(each: Drawn) -> str:
    """Where a panel's curves come from, in words."""
    if not each.source:
        return "Not measured; dotted: as published." if each.info.published else "Not measured."
    if each.figure.is_relative and not each.info.bands:
        return f"{each.source}: without {BASELINE} there is nothing to compare with."
    runs = sorted({int(n) for curve in each.info.bands.values() for n in curve.n if n})
    counted = f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else f"{runs[0] if runs else 0}"
    return f"{each.source}; runs for each curve: {counted}."


def table(drawn: Sequence[Drawn]) -> dict[str, list[Any]]:
    """A row for each figure, panel, source, configuration and number of labels, as columns."""
    rows = [
        (each.figure.number, each.panel.dataset, each.panel.imbalance, source, name, int(labels), mean, low, high)
        for each in drawn
        for source, name, labels, mean, low, high in _values(each)
    ]
    names = ("figure", "dataset", "imbalance", "source", "configuration", "labels", "value", "low", "high")
    return {name: [row[position] for row in rows] for position, name in enumerate(names)}


def _values(each: Drawn) -> list[tuple[str, str, int, float, float, float]]:
    ours = [
        (each.source, name, labels, float(curve.mean[at]), float(curve.low[at]), float(curve.high[at]))
        for name, curve in each.info.bands.items()
        for at, labels in enumerate(each.info.labels)
        if curve.n[at]
    ]
    published = [
        ("published", name, labels, float(mean), float(mean - half), float(mean + half))
        for name, curve in each.info.published.items()
        for labels, mean, half in zip(curve.labels, curve.mean, curve.half, strict=True)
    ]
    return [*ours, *published]
