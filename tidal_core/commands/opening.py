"""How commands open a project that a running studio may have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tidal_core.commands.console import bytes_bar, err

if TYPE_CHECKING:
    from tidal_core.ownership import Owner
    from tidal_core.projects import Project


FetchOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Fetch images from this address, for example https://example.com, which the project names as their place. "
        "Imports do so by themselves; a project from elsewhere has to be allowed to. May be given several times.",
        show_default="only what was allowed before",
    ),
]


WhereOption = Annotated[
    str,
    typer.Option(
        help='Only images that fulfil a condition, for example "predicted=rose and margin<0.2". docs/conditions.md has '
        "all words.",
        show_default="all images",
    ),
]


def allow_fetching(slug: str, hosts: list[str] | None) -> None:
    """Note what ``--fetch`` says. Raises InputError for what is no address."""
    from tidal_core.errors import InputError
    from tidal_core.images.sources.consent import allow, host_of
    from tidal_core.projects import project_folder

    for host in hosts or ():
        allowed = host_of(host)
        if allowed is None:
            raise InputError(f"--fetch {host!r} is no address; give one such as https://example.com or s3://bucket.")
        allow(project_folder(slug), [allowed])


def owner_in_words(owner: Owner) -> str:
    """The process that has a project open, where, and since when."""
    since = owner.since.replace("T", " ").replace("+00:00", " UTC")
    return f"process {owner.pid} at {owner.address}, since {since}"


def say_asked(owner: Owner) -> None:
    """Tell that a running studio is asked, and which."""
    err.print(
        escape(f"This project is open in a running studio ({owner_in_words(owner)}); it sends the data."),
        soft_wrap=True,
    )


@contextmanager
def opened_to_read(name: str) -> Iterator[Project]:
    """A project by its name, to read from: as ``owner_client.reading``, telling who is asked and how much has come."""
    from tidal_core.projects import slugify
    from tidal_core.server.owner_client import reading

    with ExitStack() as stack:
        with bytes_bar("copying the project's data") as show:
            project = stack.enter_context(reading(slugify(name), asking=say_asked, progress=show))
        yield project
