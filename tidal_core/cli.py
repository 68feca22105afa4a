"""``tidal-studio``, or ``python -m tidal_core``: the studio, and what it can do without its pages, a line a command.

A command opens the project's file for itself. Where a running studio has it, commands that only read ask the studio for
what they need (``commands.opening``); the others say who has it and end with 1.
"""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from tidal_core.commands.classes import classes
from tidal_core.commands.computing import features, train
from tidal_core.commands.console import err, unusable
from tidal_core.commands.demo import demo
from tidal_core.commands.exporting import export, export_replay, report
from tidal_core.commands.importing import import_
from tidal_core.commands.looking import projects, status
from tidal_core.commands.models import export_model, predict
from tidal_core.commands.paper import paper_figures
from tidal_core.commands.people import pass_phrase
from tidal_core.commands.snapshots import backup, restore
from tidal_core.commands.starting import start
from tidal_core.errors import TidalError
from tidal_core.experiments.command import experiment, remove, resume, separability

app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)
app.callback()(start)
app.command()(demo)
app.command("import")(import_)
app.command()(classes)
app.command()(export)
app.command()(report)
app.command()(export_replay)
app.command()(export_model)
app.command()(predict)
app.command("pass-phrase")(pass_phrase)
app.command()(features)
app.command()(train)
app.command()(projects)
app.command()(status)
app.command()(backup)
app.command()(restore)
app.command()(experiment)
app.command("experiment-resume")(resume)
app.command("experiment-remove")(remove)
app.command()(separability)
app.command("paper-figures")(paper_figures)


def main() -> None:
    """Run a command; what went wrong on purpose is one line on stderr and exit code 1, not a traceback."""
    try:
        app()
    except TidalError as error:
        err.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        if error.errno is None:
            raise
        err.print(f"[bold red]Error:[/] {escape(unusable(error))}", soft_wrap=True)
        sys.exit(1)
