"""``python -m tidal_core ...``: what the studio can do without its pages.

Every command opens a project's file for itself; where a running studio owns it, the command says so and ends with 1.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tidal_core.errors import ProjectInUse, TidalError
from tidal_core.experiments.command import experiment, resume, separability
from tidal_core.records import ImportReport, RoundState, Split

app = typer.Typer(
    help="TiDAL Studio on the command line. Start the studio itself with: make run",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

app.command()(experiment)
app.command("experiment-resume")(resume)
app.command()(separability)

SHOWN_PROBLEMS = 20


class LabelSource(StrEnum):
    """Where labels come from, and what they become."""

    NONE = "none"
    FROM_FOLDERS = "from-folders"
    KNOWN = "known"
    ANSWERS = "answers"


class ExportWhat(StrEnum):
    """What an export holds."""

    LABELS = "labels"
    HISTORY = "history"
    PREDICTIONS = "predictions"
    CURVES = "curves"


def main() -> None:
    """Run a command; what went wrong on purpose is one line on stderr and exit code 1, not a traceback."""
    try:
        app()
    except TidalError as error:
        err.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A folder of images, or one of the other sources (see the README).")],
    name: Annotated[str, typer.Option(help="The project; it is made when there is none of this name.")],
    labels: Annotated[
        LabelSource,
        typer.Option(
            help="none: leave labels out. from-folders, known: known classes, for comparing and testing, "
            "never trained on. answers: as if a person had given them."
        ),
    ] = LabelSource.NONE,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels of what the model sees; a new project only.", min=8, max=512)
    ] = None,
    hide_near_duplicates: Annotated[
        bool, typer.Option(help="Keep images that look like another one out of the queue.")
    ] = False,
    image_column: Annotated[str | None, typer.Option(help="Tables: the column of paths; guessed if left out.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Tables: the column of labels.")] = None,
    split_column: Annotated[str | None, typer.Option(help="Tables: the column that says train or test.")] = None,
    annotator_column: Annotated[str | None, typer.Option(help="Tables: the column of annotators.")] = None,
) -> None:
    """Read images into a project. Importing again adds what is new; originals are never changed."""
    import dataclasses

    from tidal_core.images.importers import guessed_columns
    from tidal_core.images.importers.base import Columns, ImportOptions
    from tidal_core.images.ingest import LabelUse, ingest
    from tidal_core.images.reports import keep_problems, summary
    from tidal_core.images.suggest import suggest_settings
    from tidal_core.projects import create_project, open_project, project_slugs, slugify

    slug = slugify(name)
    is_new = slug not in project_slugs()
    options = ImportOptions(columns=Columns(image_column, label_column, split_column, annotator_column))
    columns = guessed_columns(source, options)
    if columns is not None:
        said = ", ".join(f"{role}: {column}" for role, column in dataclasses.asdict(columns).items() if column)
        out.print(
            escape(f"Columns read as {said}. Correct them with --image-column, --label-column, ..."), soft_wrap=True
        )
    if is_new:
        settings = suggest_settings(source, name, options)
        project = create_project(name, dataclasses.replace(settings, training_size=size or settings.training_size))
    else:
        project = open_project(slug)
    use: LabelUse = "known" if labels in {LabelSource.FROM_FOLDERS, LabelSource.KNOWN} else "none"
    use = "answers" if labels is LabelSource.ANSWERS else use
    empty = False
    try:
        with _progress() as show, _stopped_by_ctrl_c() as stop:
            report = ingest(
                project,
                source,
                labels=use,
                hide_near_duplicates=hide_near_duplicates,
                options=options,
                progress=lambda step: show(step.done, step.total),
                should_stop=stop,
            )
        empty = project.store.images.count() == 0
        kept = None if empty else keep_problems(project, report)
        _show_problems(report, kept)
        out.print(escape(summary(report)), soft_wrap=True)
        if not empty:
            out.print(f"Project [bold]{slug}[/]: {project.store.images.count():,} images. Label them with: make run")
    finally:
        project.close()
        if is_new and empty:
            shutil.rmtree(project.folder)
    if empty:
        err.print("No image could be read, so no project was made." if is_new else "The project has no image yet.")
        raise typer.Exit(1)


@app.command()
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
    """Write labels, answers or predictions for other programs."""
    from tidal_core.exporters import export as write
    from tidal_core.exporters.base import ExportOptions
    from tidal_core.images.reports import plain
    from tidal_core.projects import open_project, slugify

    opened = open_project(slugify(project))
    try:
        options = ExportOptions(what=what.value, round_id=round, link=link, overwrite=overwrite)
        report = write(opened, to, format, options)
    finally:
        opened.close()
    for problem in report.problems[:SHOWN_PROBLEMS]:
        out.print(escape(f"  {plain(problem.name)}: {problem.reason}"), soft_wrap=True)
    out.print(escape(f"{report.rows:,} {what.value} written to {report.path}"), soft_wrap=True)


@app.command()
def projects() -> None:
    """List all projects."""
    from tidal_core.projects import home, open_project, project_slugs

    slugs = project_slugs()
    if not slugs:
        out.print("No projects yet. Make one with: python -m tidal_core import FOLDER --name NAME")
        return
    table = Table("project", "images", "labels", "rounds", box=None, header_style="bold")
    for slug in slugs:
        try:
            opened = open_project(slug)
        except ProjectInUse as error:
            table.add_row(slug, "", "", f"open in process {error.pid}")
            continue
        except TidalError as error:
            table.add_row(slug, "", "", escape(str(error)))
            continue
        with opened.store as store:
            done = sum(record.state is RoundState.DONE for record in store.rounds.all())
            table.add_row(
                slug, f"{store.images.count():,}", f"{sum(store.answers.counts_by_class().values()):,}", str(done)
            )
    out.print(table)
    out.print(f"in {escape(str(home() / 'projects'))}", soft_wrap=True)


@app.command()
def status(project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")]) -> None:
    """Tell how far a project is: images, labels by class, rounds."""
    from tidal_core.projects import open_project, slugify

    opened = open_project(slugify(project))
    with opened.store as store:
        out.print(f"[bold]{escape(opened.title)}[/] in {escape(str(opened.folder))}", soft_wrap=True)
        out.print(
            f"{store.images.count(Split.POOL):,} images to label, {store.images.count(Split.TEST):,} to test with"
        )
        counts = store.answers.counts_by_class()
        out.print(f"{sum(counts.values()):,} labels in {len(counts)} of {len(store.classes.all())} classes")
        for record in store.classes.all():
            out.print(f"  {counts.get(record.id, 0):>8,}  {escape(record.name)}")
        last = store.rounds.latest()
        if last is None:
            out.print("no rounds yet")
        else:
            reason = f": {last.error}" if last.error else ""
            out.print(escape(f"last round: {last.id}, {last.state.value}, {last.labels:,} labels{reason}"))


def _show_problems(report: ImportReport, kept: Path | None) -> None:
    from tidal_core.images.reports import plain

    for problem in report.problems[:SHOWN_PROBLEMS]:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        out.print(
            f"  [yellow]{escape(plain(problem.name))}[/]: {escape(plain(problem.reason + remedy))}", soft_wrap=True
        )
    if len(report.problems) > SHOWN_PROBLEMS:
        out.print(f"  ... and {len(report.problems) - SHOWN_PROBLEMS:,} more")
    if kept is not None:
        out.print(escape(f"All of them: {kept}"), soft_wrap=True)


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal, nothing where the output goes to a file."""
    columns = (
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=None, speed="")

        def show(done: int, total: int | None) -> None:
            speed = progress.tasks[0].speed or progress.tasks[0].finished_speed
            progress.update(task, completed=done, total=total, speed=f"{speed:,.0f} a second" if speed else "")

        yield show


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C ends the import after the file at hand, so that the report comes; the second one kills it."""
    asked = False

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        err.print("Stopping after the files at hand; Ctrl-C again to leave at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
