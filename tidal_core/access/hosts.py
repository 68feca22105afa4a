"""Where the studio listens, and by which names browsers may ask for it.

A request under another name is a page elsewhere that was pointed here. Names that only this computer can have (its own
addresses, its own name) are safe from that; others are allowed by the owner, ``--name studio.example.org``.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable

import psutil

from tidal_core.errors import InputError

NAMES = "TIDAL_NAMES"
"""The environment variable with further names of this studio, apart by commas."""

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # as only programs of this computer reach it; allowed always
EVERYWHERE = ("0.0.0.0", "::")
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def is_here(address: str) -> bool:
    """Whether only programs of this computer reach what listens on an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def checked_names(names: Iterable[str]) -> list[str]:
    """Names as they stand in a Host header, in small letters. Raises InputError for what is none."""
    checked = []
    for name in names:
        plain = name.strip().lower().rstrip(".")
        if not _NAME.fullmatch(plain) and not _is_address(plain):
            raise InputError(
                f"{name!r} is no name of a computer: give it as it stands in the address of the browser, without "
                "http:// and without a port, as in --name studio.example.org"
            )
        checked.append(plain)
    return checked


def names_told() -> list[str]:
    """The names that the environment variable lists. Raises InputError."""
    return checked_names(filter(None, os.environ.get(NAMES, "").split(",")))


def allowed(address: str, names: Iterable[str] = ()) -> list[str]:
    """The hosts that requests may name, for a studio that listens on ``address``; IPv6 in brackets."""
    hosts = [*LOOPBACK, *names]
    if address in EVERYWHERE:
        hosts += own_addresses(six=address == "::")
        hosts += [name.lower() for name in {socket.gethostname(), socket.getfqdn()} if _NAME.fullmatch(name.lower())]
    elif not is_here(address):
        hosts.append(address)
    return list(dict.fromkeys(f"[{host}]" if ":" in host and not host.startswith("[") else host for host in hosts))


def own_addresses(*, six: bool = False) -> list[str]:
    """This computer's addresses in its networks, without those that only it can reach."""
    kinds = {socket.AF_INET, socket.AF_INET6} if six else {socket.AF_INET}
    found = [known.address for each in psutil.net_if_addrs().values() for known in each if known.family in kinds]
    return [address for address in found if _is_address(address) and not is_here(address)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
