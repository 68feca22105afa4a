"""What a request says, read in one place: headers, tokens, numbers, query, path and body, whatever was sent.

Nothing here trusts the web server to have looked: a header may come twice, a number may have five thousand digits or
be written in other digits than 0 to 9, an Origin need be no address, a token may hold half a character. What cannot
be read is ``Refused`` with a 4xx status and words for people; no other exception leaves this module.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from tidal_core import json_checks
from tidal_core.errors import InputError

BODY_AT_MOST = 1_000_000  # bytes
OWN_PAGES_ONLY = "This address only answers the studio's own pages."
T = TypeVar("T")
_NUMBER = re.compile(r"[0-9]{1,18}")  # str.isdigit and int take the digits of all scripts, and superscripts


class Refused(Exception):
    """A request that is not answered; ``str`` is for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def header(headers: Headers, name: str) -> str | None:
    """A header's value, None where there is none. Raises Refused where it was sent twice with different values."""
    values = set(headers.getlist(name))
    if len(values) > 1:
        raise Refused(400, f"The header {name} was sent {len(values)} times with different values; send it once.")
    return values.pop() if values else None


def check_origin(headers: Headers, scheme: str) -> None:
    """Raises Refused where a browser says that another site's page asks: another scheme, host or port than ours."""
    origin = header(headers, "origin")
    if origin is not None and origin.lower() != f"{scheme}://{header(headers, 'host')}".lower():
        raise Refused(403, OWN_PAGES_ONLY)


def check_token(given: object, wanted: str) -> None:
    """Raises Refused for whatever is not the token, in a time that tells nothing of it."""
    sent = given.encode(errors="surrogatepass") if isinstance(given, str) else b""
    if not secrets.compare_digest(sent, wanted.encode()):
        raise Refused(403, "The token is missing or from an earlier start of the studio; reload the page.")


async def read_body(request: Request, at_most: int = BODY_AT_MOST) -> dict[str, Any]:
    """The JSON object in a request's body, at most ``at_most`` bytes of it. Raises Refused."""
    kind = (header(request.headers, "content-type") or "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "Send application/json.")
    too_large = Refused(413, f"The body is larger than {at_most:,} bytes; send fewer answers at a time.")
    declared = header(request.headers, "content-length") or "0"
    if not _NUMBER.fullmatch(declared) or int(declared) > at_most:
        raise too_large
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > at_most:
                raise too_large
    except ClientDisconnect:
        raise Refused(400, "The body of the request was cut off; send it again.") from None
    try:
        return json_checks.decode(bytes(received), dict[str, Any])
    except InputError as error:
        raise Refused(400, f"The body of the request cannot be read: {error}") from error


def read_query(request: Request, kind: type[T]) -> T:
    """The query of a request as its route takes it: a record of texts. Raises Refused naming what does not fit."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if given.setdefault(name, value) != value:
            raise Refused(400, f"{name[:40]!r} stands twice in the address, with different values; give it once.")
    try:
        return json_checks.convert(given, kind)
    except InputError as error:
        raise Refused(400, str(error)) from error


def read_number(text: str, largest: int) -> int | None:
    """A number from 0 to ``largest`` written in plain digits; None for any other text."""
    number = int(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and number <= largest else None
