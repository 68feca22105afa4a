"""``import``: images from a source into a project."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import SHOWN_PROBLEMS, called_as, err, out, progress_bar, stopped_by_ctrl_c
from tidal_core.commands.opening import owner_in_words
from tidal_core.errors import InputError, ProjectInUse
from tidal_core.projects import Project
from tidal_core.records import ImportReport

if TYPE_CHECKING:
    from tidal_core.images.importers.base import ImportOptions


class LabelSource(StrEnum):
    """Where labels come from, and what they become."""

    NONE = "none"
    FROM_FOLDERS = "from-folders"
    KNOWN = "known"
    ANSWERS = "answers"


class SeveralLabels(StrEnum):
    """What becomes of an image with several labels, as ``cells.Several``."""

    LEAVE_OUT = "leave-out"
    FIRST = "first"
    AS_ONE = "as-one"


_NONE = "none"  # what people write where they want none of what is guessed


class Training(StrEnum):
    """What a new project trains with, as in ``config.PRESETS``."""

    FROZEN = "frozen"
    QUICK = "quick"
    FINE_TUNE = "fine-tune"
    PAPER = "paper"


def import_(
    source: Annotated[
        str, typer.Argument(help="A folder of images, an archive, a table, or an address such as s3://bucket/photos.")
    ],
    name: Annotated[str, typer.Option(help="The project to add the images to; it is created if it does not exist.")],
    labels: Annotated[
        LabelSource,
        typer.Option(
            help="What to do with existing labels (folder names, columns). none: ignore them. from-folders, known: use "
            "them to measure accuracy, never to train. answers: take them as labels."
        ),
    ] = LabelSource.NONE,
    size: Annotated[
        int | None,
        typer.Option(
            help="New projects only: width and height in pixels of the images that the model sees.",
            min=8,
            max=512,
            show_default="chosen to suit the images",
        ),
    ] = None,
    model: Annotated[
        Training | None,
        typer.Option(
            help="New projects only: what trains. frozen: a pretrained model that knows photos already. quick: a small "
            "network that learns from nothing. fine-tune: a whole pretrained network. paper: ResNet-18 as in the "
            "paper; needs a GPU.",
            show_default="chosen to suit the images",
        ),
    ] = None,
    hide_near_duplicates: Annotated[
        bool, typer.Option("--hide-near-duplicates", help="Do not ask about images that look almost like another one.")
    ] = False,
    image_column: Annotated[
        str | None, typer.Option(help="In a table, the column with the paths of images.", show_default="guessed")
    ] = None,
    label_column: Annotated[
        list[str] | None,
        typer.Option(
            help="In a table, the column with labels, or none. Given several times: a column for each class, with 1 in "
            "that of the image's.",
            show_default="guessed",
        ),
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(help="In a table, the column that says train or test.", show_default="guessed")
    ] = None,
    annotator_column: Annotated[
        str | None, typer.Option(help="In a table, the column with names of annotators.", show_default="guessed")
    ] = None,
    class_level: Annotated[
        int | None,
        typer.Option(
            help="In a tree of folders, the level that is the class; 1 is the first below the source.",
            min=1,
            show_default="read from the tree",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the images that a table names; names are looked up in it and below it.",
            metavar="FOLDER",
            show_default="beside and below the table",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="In a folder or archive, the table with its labels, or none.",
            metavar="NAME",
            show_default="one that names its images, where no folder is a class",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="How a table is written, such as utf-8, cp1252 or shift_jis.", show_default="found out"),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(
            help="The file with the names of the numbers in the label column, or none.",
            metavar="FILE",
            show_default="one beside the table that knows all numbers",
        ),
    ] = None,
    several_labels: Annotated[
        SeveralLabels,
        typer.Option(
            help="What to do with an image that has several labels. leave-out: read it without one. first: take the "
            "first. as-one: the whole cell is the name of a class."
        ),
    ] = SeveralLabels.LEAVE_OUT,
    keep_missing_words: Annotated[
        bool,
        typer.Option("--keep-missing-words", help="Take nan, N/A, None, unlabeled and the like as classes."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would come in: ten rows, images, classes, problems.")
    ] = False,
) -> None:
    """Read images into a project. Importing again adds new images; your files are never changed."""
    from tidal_core.images.importers.base import Columns, ImportOptions
    from tidal_core.images.importers.cells import CellRules
    from tidal_core.images.ingest import LabelUse, ingest
    from tidal_core.images.new_project import new_project, reason_of
    from tidal_core.images.reports import keep_problems, printable, report_in_words
    from tidal_core.projects import open_project, project_slugs, slugify
    from tidal_core.server.owner_client import owner_of

    slug = slugify(name)
    is_new = slug not in project_slugs()
    given = label_column or []
    label = "" if given == [_NONE] else given[0] if len(given) == 1 else None
    one_hot = tuple(given) if len(given) > 1 else ()
    options = ImportOptions(
        columns=Columns(image_column, label, one_hot, split_column, annotator_column),
        images=_folder_of_images(images),
        encoding=encoding,
        cells=CellRules(several_labels.value, keep_missing_words),
        class_names="" if class_names == _NONE else class_names,
        table="" if table == _NONE else table,
        class_level=class_level,
    )
    if dry_run:
        _show_preview(source, options, asked=labels is not LabelSource.NONE)
        return
    if is_new:
        project = new_project(name, source, size=size, preset=None if model is None else model.value, options=options)
        out.print(escape(f"{reason_of(project)} Change it on the Project page, or with --model."), soft_wrap=True)
    else:
        try:
            project = open_project(slug)
        except ProjectInUse as refusal:
            owner = owner_of(slug, refusal)
            raise ProjectInUse(
                f"The project {slug!r} is open in a running studio ({owner_in_words(owner)}). Import on its Project "
                "page, or stop it first (Ctrl-C in its terminal).",
                pid=owner.pid,
            ) from refusal
    use: LabelUse = "known" if labels in {LabelSource.FROM_FOLDERS, LabelSource.KNOWN} else "none"
    use = "answers" if labels is LabelSource.ANSWERS else use
    empty = False
    try:
        with progress_bar() as show, stopped_by_ctrl_c() as stop:
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
        out.print(escape(report_in_words(report)), soft_wrap=True)
        if report.how_read:
            out.print(
                escape(f"{report.how_read} Other columns: --image-column, --label-column; see first: --dry-run."),
                soft_wrap=True,
            )
        for notice in report.notices:
            err.print(f"[bold red]{escape(printable(notice))}[/]", soft_wrap=True)
        if not empty:
            if is_new:
                _show_times(project)
            count = f"{project.store.images.count():,} images"
            out.print(
                f"Project [bold]{slug}[/]: {count}. Label them with: {called_as()} --project {slug}", soft_wrap=True
            )
    finally:
        project.close()
        if is_new and empty:
            shutil.rmtree(project.folder)
    if empty:
        err.print("No image could be read, so no project was made." if is_new else "The project has no images yet.")
        raise typer.Exit(1)


def _folder_of_images(images: Path | None) -> Path | None:
    """Raises InputError where there is no such folder."""
    if images is not None and not images.expanduser().is_dir():
        raise InputError(f"there is no folder {str(images)!r}; check what --images names.")
    return images


def _show_preview(source: str, options: ImportOptions, *, asked: bool) -> None:
    from tidal_core.images.preview import preview, preview_in_words, problems_in_words
    from tidal_core.images.reports import printable

    shown = preview(source, options, labels_asked=asked)
    for row in shown.rows:
        where = row.file or "not there"
        words = ", ".join(filter(None, (row.label or "no label", row.split and row.split.value, row.annotator)))
        out.print(escape(printable(f"  {row.name} -> {where}: {words}")), soft_wrap=True)
    for line in (*preview_in_words(shown, source), *problems_in_words(shown.problems)):
        out.print(escape(printable(line)), soft_wrap=True)
    for notice in shown.notices:
        err.print(f"[bold red]{escape(printable(notice))}[/]", soft_wrap=True)
    out.print("Nothing was imported: leave --dry-run out to import.")


def _show_times(project: Project) -> None:
    """How long the model takes on this machine: a short trial, and the features of the images that are asked first."""
    from tidal_core.rounds.fastest import settle_speed
    from tidal_core.rounds.feature_work import FeatureWork
    from tidal_core.rounds.foreseen import foresee_first_round, sentences

    with err.status("Measuring how long the model takes here ..."), stopped_by_ctrl_c() as stop:
        if settle_speed(project, should_stop=stop):
            foresee_first_round(project)
            FeatureWork().some(project, progress=lambda _: None, should_stop=stop, interrupted=lambda: False)
    if times := sentences(project):
        out.print(escape(" ".join(times)), soft_wrap=True)


def _show_problems(report: ImportReport, kept: Path | None) -> None:
    from tidal_core.images.reports import printable

    for problem in report.problems[:SHOWN_PROBLEMS]:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        out.print(
            f"  [yellow]{escape(printable(problem.name))}[/]: {escape(printable(problem.reason + remedy))}",
            soft_wrap=True,
        )
    if len(report.problems) > SHOWN_PROBLEMS:
        out.print(f"  ... and {len(report.problems) - SHOWN_PROBLEMS:,} more")
    if kept is not None:
        out.print(escape(f"All of them: {kept}"), soft_wrap=True)
