"""Which process owns a project and where it can be asked, for other programs of the same user.

A running studio writes its ``ownership`` record into the folder of each project it opens, with its address and a token
that nobody can guess, and takes it away when it ends. A record that a killed studio has left is told by its process:
DuckDB says which one holds the project, and only that one is asked.

``reading`` is how commands open a project that they only read: its own file, or, where a studio has it, a copy of it
as it is at that moment, which the studio hands over while labelling and training go on.
"""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from tidal_core import json_checks
from tidal_core.errors import InputError, ProjectInUse, TidalError, reason_of
from tidal_core.files import scratch
from tidal_core.ownership import Owner, announced
from tidal_core.projects import Project, open_project, project_folder
from tidal_core.records import Progress
from tidal_core.store import Store

TOKEN_HEADER = "X-Tidal-Owner"
ROWS_HEADER = "X-Tidal-Rows"
NOTE_HEADER = "X-Tidal-Note"  # as in an address: %-escaped
ANSWER_SECONDS = 90.0  # a snapshot may have to wait for another one


@dataclass(frozen=True)
class _Refusal:
    error: str


def owner_of(slug: str, refusal: ProjectInUse) -> Owner:
    """The studio that holds a project which could not be opened. Raises ``refusal`` again when it is no studio."""
    owner = announced(project_folder(slug))
    if owner is None or not owner.address or (refusal.pid is not None and refusal.pid != owner.pid):
        raise refusal
    return owner


def ask_status(slug: str, owner: Owner, where: str = "") -> dict[str, Any]:
    """What ``summary.summary`` says of the project, from the studio. Raises ProjectInUse when it does not answer."""
    answer = _post(slug, owner, f"status?{urlencode({'where': where})}" if where else "status")
    with answer:
        return json_checks.decode(answer.read(), dict[str, Any])


@contextmanager
def reading(
    slug: str, *, asking: Callable[[Owner], None] | None = None, progress: Progress | None = None
) -> Iterator[Project]:
    """A project to read from; what is written to it may be lost.

    ``asking`` is called before a running studio is asked for a copy, ``progress`` while it comes. Raises
    ProjectNotFound, ProjectInUse when the process that has it is no studio or does not answer, InputError when there
    is no room for the copy.
    """
    try:
        project = open_project(slug)
    except ProjectInUse as refusal:
        owner = owner_of(slug, refusal)
        if asking is not None:
            asking(owner)
        with copied(slug, owner, progress) as project:
            yield project
        return
    try:
        yield project
    finally:
        project.close()


@contextmanager
def copied(slug: str, owner: Owner, progress: Progress | None = None) -> Iterator[Project]:
    """The project as the studio has it now, as a copy of its file beside the project's own other files."""
    with scratch("copy") as folder:
        path = folder / "project.duckdb"
        _fetch(slug, owner, path, progress or (lambda done, total: None))
        store = Store(path)
        if os.name == "posix":
            # The open file lives on without its name: a command that is killed leaves nothing behind.
            shutil.rmtree(folder)
        try:
            yield Project(slug, project_folder(slug), store)
        finally:
            store.close()


def fetch_export(
    slug: str, owner: Owner, target: Path, asked: Mapping[str, str], progress: Progress | None = None
) -> tuple[int, str]:
    """An export that the studio makes of its own project file, as the file ``target``: its rows, and a note on them.

    ``asked``: format, what, round and where, as ``wire.ExportQuery`` takes them. Raises TidalError with the studio's
    reason when it refuses, ProjectInUse when it does not answer.
    """
    answer = _post(slug, owner, f"export?{urlencode(asked)}")
    _receive(answer, slug, owner, target, progress or (lambda done, total: None))
    return int(answer.headers.get(ROWS_HEADER, 0)), unquote(answer.headers.get(NOTE_HEADER, ""))


def _fetch(slug: str, owner: Owner, target: Path, progress: Progress) -> None:
    _receive(_post(slug, owner, "snapshot"), slug, owner, target, progress)


def _receive(answer: http.client.HTTPResponse, slug: str, owner: Owner, target: Path, progress: Progress) -> None:
    total, done = int(answer.headers.get("Content-Length", 0)), 0
    with answer, target.open("wb") as file:
        while done < total:
            try:
                chunk = answer.read(min(1 << 20, total - done))
            except (OSError, http.client.HTTPException):
                chunk = b""
            if not chunk:
                raise ProjectInUse(
                    f"The studio (process {owner.pid}) ended while it handed over the project {slug!r}: "
                    f"{done:,} of {total:,} bytes came. Try again.",
                    pid=owner.pid,
                )
            try:
                file.write(chunk)
            except OSError as error:
                raise InputError(
                    f"There is no room for the project's data ({total / 1e6:,.0f} MB) in {target.parent} "
                    f"({error.strerror}); make room, or set TMPDIR (for a copy) or the target to another folder."
                ) from error
            done += len(chunk)
            progress(done, total)


def _post(slug: str, owner: Owner, what: str) -> http.client.HTTPResponse:
    """Ask the owner; the answer with status 200. No proxy is ever in between."""
    connection: http.client.HTTPConnection | None = None
    try:
        address = urlsplit(owner.address)
        connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=ANSWER_SECONDS)
        headers = {TOKEN_HEADER: owner.token, "Host": f"localhost:{address.port}", "Connection": "close"}
        connection.request("POST", f"{address.path}/api/p/{slug}/owner/{what}", headers=headers)
        answer = connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a damaged address or token
        if connection is not None:
            connection.close()
        raise ProjectInUse(
            f"The project {slug!r} is open in process {owner.pid}, which does not answer at {owner.address} "
            f"({reason_of(error)}). Try again in a moment, or stop that studio "
            "(Ctrl+C in its terminal).",
            pid=owner.pid,
        ) from error
    if answer.status == 200:
        return answer
    refusal = None
    with answer:
        reason = f"it answered {answer.status} {answer.reason}"
        with suppress(InputError):
            reason = json_checks.decode(answer.read(), _Refusal).error
            if answer.status == 400:  # of what was asked, not of who asked
                refusal = InputError(reason)
    if refusal is not None:
        raise refusal
    raise TidalError(f"The studio at {owner.address} (process {owner.pid}) refused: {reason}")
