"""From where a project's images may be fetched: from the hosts that the person of this machine has said yes to.

A project can come from anywhere, and its images can name any address: to fetch them tells that address who looks, when,
and perhaps with whose credentials. So nothing is fetched for a project before a person was asked, once for each host.
An import is such a yes: that person named the source. The answers lie in the studio's home and not in the project's
folder, so that no project brings its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from tidal_core import files, json_checks
from tidal_core.errors import InputError
from tidal_core.images.sources.remote import protocol_of
from tidal_core.projects import home

_lock = threading.Lock()


def host_of(uri: str) -> str | None:
    """What is asked about: ``https://example.com``, ``s3://bucket``; None for what is read on this machine."""
    protocol = protocol_of(uri)
    if protocol is None:
        return None
    try:
        host = urlsplit(uri).netloc
    except ValueError:  # brackets that are not closed
        host = uri.partition("://")[2]
    return f"{protocol}://{host.rpartition('@')[2].lower()}"  # without a name and password


def hosts_of(uris: Iterable[str]) -> tuple[str, ...]:
    """The hosts of many addresses, each once, by name."""
    return tuple(sorted({host for uri in uris if "://" in uri and (host := host_of(uri)) is not None}))


def unasked_hosts(folder: Path, uris: Iterable[str]) -> tuple[str, ...]:
    """The hosts of addresses that nobody has said yes to, for the project in this folder."""
    hosts = hosts_of(uris)
    return tuple(host for host in hosts if host not in allowed_hosts(folder)) if hosts else ()


def allowed_hosts(folder: Path) -> frozenset[str]:
    """The hosts that the project in this folder may fetch its images from."""
    try:
        return frozenset(json_checks.decode(_file(folder).read_bytes(), list[str]))
    except (OSError, InputError):  # not there, or damaged: it is asked again
        return frozenset()


def allow(folder: Path, hosts: Iterable[str]) -> None:
    """Note a person's yes to hosts, in the words of ``host_of``. Raises OSError where it cannot be written."""
    with _lock:
        before = allowed_hosts(folder)
        after = before | frozenset(hosts)
        if after != before:
            _write(folder, after)


def forget(folder: Path) -> None:
    """Take back every yes: another project takes this place."""
    with _lock:
        _file(folder).unlink(missing_ok=True)


def _write(folder: Path, hosts: frozenset[str]) -> None:
    file = _file(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, json.dumps(sorted(hosts)), private=True)


def _file(folder: Path) -> Path:
    return home() / "fetched-from" / f"{folder.name}.json"
