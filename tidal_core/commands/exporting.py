"""``export``: labels, answers or predictions for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import SHOWN_PROBLEMS, out
from tidal_core.commands.opening import opened_to_read


class ExportWhat(StrEnum):
    """What an export holds."""

    LABELS = "labels"
    HISTORY = "history"
    PREDICTIONS = "predictions"
    CURVES = "curves"


def export(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    to: Annotated[Path, typer.Option(help="The file or folder to write; its suffix tells the format.")],
    format: Annotated[str | None, typer.Option(help="The format, where the name does not tell it.")] = None,
    what: Annotated[ExportWhat, typer.Option(help="Current labels, all answers ever given, or what a round said.")] = (
        ExportWhat.LABELS
    ),
    round: Annotated[
        int | None, typer.Option(help="The round of predictions and curves; the newest one if left out.")
    ] = None,
    link: Annotated[bool, typer.Option(help="Trees of images: link to the originals instead of copying them.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write labels, answers or predictions for other programs; also while a studio runs."""
    from tidal_core.exporters import export as write
    from tidal_core.exporters.base import ExportOptions
    from tidal_core.images.reports import plain

    options = ExportOptions(what=what.value, round_id=round, link=link, overwrite=overwrite)
    with opened_to_read(project) as opened:
        report = write(opened, to, format, options)
    for problem in report.problems[:SHOWN_PROBLEMS]:
        out.print(escape(f"  {plain(problem.name)}: {problem.reason}"), soft_wrap=True)
    out.print(escape(f"{report.rows:,} {what.value} written to {report.path}"), soft_wrap=True)
