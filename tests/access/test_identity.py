"""Who may enter by an identity provider: the list, and what makes a provider's word good enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tidal_core.access.configured import kind_of
from tidal_core.access.identity import Guests, IdentityProvider, guests_of, providers, read_secrets
from tidal_core.access.people import Person, Role
from tidal_core.errors import InputError

AUTH = {"redirect_uri": "https://s.example.org/oauth2callback", "cookie_secret": "s" * 32, "client_id": "studio"}
GUESTS = Guests(["Ann@Example.org"], ["bob@example.org", "@lab.example.org"])
SIGNED = 1_700_000_000.0


def login(claims: Any, *, guests: Guests = GUESTS, now: float = SIGNED + 60) -> IdentityProvider:
    def read(cookies: Mapping[str, str]) -> tuple[str, float] | None:
        return (json.dumps(claims), SIGNED) if "good" in cookies else None

    return IdentityProvider(guests, ["default"], read, lambda: now)


def claims(email: Any = "ann@example.org", **more: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "email": email, "email_verified": True, "iat": 1, **more}


@pytest.mark.parametrize(
    ("email", "role"),
    [
        ("ANN@example.ORG", Role.OWNER), ("bob@example.org", Role.ANNOTATOR), ("eve@lab.example.org", Role.ANNOTATOR),
        ("eve@example.org", None), ("ann@example.org.evil.org", None), ("eve@evil.org@lab.example.org", None),
        ("@lab.example.org", None), ("lab.example.org", None), ("eve@sub.lab.example.org", None), ("", None),
    ],
)  # fmt: skip
def test_an_address_or_a_domain_of_the_list_may_enter_in_its_role(email: str, role: Role | None) -> None:
    who = login(claims(email)).person("good=1")

    assert who == (None if role is None else Person(email.casefold(), role))


@pytest.mark.parametrize(
    "said",
    [
        claims(email_verified=False), {"is_logged_in": True, "email": "ann@example.org"}, claims(is_logged_in=False),
        claims(email=None), claims(email=["ann@example.org"]), [], "ann@example.org", None,
    ],
)  # fmt: skip
def test_what_the_provider_does_not_vouch_for_opens_nothing(said: Any) -> None:
    assert login(said).person("good=1") is None
    assert login(said).person("bad=1") is None


def test_a_provider_that_never_says_verified_can_be_trusted_by_a_setting_but_not_one_that_says_it_is_not() -> None:
    trusting = Guests(["ann@example.org"], trust_unverified_email=True)

    assert login({"is_logged_in": True, "email": "ann@example.org"}, guests=trusting).person("good=1") is not None
    assert login(claims(email_verified=False), guests=trusting).person("good=1") is None


def test_the_session_ends_after_the_hours_of_the_list_and_by_signing_out() -> None:
    assert login(claims(), now=SIGNED + 12 * 3600).person("good=1") is None
    one = login(claims())
    one.end("good=1")
    assert one.person("good=1") is None
    assert one.person("good=2") is None


def test_a_stranger_is_called_by_name_and_nobody_else_is() -> None:
    assert login(claims("eve@evil.org")).stranger("good=1") == "eve@evil.org"
    assert "not verified" in str(login(claims(email_verified=False)).stranger("good=1"))
    assert login(claims()).stranger("good=1") is None
    assert login(claims()).stranger("") is None


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ({"tidal": {"owners": []}, "auth": AUTH}, "names no owner; write for example"),
        ({"tidal": {"owner": ["a@b.org"]}, "auth": AUTH}, r"\[tidal\].*cannot be used"),
        ({"tidal": {"owners": "a@b.org"}, "auth": AUTH}, r"\[tidal\].*cannot be used"),
        ({"tidal": {"owners": ["a@b.org"]}}, r"there is no \[auth\]"),
        ({"tidal": {"owners": ["a@b.org"]}, "auth": {**AUTH, "cookie_secret": ""}}, "lacks cookie_secret"),
        ({"tidal": {"owners": ["a@b.org"]}, "auth": {**AUTH, "cookie_secret": "short"}}, "could be forged"),
        ({"tidal": {"owners": ["a@b.org"]}, "auth": {**AUTH, "redirect_uri": ""}}, "lacks redirect_uri"),
    ],
)
def test_a_list_that_cannot_work_is_refused_with_what_is_missing(secrets: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        guests_of(secrets)


def test_a_studio_without_the_package_that_asks_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(InputError, match=r"Authlib: python -m pip install -r requirements-login\.txt"):
        guests_of({"tidal": {"owners": ["a@b.org"]}, "auth": AUTH})


def test_secrets_of_another_app_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text('[auth]\nclient_id = "x"\n', encoding="utf-8")

    assert guests_of(read_secrets([tmp_path])) is None
    assert kind_of(tmp_path, [tmp_path]) == ""


def test_providers_are_named_as_streamlit_takes_them() -> None:
    assert providers({**AUTH, "google": {"client_id": "g"}, "client_kwargs": {"scope": "x"}}) == ["default", "google"]
