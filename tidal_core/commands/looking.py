"""``projects`` and ``status``: what there is and how far it is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tidal_core.commands.console import out
from tidal_core.errors import ProjectInUse, TidalError
from tidal_core.records import RoundState, Split


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
