"""``export``, ``report``, ``export-replay``: data for other programs, and pages and films for people."""

from __future__ import annotations

from contextlib import ExitStack, closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import SHOWN_PROBLEMS, bytes_bar, out, progress_bar
from tidal_core.commands.opening import FetchOption, WhereOption, allow_fetching, opened_to_read, say_asked
from tidal_core.errors import ProjectInUse

if TYPE_CHECKING:
    from tidal_core.export.tables.base import Exporter, ExportOptions, ExportReport
    from tidal_core.ownership import Owner


class ExportWhat(StrEnum):
    """What an export holds."""

    LABELS = "labels"
    HISTORY = "history"
    PREDICTIONS = "predictions"
    CURVES = "curves"


def export(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    to: Annotated[Path, typer.Option(help="The file or folder to write, for example labels.csv.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="csv, parquet, imagefolder, zip, huggingface, coco, labelstudio or fiftyone.",
            show_default="from the ending of --to",
        ),
    ] = None,
    what: Annotated[
        ExportWhat,
        typer.Option(
            help="labels: the current label of each image. history: every answer ever given. predictions, curves: the "
            "probabilities from a round's model, at its end or at each epoch."
        ),
    ] = ExportWhat.LABELS,
    round: Annotated[
        int | None, typer.Option(help="For predictions and curves: the number of the round.", show_default="the newest")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="In folders of images, link to the originals instead of copying them.")
    ] = False,
    with_model: Annotated[
        bool,
        typer.Option("--with-model", help="Labels: also classes of the model that were accepted, marked as such."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="In CSV, leave out the apostrophe that keeps spreadsheets from running a cell."),
    ] = False,
    where: WhereOption = "",
    fetch: FetchOption = None,
) -> None:
    """Write labels or predictions to a file. Works while the studio runs, too."""
    from tidal_core.export.tables import checked
    from tidal_core.export.tables.base import ExportOptions
    from tidal_core.images.reports import printable
    from tidal_core.projects import open_project, slugify
    from tidal_core.server.owner_client import owner_of

    options = ExportOptions(
        what=what.value,
        round_id=round,
        link=link,
        overwrite=overwrite,
        where=where,
        with_model=with_model,
        plain=plain,
    )
    allow_fetching(slugify(project), fetch)
    exporter, target = checked(to, format, options)
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(closing(open_project(slugify(project))))
            report = exporter.write(opened, target, options)
        except ProjectInUse as refusal:
            if exporter.from_store:
                report = _from_studio(slugify(project), owner_of(slugify(project), refusal), exporter, target, options)
            else:
                report = exporter.write(stack.enter_context(opened_to_read(project)), target, options)
    for problem in report.problems[:SHOWN_PROBLEMS]:
        out.print(escape(f"  {printable(problem.name)}: {problem.reason}"), soft_wrap=True)
    if len(report.problems) > SHOWN_PROBLEMS:
        out.print(f"  ... and {len(report.problems) - SHOWN_PROBLEMS:,} more")
    out.print(escape(f"{report.rows:,} {what.value} written to {report.path}"), soft_wrap=True)
    if report.note:
        out.print(escape(report.note), soft_wrap=True)


def report(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write, .html.", show_default="report.html in the project's exports"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write a report on a project, one HTML file that opens offline. Labels, accuracy, confusions, the model."""
    from tidal_core.export.report import write_report

    with opened_to_read(project) as opened:
        target = write_report(opened, out_file or opened.exports / "report.html", overwrite=overwrite)
    out.print(escape(f"The report is in {target}"), soft_wrap=True)


def export_replay(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    to: Annotated[
        Path,
        typer.Option(
            help="The file to write. .html: a page that plays offline. .webp, .gif: an animation. .mp4: a film."
        ),
    ],
    images: Annotated[int, typer.Option(help="Show at most so many images.", min=1, max=20_000)] = 2_000,
    speed: Annotated[float, typer.Option(help="Epochs a second, of animations and films.", min=0.5, max=50)] = 20.0,
    dark: Annotated[bool, typer.Option("--dark", help="Animations and films on a dark ground.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write the rounds as a page or a film that plays again how the model learnt. Works while the studio runs, too."""
    from tidal_core.export.replay import checked, write_replay
    from tidal_core.export.replay.collect import replay_info
    from tidal_core.export.replay.page import estimated_bytes

    target, kind = checked(to, overwrite=overwrite)
    with opened_to_read(project) as opened:
        if kind.suffix == ".html":
            size = estimated_bytes(opened, replay_info(opened, images=images))
            out.print(f"The page will be about {size / 1e6:.1f} MB.")
        with progress_bar("drawing frames") as show:
            write_replay(
                opened, target, images=images, epochs_per_second=speed, dark=dark, overwrite=overwrite, progress=show
            )
    out.print(escape(f"The replay is in {target} ({target.stat().st_size / 1e6:.1f} MB)"), soft_wrap=True)


def _from_studio(slug: str, owner: Owner, exporter: Exporter, target: Path, options: ExportOptions) -> ExportReport:
    """Let the running studio write an export that needs no photos, and receive only that file."""
    from tidal_core.export.tables.base import ExportReport
    from tidal_core.files import replaced
    from tidal_core.server.owner_client import fetch_export

    request = {"format": exporter.name, "what": options.what}
    if options.round_id is not None:
        request["round"] = str(options.round_id)
    if options.with_model:
        request["with_model"] = "yes"
    if options.where:
        request["where"] = options.where
    if options.plain:
        request["plain"] = "yes"
    say_asked(owner)
    with replaced(target) as beside, bytes_bar("receiving the export") as show:
        rows, note = fetch_export(slug, owner, beside, request, show)
    return ExportReport(target, rows, note=note)
