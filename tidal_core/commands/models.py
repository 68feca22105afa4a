"""``export-model``: a round's model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import out
from tidal_core.commands.opening import opened_to_read

ProjectName = Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")]
RoundNumber = Annotated[int | None, typer.Option(help="The round; the newest whose weights are kept if left out.")]


def export_model(
    project: ProjectName,
    round: RoundNumber = None,
    format: Annotated[str, typer.Option(help="onnx, torch or safetensors.")] = "onnx",
    to: Annotated[Path | None, typer.Option(help="The folder to write; below the project's exports if left out.")] = (
        None
    ),
) -> None:
    """Write a round's model as a folder that works without the studio: weights, classes, preprocessing, a script."""
    from tidal_core.model_export import export_model as write

    with opened_to_read(project) as opened:
        folder, facts = write(opened, to, format, round)
    said = f", accuracy {facts.accuracy.value:.1%} on {facts.accuracy.n:,} images" if facts.accuracy else ""
    out.print(
        escape(f"The model of round {facts.round_id} ({facts.labels:,} labels{said}) is in {folder}"), soft_wrap=True
    )
    out.print(escape(f"Try it: python {folder / 'predict.py'} IMAGE..."), soft_wrap=True)
