"""How commands open a project that a running studio may have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from tidal_core.commands.console import bytes_bar, err

if TYPE_CHECKING:
    from tidal_core.ownership import Owner
    from tidal_core.projects import Project


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
