"""``classes``: the list of classes of a project, out as a file and in from one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import out
from tidal_core.commands.opening import opened_to_read


def classes(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Write the classes to this file, .json or .csv.", show_default="no file"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--in",
            help="Take the classes of this file in: new ones are added, those of the same name get its keys, colours, "
            "descriptions and order. You see first what it would change.",
            show_default="no file",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --in: do not ask before anything is changed.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --out: replace an existing file.")] = False,
) -> None:
    """List the classes of a project, write them to a file, or take in a list. Reads work while the studio runs."""
    from tidal_core import files
    from tidal_core.errors import InputError
    from tidal_core.images.reports import printable
    from tidal_core.projects import open_project, slugify
    from tidal_core.store import class_lists

    if to is not None and source is not None:
        raise InputError("--out writes a file and --in reads one; give one of the two.")
    if source is not None:
        listed = class_lists.from_bytes(_content(source), class_lists.kind_of(source.name))
        with closing(open_project(slugify(project))) as opened:
            known = opened.store.classes.all(include_retired=True)
            for line in class_lists.plan_in_words(known, listed):
                out.print(escape(printable(line)), soft_wrap=True)
            if yes or typer.confirm("Change the classes of the project like that?"):
                in_use = opened.store.classes.take_list(
                    lambda now: class_lists.planned(now, listed), source=source.name
                )
                out.print(f"Done: {len(in_use):,} classes in use. The Project page can undo it.")
            else:
                out.print("Nothing was changed.")
        return
    kind = None if to is None else class_lists.kind_of(to.name)
    if to is not None and to.exists() and not overwrite:
        raise InputError(f"{to} already exists; choose another name (--out), or replace it with --overwrite.")
    with opened_to_read(project) as opened:
        records = opened.store.classes.all()
    if to is None or kind is None:
        for record in records:
            out.print(escape(f"{record.key or ' '}  {record.colour}  {printable(record.name)}"), soft_wrap=True)
        return
    files.write(to, class_lists.to_text(records, kind))
    out.print(escape(f"{len(records):,} classes written to {to}"), soft_wrap=True)


def _content(source: Path) -> bytes:
    from tidal_core.errors import InputError
    from tidal_core.store.class_lists import BYTES_AT_MOST

    try:
        with source.open("rb") as file:
            return file.read(BYTES_AT_MOST + 1)
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror or error}); give a file, .json or .csv.") from error
