"""``demo``: the studio for an audience, on the digits or on photos in class folders, with autopilot and race."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core import projects
from tidal_core.commands.console import SHOWN_PROBLEMS, err, out, progress_bar, stopped_by_ctrl_c
from tidal_core.commands.starting import serve
from tidal_core.errors import InputError, ProjectExists
from tidal_core.projects import Project
from tidal_core.records import Split

MADE_OF = "demo_folder"
"""The note in a project on the folder that this command has made it of."""

NEXT_ROUND = "next-round"
LEAST_CLASSES = 2


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A folder that has a folder of images for each class; a project is made of it, with one image in five "
            "held out to measure accuracy.",
            show_default="the handwritten digits",
        ),
    ] = None,
    autopilot: Annotated[
        bool | None,
        typer.Option(
            "--autopilot/--no-autopilot",
            help="Known classes answer instead of a person, from the start.",
            show_default="on with FOLDER",
        ),
    ] = None,
    speed: Annotated[
        str, typer.Option(help="Answers a second, 1 to 50; next-round: as fast as it can, until a round has ended.")
    ] = "5",
    mistakes: Annotated[float, typer.Option(help="Share of wrong answers, 0 to 1.")] = 0.0,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for each round before the next answers: a repeated demo comes out the same."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the mistakes and of the race.")] = 0,
    race: Annotated[
        bool | None,
        typer.Option(
            "--race/--no-race", help="Start a race against random asking (page Race).", show_default="on with FOLDER"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="With FOLDER: the project's name.", show_default="the folder's"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port of the studio's address.", metavar="N", min=1024, max=65535, show_default="8501, or the next"
        ),
    ] = None,
) -> None:
    """Show the studio to an audience: make a project, let known classes answer, race against random asking.

    The same command again goes on with the project that it made.
    """
    from tidal_core.labelling.autopilot import AT_THE_START, Plan, Takeoff

    plan = Plan(_per_second(speed), mistakes, seed, wait)
    if name is not None and folder is None:
        raise InputError("--name names the project of a folder; give the folder, too, or leave --name out.")
    projects.check_home()
    project = _digits() if folder is None else project_of_folder(folder, name)
    try:
        if race if race is not None else folder is not None:
            _race(project, seed)
    finally:
        project.close()
    if autopilot if autopilot is not None else folder is not None:
        os.environ[AT_THE_START] = json.dumps(dataclasses.asdict(Takeoff(project.slug, plan)))
    serve(project.slug, port)


def _per_second(speed: str) -> float | None:
    """Raises InputError for what is no speed."""
    if speed == NEXT_ROUND:
        return None
    try:
        return float(speed)
    except ValueError as error:
        raise InputError(f"{speed!r} is no speed; write a number of answers a second, or {NEXT_ROUND}.") from error


def _digits() -> Project:
    from tidal_core.server.studio import make_demo

    return make_demo()


def project_of_folder(folder: Path, name: str | None = None) -> Project:
    """The project of a folder of class folders, open: made now, or by an earlier call for the same folder.

    Classes are known and never labels: they are for the autopilot and to measure accuracy. Where no folder is called
    test, a fifth of the images is held out. Raises InputError where there are no two classes or nothing can be read,
    ProjectExists for a project of this name that was made otherwise.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"There is no folder {str(folder)!r}; give one that has a folder of images for each class.")
    title = name or folder.name
    slug = projects.slugify(title)
    if slug in projects.project_slugs():
        project = projects.open_project(slug)
        if project.store.settings.get(MADE_OF) == str(folder):
            out.print(escape(f"The project {slug} was made of {folder} before; it goes on."), soft_wrap=True)
            return project
        project.close()
        raise ProjectExists(
            f"There is already a project {slug!r}, and this command did not make it of {folder}; choose another name: "
            "--name NAME"
        )
    _make(folder, title)
    return projects.open_project(slug)


def _make(folder: Path, title: str) -> None:
    """Make the project, whole or not at all."""
    from tidal_core.experiments.datasets import test_images
    from tidal_core.images.ingest import ingest
    from tidal_core.images.reports import printable, report_in_words
    from tidal_core.images.suggest import propose

    settings = dataclasses.replace(propose(str(folder), title).settings, audit_share=0.0)
    with projects.making(title, settings) as made:
        with progress_bar() as show, stopped_by_ctrl_c() as stop:
            report = ingest(
                made,
                str(folder),
                labels="known",
                progress=lambda step: show(step.done, step.total),
                should_stop=stop,
            )
            if stop():
                raise typer.Exit(1)
        for problem in report.problems[:SHOWN_PROBLEMS]:
            err.print(escape(printable(f"  {problem.name}: {problem.reason}")), soft_wrap=True)
        known = made.store.images.known_classes()
        if len(set(known.values())) < LEAST_CLASSES:
            raise InputError(
                f"{folder} has {len(known)} images in {len(set(known.values()))} class folders that can be read; give "
                f"a folder that has a folder of images for each of at least {LEAST_CLASSES} classes."
            )
        if not made.store.images.count(Split.TEST):
            made.store.images.hold_out(test_images(known))
        made.store.settings.set(MADE_OF, str(folder))
    out.print(escape(report_in_words(report)), soft_wrap=True)


def _race(project: Project, seed: int) -> None:
    """Begin it, or find it; the studio starts it. A folder that is too small for one is shown all the same."""
    from tidal_core.experiments import race

    own = project.settings.strategy
    try:
        begun = race.begin_race(project, projects.home(), own if own != race.RANDOM else race.USUAL, seed=seed)
    except InputError as error:
        err.print(escape(f"There is no race: {error}"), soft_wrap=True)
        return
    os.environ[projects.FIRST_RACE] = json.dumps({"slug": project.slug, "race": begun.name})
    out.print("A race against random asking starts after the first round; watch it on the page Race.", soft_wrap=True)
