"""Who has come in, told by a cookie: looked up once for each cookie, and then a matter of microseconds.

Every request and every message of a page's connection asks; what a cookie says is kept under the header as it was sent.
"""

from __future__ import annotations

import hashlib
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from tidal_core.access.people import HERE, Person

Clock = Callable[[], float]  # seconds since 1970
KEPT_AT_MOST = 1_000  # cookies whose person is known without another look, and sessions that were ended early


class Session(NamedTuple):
    """What a cookie says."""

    person: Person
    ends: float  # seconds since 1970
    id: str  # of this session, never shown


class Access(ABC):
    """How the studio knows who asks."""

    is_on = True  # whether anybody has to sign in

    @abstractmethod
    def person(self, cookies: str) -> Person | None:
        """Who sent this Cookie header; None for nobody who may come in."""


class NoLogin(Access):
    """The studio on the computer of one person."""

    is_on = False

    def person(self, cookies: str) -> Person | None:
        """Always the owner."""
        return HERE


class Login(Access):
    """A login of whatever kind: remembers what cookies say until they end or are ended."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()  # session id -> when its cookie would have ended

    @abstractmethod
    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """What signed cookies say, ended or not; None for none, and for one that was tampered with."""

    def refresh(self) -> None:
        """Take notice where who may come in was changed meanwhile."""

    def forget(self) -> None:
        """Read cookies anew."""
        with self._lock:
            self._known.clear()

    def person(self, cookies: str) -> Person | None:
        """Who sent this Cookie header; None where nobody has signed in, the session has ended or was ended."""
        session = self.session(cookies)
        return None if session is None else session.person

    def session(self, cookies: str) -> Session | None:
        """The session that goes on."""
        self.refresh()
        session = self._known.get(cookies)
        if session is None:
            session = self.read(parsed(cookies)) if cookies else None
            if session is None or session.id in self._ended:
                return None
            with self._lock:
                self._known[cookies] = session
                while len(self._known) > KEPT_AT_MOST:
                    self._known.popitem(last=False)
        return session if self._clock() < session.ends else None

    def end(self, cookies: str) -> None:
        """End a session before its time: in all tabs, and for whoever has a copy of its cookie."""
        session = self.session(cookies)
        if session is None:
            return
        with self._lock:
            self._ended[session.id] = session.ends
            self._known.clear()
            now = self._clock()
            for known in [each for each, ends in self._ended.items() if ends < now]:
                del self._ended[known]


def parsed(header: str) -> dict[str, str]:
    """The cookies of a header by name; none of one that cannot be read."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):  # one that is broken, perhaps another program's, takes no other along
        try:
            cookies.update({name: morsel.value for name, morsel in SimpleCookie(part.strip()).items()})
        except CookieError:
            continue
    return cookies


def fingerprint(text: str) -> str:
    """What stands for a secret in memory."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
