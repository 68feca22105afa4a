"""People who sign in at an identity provider (OIDC) by Streamlit's login; a list of addresses says who may enter.

Both stand in ``.streamlit/secrets.toml``: the section ``[auth]`` is Streamlit's, ``[tidal]`` is ours.

    [tidal]
    owners = ["ann@example.org"]
    annotators = ["bob@example.org", "@lab.example.org"]    # an address, or everybody of a domain
    hours = 12                                              # of a session, from signing in
    trust_unverified_email = false                          # for a provider that never says "email_verified"
"""

from __future__ import annotations

import importlib.util
import json
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from tidal_core import json_checks
from tidal_core.access.people import LONGEST_NAME, Person, Role
from tidal_core.access.sessions import Clock, Login, Session, fingerprint, parsed
from tidal_core.errors import InputError

SHORTEST_SECRET = 32  # letters
INSTALL = "python -m pip install -r requirements-login.txt"
DEFAULT_PROVIDER = "default"  # what Streamlit calls the one whose keys stand in [auth] itself
EXAMPLE = 'owners = ["ann@example.org"]'

Emails = Annotated[list[Annotated[str, Meta(min_length=3, max_length=254)]], Meta(max_length=10_000)]
ReadCookie = Callable[[Mapping[str, str]], tuple[str, float] | None]
"""What Streamlit's signed cookie holds, as JSON, and when it was signed, in seconds since 1970; None for none that it
signed (``ui.streamlit_internals``)."""


@dataclass(frozen=True)
class Guests:
    """The section ``[tidal]``: who may enter, and as what."""

    owners: Emails
    annotators: Emails = ()  # type: ignore[assignment]
    hours: Annotated[float, Meta(gt=0, le=24 * 30)] = 12.0
    trust_unverified_email: bool = False

    def role_of(self, email: str) -> Role | None:
        """The role of an e-mail address; None for one that may not enter."""
        address = email.strip().casefold()
        if address.count("@") != 1 or not all(address.split("@")):
            return None
        keys = {address, f"@{address.partition('@')[2]}"}
        for role, listed in ((Role.OWNER, self.owners), (Role.ANNOTATOR, self.annotators)):
            if keys & {entry.strip().casefold() for entry in listed}:
                return role
        return None


def guests_of(secrets: Mapping[str, Any]) -> Guests | None:
    """Who may enter, as the secrets say; None where they say nothing of it. Raises InputError for what cannot work."""
    said = secrets.get("tidal")
    if said is None:
        return None
    try:
        guests = json_checks.convert(said, Guests, unknown="refuse")
    except InputError as error:
        raise InputError(f"The section [tidal] of .streamlit/secrets.toml cannot be used: {error}") from error
    if not guests.owners:
        raise InputError(f"The section [tidal] of .streamlit/secrets.toml names no owner; write for example {EXAMPLE}")
    auth = secrets.get("auth")
    if not isinstance(auth, Mapping) or not providers(auth):
        raise InputError(
            "The section [tidal] of .streamlit/secrets.toml says who may enter, but there is no [auth] with an "
            "identity provider; docs/people.md has an example."
        )
    for key, what in (("redirect_uri", "where the provider sends people back to"), ("cookie_secret", "a random text")):
        if not auth.get(key):
            raise InputError(f"The section [auth] of .streamlit/secrets.toml lacks {key}, {what}.")
    if len(str(auth["cookie_secret"])) < SHORTEST_SECRET:
        raise InputError(
            f"cookie_secret in .streamlit/secrets.toml has fewer than {SHORTEST_SECRET} letters: cookies signed with "
            "it could be forged. Take a random one: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    if importlib.util.find_spec("authlib") is None:
        raise InputError(f"To ask the identity provider the studio needs the package Authlib: {INSTALL}")
    return guests


def providers(auth: Mapping[str, Any]) -> list[str]:
    """The names of the identity providers of ``[auth]``, as ``st.login`` takes them."""
    named = [name for name, section in auth.items() if isinstance(section, Mapping) and section.get("client_id")]
    return ([DEFAULT_PROVIDER] if auth.get("client_id") else []) + named


def read_secrets(folders: list[Path]) -> dict[str, Any]:
    """The secrets of these folders, those of the later ones before those of the earlier ones, as Streamlit reads them.

    Raises InputError for a file that cannot be read.
    """
    secrets: dict[str, Any] = {}
    for folder in folders:
        file = folder / ".streamlit" / "secrets.toml"
        try:
            secrets |= tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise InputError(f"The file {file} cannot be read: {error}") from error
    return secrets


class IdentityProvider(Login):
    """The login by an identity provider: reads the cookie that Streamlit set when it had asked the provider."""

    def __init__(self, guests: Guests, names: list[str], read_cookie: ReadCookie, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self.guests, self.providers = guests, names
        self._read_cookie = read_cookie

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session of one who is on the list."""
        said = self._claims(cookies)
        if said is None:
            return None
        claims, signed = said
        email = self._email_of(claims)
        role = None if email is None else self.guests.role_of(email)
        if email is None or role is None:
            return None
        id = fingerprint(f"{sorted(claims.items())} {signed}")
        return Session(Person(email[:LONGEST_NAME], role), signed + self.guests.hours * 3600, id)

    def stranger(self, cookies: str) -> str | None:
        """Whom the provider sent, and no list names; None for nobody."""
        said = self._claims(parsed(cookies))
        if said is None:
            return None
        claims, _ = said
        email = self._email_of(claims)
        if email is None:
            return f"{claims.get('email') or claims.get('sub')} (an address that the provider has not verified)"
        return email if self.guests.role_of(email) is None else None

    def _claims(self, cookies: Mapping[str, str]) -> tuple[dict[str, Any], float] | None:
        """What the provider said of a person, and when; None once that is too long ago."""
        cookie = self._read_cookie(cookies)
        if cookie is None:
            return None
        text, signed = cookie
        try:
            claims = json.loads(text)
        except ValueError:
            return None
        is_current = self._clock() < signed + self.guests.hours * 3600
        return (
            (claims, signed) if is_current and isinstance(claims, dict) and claims.get("is_logged_in") is True else None
        )

    def _email_of(self, claims: Mapping[str, Any]) -> str | None:
        """The address that the provider vouches for: one that anybody could have typed there opens no door."""
        email, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(email, str) or verified is False:
            return None
        return email.strip().casefold() if verified is True or self.guests.trust_unverified_email else None
