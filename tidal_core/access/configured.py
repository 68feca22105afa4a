"""Which login a studio has: by what its owner has set up, and by nothing that a request says.

An identity provider goes before a pass phrase. What is set up is asked for on this computer, too: behind a proxy, every
request comes from here.
"""

from __future__ import annotations

from pathlib import Path

from tidal_core.access.hosts import is_here
from tidal_core.access.identity import IdentityProvider, ReadCookie, guests_of, providers, read_secrets
from tidal_core.access.pass_phrases import PassPhrases, SharedPassPhrase
from tidal_core.access.sessions import Access, NoLogin
from tidal_core.errors import InputError


def kind_of(home: Path, secrets_in: list[Path]) -> str:
    """What is set up, in words; "" for nothing. Raises InputError for what cannot work."""
    if guests_of(read_secrets(secrets_in)) is not None:
        return "an identity provider"
    return "a pass phrase" if PassPhrases.read(home) is not None else ""


def login_of(home: Path, secrets_in: list[Path], read_cookie: ReadCookie) -> Access:
    """The login of a studio. Raises InputError for what cannot work."""
    secrets = read_secrets(secrets_in)
    guests = guests_of(secrets)
    if guests is not None:
        return IdentityProvider(guests, providers(secrets["auth"]), read_cookie)
    if PassPhrases.read(home) is not None:
        return SharedPassPhrase(home)
    return NoLogin()


def check_address(address: str, login: str, command: str = "tidal-studio") -> None:
    """Raises InputError where others could reach a studio that asks nobody who they are.

    ``login`` as ``kind_of`` has it; ``command``: as it was typed.
    """
    if login or is_here(address):
        return
    raise InputError(
        f"The studio does not listen on {address!r} without a login: anyone who can reach it could read and change "
        f"every project. Make a pass phrase first ({command} pass-phrase), or name an identity provider at which "
        "people sign in (docs/people.md), then start it again. By yourself you need neither on another computer: "
        "leave --host out, and forward its port there: ssh -L 8501:127.0.0.1:8501 THIS-COMPUTER"
    )
