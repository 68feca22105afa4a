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
    int | None, typer.Option(help="The number of the round.", show_default="the newest that still has its weights")
]


def export_model(
    project: ProjectName,
    round: RoundNumber = None,
    format: Annotated[str, typer.Option(help="onnx, torch or safetensors.")] = "onnx",
    to: Annotated[
        Path | None, typer.Option(help="The folder to write.", show_default="a new one in the project's folder exports")
    ] = None,
) -> None:
    """Write a round's model to a folder. It works without the studio: weights, classes, a script, a model card."""
    from tidal_core.export.model import export_model as write

    with opened_to_read(project) as opened:
        folder, facts = write(opened, to, format, round)
    accuracy = f", accuracy {facts.accuracy.value:.1%} on {facts.accuracy.n:,} images" if facts.accuracy else ""
    out.print(
        escape(f"The model of round {facts.round_id} ({facts.labels:,} labels{accuracy}) is in {folder}"),
        soft_wrap=True,
    )
    out.print(escape(f"Try it: python {folder / 'predict.py'} IMAGE..."), soft_wrap=True)


def predict(
    project: ProjectName,
    folder: Annotated[str, typer.Argument(help="A folder of images; they need not be in the project.")],
    round: RoundNumber = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The file to write: .csv, .parquet or .jsonl, as its name ends.",
            show_default="a new Parquet file in the project's folder exports",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Label new images with a round's model. Writes a table; the project does not change."""
    from tidal_core.export.predict import predict as label
    from tidal_core.images.reports import printable

    with opened_to_read(project) as opened, progress_bar() as show, stopped_by_ctrl_c() as stop:
        report = label(opened, folder, out_file, round, overwrite=overwrite, progress=show, should_stop=stop)
    for problem in report.problems[:SHOWN_PROBLEMS]:
        out.print(escape(f"  {printable(problem.name)}: {problem.reason}"), soft_wrap=True)
    if len(report.problems) > SHOWN_PROBLEMS:
        out.print(f"  ... and {len(report.problems) - SHOWN_PROBLEMS:,} more")
    summary = (
        f"{report.images:,} images labelled by round {report.round_id}, "
        f"{len(report.problems):,} files could not be read"
    )
    out.print(escape(f"{summary}{'; stopped before the end' if report.stopped else ''}: {report.path}"), soft_wrap=True)
