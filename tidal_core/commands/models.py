"""``export-model`` and ``predict``: a round's model for other programs, and for new images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import SHOWN_PROBLEMS, out, progress_bar, stopped_by_ctrl_c
from tidal_core.commands.opening import opened_to_read

ProjectName = Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")]
RoundNumber = Annotated[
    int | None, typer.Option(help="The number of the round.", show_default="the newest whose weights are kept")
]


def export_model(
    project: ProjectName,
    round: RoundNumber = None,
    format: Annotated[str, typer.Option(help="onnx, torch or safetensors.")] = "onnx",
    to: Annotated[
        Path | None, typer.Option(help="The folder to write.", show_default="a new one in the project's exports")
    ] = None,
) -> None:
    """Write a round's model as a folder that works without the studio: weights, classes, preprocessing, a script."""
    from tidal_core.export.model import export_model as write

    with opened_to_read(project) as opened:
        folder, facts = write(opened, to, format, round)
    said = f", accuracy {facts.accuracy.value:.1%} on {facts.accuracy.n:,} images" if facts.accuracy else ""
    out.print(
        escape(f"The model of round {facts.round_id} ({facts.labels:,} labels{said}) is in {folder}"), soft_wrap=True
    )
    out.print(escape(f"Try it: python {folder / 'predict.py'} IMAGE..."), soft_wrap=True)


def predict(
    project: ProjectName,
    folder: Annotated[str, typer.Argument(help="A folder of images that the project need not have.")],
    round: RoundNumber = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="The Parquet file to write.", show_default="a new one in the project's exports"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Label new images with a round's model, into a Parquet file; the project stays as it is."""
    from tidal_core.export.predict import predict as label
    from tidal_core.images.reports import printable

    with opened_to_read(project) as opened, progress_bar() as show, stopped_by_ctrl_c() as stop:
        found = label(opened, folder, out_file, round, overwrite=overwrite, progress=show, should_stop=stop)
    for problem in found.problems[:SHOWN_PROBLEMS]:
        out.print(escape(f"  {printable(problem.name)}: {problem.reason}"), soft_wrap=True)
    if len(found.problems) > SHOWN_PROBLEMS:
        out.print(f"  ... and {len(found.problems) - SHOWN_PROBLEMS:,} more")
    said = f"{found.images:,} images labelled by round {found.round_id}, {len(found.problems):,} files not read"
    out.print(escape(f"{said}{'; stopped before the end' if found.stopped else ''}: {found.path}"), soft_wrap=True)
