"""``backup`` and ``restore``: a project as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import SHOWN_PROBLEMS, bytes_bar, err, out
from tidal_core.commands.opening import FetchOption, allow_fetching, opened_to_read


def backup(
    project: Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")],
    file: Annotated[Path, typer.Argument(help="The snapshot to write, for example flowers.zip.")],
    with_images: Annotated[bool, typer.Option("--with-images", help="Include the original photos.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    fetch: FetchOption = None,
) -> None:
    """Write a project to one file. Works while people label and a model trains, too."""
    from tidal_core.images.reports import printable
    from tidal_core.projects import project_folder, slugify
    from tidal_core.snapshots import writing

    writing.check_target(file.expanduser().absolute(), force)
    allow_fetching(slugify(project), fetch)
    going_on = writing.unfinished(project_folder(slugify(project)))
    with opened_to_read(project) as opened, bytes_bar("writing the snapshot") as show:
        done = writing.backup(opened, file, going_on, with_images=with_images, force=force, progress=show)
    for problem in done.problems[:SHOWN_PROBLEMS]:
        err.print(escape(f"  {printable(problem.name)}: {problem.reason}"), soft_wrap=True)
    if done.problems:
        err.print(f"{len(done.problems):,} photos could not be read and are not in the snapshot.")
    if done.own_photos:
        err.print(
            f"{done.own_photos:,} photos are in the project's own folder (uploads, archives) and not in the snapshot; "
            "add --with-images to include them.",
            soft_wrap=True,
        )
    out.print(
        escape(f"{done.manifest.title}: {len(done.manifest.members)} files, {done.bytes / 1e6:,.1f} MB in {done.path}"),
        soft_wrap=True,
    )


def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot that `backup` wrote.")],
    name: Annotated[
        str | None, typer.Option(help="The restored project's name.", show_default="its name when it was saved")
    ] = None,
    fetch: FetchOption = None,
) -> None:
    """Make a project from a snapshot. Existing projects are never replaced."""
    from tidal_core.images.sources import consent
    from tidal_core.snapshots.restoring import restore as unpack

    with bytes_bar("restoring") as show:
        done = unpack(file, name, progress=show)
    out.print(
        escape(f"Project {done.slug}: {done.images:,} images, as of {done.manifest.created}, in {done.folder}"),
        soft_wrap=True,
    )
    allow_fetching(done.slug, fetch)
    asked = consent.unasked_hosts(done.folder, done.hosts)
    if asked:
        out.print(
            escape(
                f"Its images come from {', '.join(asked[:5])}{' and others' if asked[5:] else ''}. Nothing is fetched "
                "from there until you say so: the studio asks beside every page, and commands take --fetch ADDRESS."
            ),
            soft_wrap=True,
        )
    if done.missing:
        out.print(
            escape(
                f"{len(done.missing):,} original photos are missing, the first: {done.missing[0]}. Until they are "
                "back, they are shown at the small size that the model sees."
            ),
            soft_wrap=True,
        )
