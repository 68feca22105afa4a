"""The studio itself: what ``tidal-studio`` does without a command.

It is ``streamlit run app.py`` from any folder: on an address of this computer alone, or on others with a login; on a
port that is free, with the settings that lie beside the front door.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import runpy
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape

from tidal_core import __version__, projects
from tidal_core.access import hosts
from tidal_core.commands.console import called_as, err, out
from tidal_core.errors import InputError, ProjectInUse, ProjectNotFound

if TYPE_CHECKING:
    from tidal_core.ownership import Owner

FIRST_PORT = 8501
LAST_PORT = 8600  # of those that are tried when none is named
ADDRESS = "127.0.0.1"


def _print_version(asked: bool) -> None:
    if asked:
        out.print(f"TiDAL Studio {__version__}")
        raise typer.Exit


def start(
    context: typer.Context,
    project: Annotated[
        str | None,
        typer.Option(
            help="The project to show first; `projects` lists the names.",
            metavar="NAME",
            show_default="the demo, digits",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="The port of the studio's address.",
            metavar="N",
            min=1024,
            max=65535,
            show_default=f"{FIRST_PORT}, or the next one that is free",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on: this computer alone, or 0.0.0.0 for all networks that it is in. That needs "
            "a login: see the command pass-phrase, and docs/people.md.",
            metavar="ADDRESS",
        ),
    ] = ADDRESS,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name by which browsers may ask for the studio, for example studio.example.org behind a proxy. "
            "May be given several times.",
            metavar="NAME",
            show_default="this computer's own names and addresses",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Label images in your browser while a model learns from your labels.

    Without a command, this starts the studio and prints the address to open; Ctrl-C stops it. The commands below do
    what the pages do, in a terminal; COMMAND --help explains each.
    """
    if context.invoked_subcommand is not None:
        if project is not None or port is not None or host != ADDRESS or name:
            raise InputError(
                "--project, --port, --host and --name are for starting the studio; leave them out before "
                f"{context.invoked_subcommand!r}."
            )
        return
    projects.check_home()
    check_host(host)
    if name:
        os.environ[hosts.NAMES] = ",".join(hosts.checked_names(name))
    serve(None if project is None else _known(project), port, host)


def serve(project: str | None, port: int | None, host: str = ADDRESS) -> NoReturn:
    """Start the studio and show the project of this slug first; ends with the process.

    Raises InputError and ProjectInUse where there is no port for it.
    """
    if project is not None:
        os.environ[projects.FIRST_SHOWN] = project
    found = free_port(port, host)
    if not hosts.is_here(host):
        err.print(escape(_how_others_come(host, found)), soft_wrap=True)
    _serve(front_door(), found, host)


def front_door() -> Path:
    """The script that Streamlit serves: the installed package's, or the one at the top of a checkout."""
    room = Path(__file__).parents[1]
    installed = room / "site" / "app.py"
    return installed if installed.is_file() else room.parent / "app.py"


def check_host(host: str) -> None:
    """Raises InputError for what is no address, and for one that others reach where there is no login."""
    from tidal_core.access.configured import check_address, kind_of

    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise InputError(
                f"{host!r} is no address of this computer. Give numbers, as in --host 0.0.0.0 for all of its networks; "
                "the name that browsers use goes into --name."
            ) from None
    check_address(host, kind_of(projects.home(), [Path.home(), Path.cwd(), front_door().parent]), called_as())


def _how_others_come(host: str, port: int) -> str:
    """What to tell the others, and what to beware of."""
    names = [*hosts.names_told(), *(hosts.own_addresses(six=host == "::") if host in hosts.EVERYWHERE else [host])]
    shown = ", ".join(f"http://{f'[{name}]' if ':' in name else name}:{port}" for name in names[:4])
    return (
        f"Others open {shown or 'the address of this computer'} and sign in. Nothing is encrypted on the way: in a "
        "network that you do not trust put a proxy with TLS before the studio (docs/people.md)."
    )


def _known(name: str) -> str:
    """The slug of a project that is there; the demo always is. Raises ProjectNotFound."""
    from tidal_core.server.studio import DEMO

    slug = projects.slugify(name)
    known = sorted({*projects.project_slugs(), DEMO})
    if slug not in known:
        raise ProjectNotFound(
            f"There is no project {slug!r}; there are: {', '.join(known)}. Start the studio without --project and "
            f"create it on the Project page, or: {called_as()} import FOLDER --name {slug}"
        )
    return slug


def free_port(wanted: int | None = None, host: str = ADDRESS) -> int:
    """The port to listen on: ``wanted``, or the first of the usual ones that is free.

    Raises InputError where none can be had, ProjectInUse where a studio with the same projects has it.
    """
    for port in range(FIRST_PORT, LAST_PORT + 1) if wanted is None else (wanted,):
        if _is_free(port, host):
            if wanted is None and port != FIRST_PORT:
                err.print(f"Port {FIRST_PORT} is in use by another program; the studio takes {port}.")
            return port
        _check_no_studio(port)
    if wanted is None:
        raise InputError(f"The ports {FIRST_PORT} to {LAST_PORT} are all in use; choose another port: --port 9000")
    raise InputError(
        f"Port {wanted} is in use by another program; choose another port with --port, or leave --port out to get a "
        "free one."
    )


def _is_free(port: int, host: str) -> bool:
    address = ADDRESS if host == "localhost" else host
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        if os.name == "posix":  # as the server does: a port whose last owner has just ended is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InputError(
                    f"{host!r} is no address of this computer; --host 0.0.0.0 takes all that it has."
                ) from error
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):  # the second: kept by the system for itself
                raise
            return False
    return True


def _check_no_studio(port: int) -> None:
    """Raises ProjectInUse where the program at this port is a studio with the same projects."""
    owner = _studio_at(port)
    if owner is not None:
        raise ProjectInUse(
            f"The studio is already running (process {owner.pid}): open {owner.address} in your browser, or stop it "
            "first (Ctrl-C in its terminal).",
            pid=owner.pid,
        )


def _studio_at(port: int) -> Owner | None:
    """The studio at a port of this computer, by what it has written into the folders of the projects it opened."""
    import psutil

    from tidal_core.ownership import announced

    for slug in projects.project_slugs():
        owner = announced(projects.project_folder(slug))
        if owner is not None and owner.address.endswith(f":{port}") and psutil.pid_exists(owner.pid):
            return owner
    return None


def _serve(door: Path, port: int, host: str) -> NoReturn:
    """Run the server in this process until Ctrl-C, which ends it with exit status 0."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    # The server closes down at Ctrl-C and hands the signal on to whoever was asked before it: without this, as an
    # interruption, which Streamlit calls "Aborted!".
    signal.signal(signal.SIGINT, stop)
    again = called_as()
    sys.argv = ["streamlit", "run", str(door), "--server.address", host, "--server.port", str(port)]
    if not hosts.is_here(host):  # else Streamlit asks a server elsewhere for this computer's address, to print it
        sys.argv += ["--browser.serverAddress", "localhost"]
    try:
        runpy.run_module("streamlit", run_name="__main__")
    except SystemExit as end:
        if not end.code:
            err.print(escape(f"The studio has stopped. Start it again with: {again}"), soft_wrap=True)
        raise
    raise SystemExit(0)
