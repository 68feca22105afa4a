"""``paper-figures``: Figures 9 to 13 of the paper, from the experiments that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import out
from tidal_core.errors import InputError


def paper_figures(
    to: Annotated[Path, typer.Option("--out", help="The page to write; a table of its values is put beside it.")],
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            help="An experiment with other settings than the paper's, or on a part of the data; may be given again.",
            show_default="those with the paper's settings",
        ),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of published values: dataset, imbalance_ratio, strategy, n_labeled, "
            "relative_improvement_pct, ci95.",
            show_default="published/tidal_relative_improvement.csv in $TIDAL_DATA, if it is there",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the data sets' files.", envvar="TIDAL_DATA")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
) -> None:
    """Draw Figures 9 to 13 of the paper with this studio's experiments over the published curves."""
    from tidal_core import files
    from tidal_core.experiments.files import Experiment, experiments
    from tidal_core.experiments.paper_figures import FIGURES, belongs
    from tidal_core.experiments.report import csv_bytes
    from tidal_core.experiments.results import read_results
    from tidal_core.figures.paper import Measured, page, panels, table
    from tidal_core.projects import home

    if to.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"{to.name!r} does not end like a page; choose a name that ends with .html.")
    to = to.expanduser().absolute()
    if to.exists() and not overwrite:
        raise InputError(f"{to} already exists; choose another name (--out), or replace it with --overwrite.")
    usual = data / "published" / "tidal_relative_improvement.csv" if data else None
    source = published or (usual if usual and usual.exists() else None)
    if source is not None and not source.is_file():
        raise InputError(f"There is no file {source}; leave --published out to draw this studio's curves alone.")
    named = [Experiment(home() / "experiments" / name) for name in experiment or ()]
    found: list[Measured] = []
    everywhere = dict.fromkeys(panel for figure in FIGURES for panel in figure.panels)
    for each in [*named, *(each for each in experiments(home()) if each not in named)]:
        own = [panel for panel in everywhere if belongs(each, panel, any_size=each in named)]
        if each in named and not own:
            raise InputError(
                f"The experiment {each.name!r} is of {each.spec.dataset}, which no figure of the paper shows at its "
                "imbalance ratios; leave it out."
            )
        for panel in own:
            as_published = belongs(each, panel)
            size = "" if as_published else f", {each.spec.dataset} with {each.spec.protocol.train.backbone}"
            found.append(Measured(f"Experiment {each.name}{size}", panel, read_results(each), as_published))
    drawn = panels(found, source)
    beside = to.with_suffix(".csv")
    for target, content in ((to, page(drawn).encode()), (beside, csv_bytes(table(drawn)))):
        with files.replaced(target) as file:
            file.write_bytes(content)
    measured = sum(bool(each.source) for each in drawn)
    out.print(escape(f"{measured} of {len(drawn)} panels have curves of this studio: {to}, {beside}"), soft_wrap=True)
