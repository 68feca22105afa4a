"""Who may enter the studio: the pass phrases that the owners and the annotators share."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.markup import escape

from tidal_core.access import pass_phrases
from tidal_core.access.people import Role
from tidal_core.commands.console import called_as, out
from tidal_core.errors import InputError

VARIABLE = "TIDAL_PASS_PHRASE"
"""The environment variable to take a pass phrase from, for programs; a person is asked on the terminal."""

_OF = {Role.OWNER: "Owners", Role.ANNOTATOR: "Annotators"}


def pass_phrase(
    annotators: Annotated[
        bool,
        typer.Option("--annotators", help="The pass phrase of those who only label and look, instead of the owners'."),
    ] = False,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Take it away. Without the owners' there is no login, and nobody else comes in."),
    ] = False,
    hours: Annotated[
        float | None,
        typer.Option(
            help="How long people stay signed in.", min=0.1, max=24 * 90, show_default=f"{pass_phrases.HOURS:g}"
        ),
    ] = None,
) -> None:
    """Make the pass phrase with which people enter the studio from their computers; it is asked for on the terminal.

    A program gives it in the environment variable TIDAL_PASS_PHRASE. It is kept hashed. After every change all people
    sign in again, also in a studio that runs.
    """
    from tidal_core import projects

    role = Role.ANNOTATOR if annotators else Role.OWNER
    projects.check_home(to_write=True)
    home = projects.home()
    if not (home / pass_phrases.FILE).exists() and (remove or annotators):
        raise InputError(f"There is no pass phrase yet. Make the owners' pass phrase first: {called_as()} pass-phrase")
    made = pass_phrases.change(home, role, None if remove else _asked_for(role), hours=hours)
    if made is None:
        out.print("There is no pass phrase any more: the studio answers this computer only.")
        return
    if remove:
        out.print("Annotators have no pass phrase any more; owners have.")
    else:
        out.print(f"{_OF[role]} have a new pass phrase, and stay signed in for {made.hours:g} hours.")
    if made.annotator is None:
        out.print(escape(f"For people who only label and look: {called_as()} pass-phrase --annotators"), soft_wrap=True)
    out.print(escape(f"Let others in: {called_as()} --host 0.0.0.0"), soft_wrap=True)


def _asked_for(role: Role) -> str:
    """From the environment, else typed twice without being shown. Raises InputError where nobody can type."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return given
    if not os.isatty(0):
        raise InputError(
            f"There is no terminal to type a pass phrase on; give it in the environment variable {VARIABLE}."
        )
    said = str(typer.prompt(f"{_OF[role]}' pass phrase", hide_input=True))
    pass_phrases.check(said)
    if typer.prompt("Once more", hide_input=True) != said:
        raise InputError("The two were not the same; nothing was changed.")
    return said
