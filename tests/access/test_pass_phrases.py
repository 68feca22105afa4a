"""The shared pass phrase: what is kept of it, who comes in with it, how long, and how often it may be guessed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.gates import wait_for
from tidal_core.access import attempts, pass_phrases
from tidal_core.access.attempts import TooManyAttempts
from tidal_core.access.pass_phrases import COOKIE, PassPhrases, SharedPassPhrase, change
from tidal_core.access.people import Person, Role
from tidal_core.errors import InputError, NotAllowed

OWNERS, ANNOTATORS = "correct horse battery", "annotators say hello"


class Clock:
    """A clock that the test moves."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of scrypt that the file's check takes: a twelfth of the time."""
    monkeypatch.setattr(pass_phrases.Hashed, "of", classmethod(_quickly))


def _quickly(cls: type[pass_phrases.Hashed], pass_phrase: str) -> pass_phrases.Hashed:
    salt = "00" * 16
    return cls(salt, pass_phrases._scrypt(pass_phrase, salt, 2**14, 8, 1), 2**14, 8, 1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login(tmp_path: Path, clock: Clock) -> SharedPassPhrase:
    change(tmp_path, Role.OWNER, OWNERS)
    change(tmp_path, Role.ANNOTATOR, ANNOTATORS)
    return SharedPassPhrase(tmp_path, clock)


def cookie(login: SharedPassPhrase, pass_phrase: str, name: str = "Ann", address: str = "192.0.2.1") -> str:
    return f"_streamlit_xsrf=2|abc; {COOKIE}={login.sign_in(pass_phrase, name, address)[0]}"


def test_each_pass_phrase_says_the_role_and_the_form_the_name(login: SharedPassPhrase) -> None:
    assert login.person(cookie(login, OWNERS, "  Ann \n Example ")) == Person("Ann Example", Role.OWNER)
    assert login.person(cookie(login, ANNOTATORS, "Bob")) == Person("Bob", Role.ANNOTATOR)
    with pytest.raises(InputError, match="Type your name"):
        login.sign_in(OWNERS, " \u200b\n", "192.0.2.1")


def test_the_file_holds_no_pass_phrase_and_is_for_its_user_alone(tmp_path: Path, login: SharedPassPhrase) -> None:
    file = tmp_path / pass_phrases.FILE

    assert OWNERS not in file.read_text(encoding="utf-8")
    assert ANNOTATORS not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600


def test_scrypt_as_shipped_is_as_costly_as_advised_and_takes_letters_however_they_were_typed() -> None:
    assert (pass_phrases.N, pass_phrases.R, pass_phrases.P) == (2**15, 8, 3)  # OWASP's equal of 2**17, 8, 1
    salt = "ab" * 16
    made = pass_phrases.Hashed(salt, pass_phrases._scrypt("Grüße an alle", salt, 2**14, 8, 1), 2**14, 8, 1)

    assert made.fits("Gru\u0308ße an alle")
    assert not made.fits("Grüße an alles")


@pytest.mark.parametrize("change_of", [lambda c: c[:-1], lambda c: c[:-2] + "AA", lambda c: c + "A", lambda c: "x" + c])
def test_a_cookie_that_was_tampered_with_opens_nothing(login: SharedPassPhrase, change_of) -> None:  # type: ignore[no-untyped-def]
    made, _ = login.sign_in(OWNERS, "Ann", "192.0.2.1")

    assert login.person(f"{COOKIE}={change_of(made)}") is None
    assert login.person(f"{COOKIE}=") is None
    assert login.person("") is None


def test_another_studio_s_cookie_opens_nothing(login: SharedPassPhrase, tmp_path: Path, clock: Clock) -> None:
    other = tmp_path / "other"
    change(other, Role.OWNER, OWNERS)

    assert login.person(cookie(SharedPassPhrase(other, clock), OWNERS)) is None


def test_a_session_ends_after_its_hours(login: SharedPassPhrase, clock: Clock) -> None:
    kept = cookie(login, ANNOTATORS)

    clock.now += 12 * 3600 - 1
    assert login.person(kept) is not None
    clock.now += 1
    assert login.person(kept) is None


def test_who_signs_out_is_out_with_every_copy_of_the_cookie_and_nobody_else_is(login: SharedPassPhrase) -> None:
    mine, other = cookie(login, OWNERS), cookie(login, OWNERS)

    login.end(mine)

    assert login.person(mine) is None
    assert login.person(mine + "; more=1") is None
    assert login.person(other) is not None


def test_a_new_pass_phrase_ends_all_sessions_of_a_studio_that_runs(
    login: SharedPassPhrase, tmp_path: Path, clock: Clock
) -> None:
    kept = cookie(login, OWNERS)
    assert login.person(kept) is not None

    change(tmp_path, Role.ANNOTATOR, "another one for them")
    clock.now += 2

    assert login.person(kept) is None
    assert login.person(cookie(login, "another one for them")) == Person("Ann", Role.ANNOTATOR)


def test_where_the_pass_phrases_were_taken_away_nobody_comes_in_any_more(
    login: SharedPassPhrase, tmp_path: Path, clock: Clock
) -> None:
    kept = cookie(login, OWNERS)

    change(tmp_path, Role.OWNER, None)
    clock.now += 2

    assert login.person(kept) is None
    with pytest.raises(NotAllowed):
        login.sign_in(OWNERS, "Ann", "192.0.2.1")


def test_after_five_wrong_ones_an_address_waits_longer_each_time_and_others_do_not(
    login: SharedPassPhrase, clock: Clock
) -> None:
    for _ in range(attempts.FREE):
        with pytest.raises(NotAllowed, match="This is not the pass phrase"):
            login.sign_in("wrong words here", "Eve", "192.0.2.66")

    with pytest.raises(TooManyAttempts, match=r"Too many wrong pass phrases.*Try again in 30 s\."):
        login.sign_in(OWNERS, "Eve", "192.0.2.66")
    assert login.person(cookie(login, OWNERS, address="192.0.2.1")) is not None

    clock.now += 31
    with pytest.raises(NotAllowed):
        login.sign_in("wrong words here", "Eve", "192.0.2.66")
    clock.now += 31
    with pytest.raises(TooManyAttempts, match="29 s"):
        login.sign_in(OWNERS, "Eve", "192.0.2.66")
    clock.now += 30
    assert login.person(cookie(login, OWNERS, address="192.0.2.66")) is not None


def test_who_knows_one_pass_phrase_cannot_guess_the_other_for_ever(login: SharedPassPhrase) -> None:
    for _ in range(attempts.FREE):
        with pytest.raises(NotAllowed):
            login.sign_in("wrong words here", "Bob", "192.0.2.66")
        if _ < attempts.FREE - 1:
            login.sign_in(ANNOTATORS, "Bob", "192.0.2.66")

    with pytest.raises(TooManyAttempts):
        login.sign_in(ANNOTATORS, "Bob", "192.0.2.66")


def test_a_flood_of_sign_ins_takes_no_more_than_a_few_threads(login: SharedPassPhrase) -> None:
    with ThreadPoolExecutor(pass_phrases.AT_ONCE) as pool:
        with login._trying:  # nobody's pass phrase is looked at until the end of this block
            waiting = [pool.submit(login.sign_in, OWNERS, "Ann", f"192.0.2.{n}") for n in range(pass_phrases.AT_ONCE)]
            wait_for(lambda: not login._queue._value, "the queue to be full")  # type: ignore[attr-defined]
            with pytest.raises(TooManyAttempts, match="Many people are signing in"):
                login.sign_in(OWNERS, "Bob", "192.0.2.99")
        assert all(each.result()[1] == 12 * 3600 for each in waiting)
    assert login.person(cookie(login, OWNERS)) is not None


def test_an_ipv6_household_counts_as_one_address() -> None:
    assert attempts.network_of("2001:db8::1") == attempts.network_of("2001:db8::ffff:2")
    assert attempts.network_of("2001:db8:0:1::1") != attempts.network_of("2001:db8::1")
    assert attempts.network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert attempts.network_of("no address") == "unknown"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("short", "at least 12 letters, this one has 5"),
        ("x" * 201, "at most 200 letters"),
        (" correct horse battery", "no blanks at its ends"),
        ("aaaaaaaaaaaaab", "fewer than 5 different letters"),
    ],
)
def test_a_pass_phrase_that_can_be_guessed_or_not_be_typed_is_refused(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        change(tmp_path, Role.OWNER, said)
    assert PassPhrases.read(tmp_path) is None


def test_the_two_pass_phrases_must_differ_and_the_owners_comes_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Make the owners' pass phrase first"):
        change(tmp_path, Role.ANNOTATOR, ANNOTATORS)
    change(tmp_path, Role.OWNER, OWNERS)
    with pytest.raises(InputError, match="two different pass phrases"):
        change(tmp_path, Role.ANNOTATOR, OWNERS)


@pytest.mark.parametrize("name", ["autopilot", " Import "])
def test_nobody_signs_in_under_a_name_of_answers_that_no_person_gave(login: SharedPassPhrase, name: str) -> None:
    with pytest.raises(InputError, match="answers that no person gave; type another name"):
        login.sign_in("the pass phrase of owners", name, "10.0.0.1")


def test_a_damaged_file_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / pass_phrases.FILE).write_text('{"secret": 1}', encoding="utf-8")

    with pytest.raises(InputError, match=r"pass-phrases\.json cannot be read.*tidal-studio pass-phrase"):
        SharedPassPhrase(tmp_path)

    change(tmp_path, Role.OWNER, OWNERS)
    assert SharedPassPhrase(tmp_path).person(cookie(SharedPassPhrase(tmp_path), OWNERS)) is not None


def test_who_is_known_is_known_at_once(login: SharedPassPhrase) -> None:
    """No request may wait for its cookie: the law is in the look-up, the time is a bound that no machine misses."""
    kept = cookie(login, OWNERS)
    assert login.person(kept) is not None
    login.read = None  # type: ignore[assignment,method-assign]  # never asked again

    begun = time.perf_counter()
    for _ in range(1000):
        assert login.person(kept) is not None
    assert (time.perf_counter() - begun) / 1000 < 0.001
