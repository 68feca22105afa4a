"""The figures of an experiment as PNG files: ``python -m tests.browser.experiment_pictures NAME``.

Drawn by the same code and in the same Chromium as the Experiments page, for documents.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import plotly.graph_objects as go
from playwright.sync_api import sync_playwright

from tests.browser.driver import launch
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.results import read_results
from tidal_core.figures.experiments import curves_figure, curves_info
from tidal_core.figures.palettes import LIGHT
from tidal_core.projects import home


def figures_of(name: str, configurations: list[str]) -> dict[str, go.Figure]:
    """Accuracy, and accuracy relative to random, at the first imbalance ratio; some configurations in colour."""
    results = read_results(Experiment(home() / "experiments" / name))
    values = results.setting(results.imbalances[0])
    titles = {configuration: Configuration.parse(configuration).title for configuration in values}
    behind = set(values).difference(configurations) if configurations else set()
    found = {
        kind: curves_figure(
            curves_info(results.labels, values, titles, is_relative=kind == "relative", behind=behind), LIGHT
        )
        for kind in ("accuracy", "relative")
    }
    for figure in found.values():
        figure.update_layout(paper_bgcolor=LIGHT.background, height=520)
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--configurations", default="", help="in colour, with commas; all others are grey")
    parser.add_argument("--to", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    configurations = [name for name in given.configurations.split(",") if name]
    with sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        page = browser.new_page(viewport={"width": 1000, "height": 520})
        for kind, figure in figures_of(given.name, configurations).items():
            page.set_content(figure.to_html(include_plotlyjs=True, config={"staticPlot": True}))
            page.wait_for_selector(".scatterlayer .trace", state="attached")
            page.wait_for_timeout(500)
            file = given.to / f"{given.name}-{kind}.png"
            page.screenshot(path=file)
            print(file)
        browser.close()


if __name__ == "__main__":
    main()
