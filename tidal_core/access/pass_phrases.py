"""Two pass phrases that the people of a studio share: the owners' and the annotators'. One says the role.

``$TIDAL_HOME/pass-phrases.json`` (0600) holds what scrypt makes of them, never themselves, and the secret that signs
the cookies of those who came in. A new pass phrase brings a new secret: everybody signs in again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from itsdangerous import BadData, URLSafeSerializer
from msgspec import Meta

from tidal_core import files, json_checks
from tidal_core.access.attempts import BUSY, Attempts, TooManyAttempts
from tidal_core.access.people import NOT_PEOPLE, Person, Role, clean_name
from tidal_core.access.sessions import Clock, Login, Session
from tidal_core.errors import InputError, NotAllowed

FILE = "pass-phrases.json"
COOKIE = "tidal_session"
SHORTEST, LONGEST = 12, 200  # letters
HOURS = 12.0  # of a session
N, R, P = 2**15, 8, 3  # of scrypt: 32 MB and about a third of a second on one core
AT_ONCE = 8  # people whose pass phrases wait to be looked at: each takes a thread that answers of others need
_WHEN_BUSY = 5.0  # seconds
_LOOK_AGAIN = 1.0  # seconds: whether the file was changed


@dataclass(frozen=True)
class Hashed:
    """What is kept of a pass phrase."""

    salt: str  # hexadecimal
    hash: str
    n: Annotated[int, Meta(ge=2**14, le=2**20)] = N
    r: Annotated[int, Meta(ge=8, le=16)] = R
    p: Annotated[int, Meta(ge=1, le=8)] = P

    @classmethod
    def of(cls, pass_phrase: str) -> Hashed:
        """With a salt of its own."""
        salt = secrets.token_hex(16)
        return cls(salt, _scrypt(pass_phrase, salt, N, R, P))

    def fits(self, pass_phrase: str) -> bool:
        """Whether it is this pass phrase, in a time that tells nothing of it."""
        return hmac.compare_digest(_scrypt(pass_phrase, self.salt, self.n, self.r, self.p), self.hash)


def _scrypt(pass_phrase: str, salt: str, n: int, r: int, p: int) -> str:
    # The same letters typed on another keyboard may be other code points.
    text = unicodedata.normalize("NFKC", pass_phrase).encode(errors="surrogatepass")
    return hashlib.scrypt(text, salt=bytes.fromhex(salt), n=n, r=r, p=p, maxmem=256 * n * r, dklen=32).hex()


@dataclass(frozen=True)
class PassPhrases:
    """The file."""

    secret: Annotated[str, Meta(min_length=32)]
    owner: Hashed
    annotator: Hashed | None = None  # without one there are owners only
    hours: Annotated[float, Meta(gt=0, le=24 * 90)] = HOURS

    @classmethod
    def read(cls, home: Path) -> PassPhrases | None:
        """Those of a home; None where there are none. Raises InputError for a file that cannot be read."""
        try:
            return json_checks.decode((home / FILE).read_bytes(), cls)
        except FileNotFoundError:
            return None
        except (OSError, InputError) as error:
            raise InputError(
                f"{home / FILE} cannot be read ({error}). Make the pass phrase again: tidal-studio pass-phrase"
            ) from error

    def write(self, home: Path) -> None:
        """Keep them, for this user alone."""
        home.mkdir(parents=True, exist_ok=True)
        files.write(home / FILE, json.dumps(asdict(self)), durable=True, private=True)


def change(home: Path, role: Role, pass_phrase: str | None, *, hours: float | None = None) -> PassPhrases | None:
    """Set the pass phrase of a role, or take it away (None): the owners', and all are gone. Everybody signs in again.

    ``hours``: of a session, from signing in; None leaves them as they are. Raises InputError for a pass phrase that is
    too short, too long or the other role's, and where the owners' would be missing.
    """
    try:
        known = PassPhrases.read(home)
    except InputError:
        if role is Role.ANNOTATOR:
            raise
        known = None  # a damaged file: the owners' pass phrase begins a new one
    if known is None and role is Role.ANNOTATOR:
        raise InputError("Make the owners' pass phrase first: tidal-studio pass-phrase")
    if pass_phrase is not None:
        check(pass_phrase)
        other = known and (known.annotator if role is Role.OWNER else known.owner)
        if other and other.fits(pass_phrase):
            raise InputError("Owners and annotators need two different pass phrases: the pass phrase says the role.")
    hashed = None if pass_phrase is None else Hashed.of(pass_phrase)
    lasts = hours or (known.hours if known else HOURS)
    if role is Role.OWNER:
        if hashed is None:
            (home / FILE).unlink(missing_ok=True)
            return None
        made = PassPhrases(secrets.token_hex(32), hashed, known.annotator if known else None, lasts)
    else:
        assert known is not None
        made = PassPhrases(secrets.token_hex(32), known.owner, hashed, lasts)
    made.write(home)
    return made


def check(pass_phrase: str) -> None:
    """Raises InputError for a pass phrase that could be guessed, or that could not be typed."""
    if len(pass_phrase) < SHORTEST:
        raise InputError(
            f"A pass phrase needs at least {SHORTEST} letters, this one has {len(pass_phrase)}. Four words that do not "
            "belong together are easy to remember and hard to guess."
        )
    if len(pass_phrase) > LONGEST:
        raise InputError(f"A pass phrase has at most {LONGEST} letters, this one has {len(pass_phrase)}.")
    if pass_phrase != pass_phrase.strip() or not pass_phrase.isprintable():
        raise InputError("A pass phrase has no blanks at its ends and no line breaks; type it again.")
    if len(set(pass_phrase)) < 5:
        raise InputError("This pass phrase has fewer than 5 different letters; choose one that is harder to guess.")


class SharedPassPhrase(Login):
    """The login by pass phrase. Thread-safe; one is looked at at a time, as each takes a third of a second."""

    def __init__(self, home: Path, clock: Clock = time.time) -> None:
        """Raises InputError where the home has no pass phrases."""
        super().__init__(clock)
        self._file = home / FILE
        self._trying, self._queue = threading.Lock(), threading.Semaphore(AT_ONCE)
        self._attempts = Attempts(clock)
        known = PassPhrases.read(home)
        if known is None:
            raise InputError("There is no pass phrase yet: tidal-studio pass-phrase")
        self._phrases: PassPhrases | None = known
        self._stamp, self._looked = self._stamp_now(), clock()

    def sign_in(self, pass_phrase: str, name: str, address: str) -> tuple[str, float]:
        """The cookie of who knows a pass phrase, and how many seconds it lasts. Takes its time: call it in a thread.

        Raises InputError without a name, TooManyAttempts, NotAllowed for a wrong pass phrase.
        """
        who = clean_name(name)
        if not who:
            raise InputError("Type your name: it is kept with each of your answers.")
        if who.casefold() in NOT_PEOPLE:
            raise InputError(f"{who!r} is the name of answers that no person gave; type another name.")
        self._attempts.check(address)
        if not self._queue.acquire(blocking=False):
            raise TooManyAttempts(_WHEN_BUSY, BUSY)
        try:
            with self._trying:
                self.refresh()
                self._attempts.check(address)
                role = self._role_of(pass_phrase[: LONGEST + 1])  # a longer one is wrong, and costs no more time
                if role is None:
                    self._attempts.note_wrong(address)
                    raise NotAllowed("This is not the pass phrase. Ask whoever runs this studio for it.")
        finally:
            self._queue.release()
        phrases = self._phrases
        assert phrases is not None
        seconds = phrases.hours * 3600
        session = {"id": secrets.token_hex(16), "name": who, "role": role.value, "ends": self._clock() + seconds}
        return str(_serializer(phrases).dumps(session)), seconds

    def _role_of(self, pass_phrase: str) -> Role | None:
        phrases = self._phrases
        if phrases is None:
            return None
        # Both are tried, whichever fits: how long it takes tells nothing.
        fits = {
            Role.OWNER: phrases.owner.fits(pass_phrase),
            Role.ANNOTATOR: phrases.annotator is not None and phrases.annotator.fits(pass_phrase),
        }
        return next((role for role, does in fits.items() if does), None)

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session that our cookie names, if this studio's secret signed it."""
        phrases, cookie = self._phrases, cookies.get(COOKIE)
        if phrases is None or cookie is None:
            return None
        try:
            said = _serializer(phrases).loads(cookie)
            return Session(Person(said["name"], Role(said["role"])), float(said["ends"]), str(said["id"]))
        except (BadData, KeyError, TypeError, ValueError):
            return None

    def refresh(self) -> None:
        """Looks once a second whether the pass phrases were changed; where they are gone nobody comes in any more."""
        now = self._clock()
        if abs(now - self._looked) < _LOOK_AGAIN:
            return
        self._looked = now
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._phrases = PassPhrases.read(self._file.parent)
        except InputError:
            self._phrases = None
        self.forget()

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            known = os.stat(self._file)
        except OSError:
            return None
        return known.st_mtime_ns, known.st_ino


def _serializer(phrases: PassPhrases) -> URLSafeSerializer:
    return URLSafeSerializer(phrases.secret, salt=COOKIE, signer_kwargs={"digest_method": hashlib.sha256})
