"""People sign in: by a pass phrase, or at an identity provider beside the studio; and what each may do then."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import patient
from tests.browser.driver import Labelling
from tests.browser.server import ROOT, Server, free_port
from tests.browser.test_accessible import violations
from tests.helpers.gates import WAIT_SECONDS, wait_for
from tidal_core.access.pass_phrases import change
from tidal_core.access.people import Role

pytestmark = pytest.mark.browser

OWNERS, ANNOTATORS = "correct horse battery", "annotators say hello"
COMMAND = [sys.executable, "-P", "-m", "tidal_core", "--host", "0.0.0.0", "--name", "studio.example.org", "--port"]
TOKEN = "of-the-test"


@pytest.fixture(scope="module")
def studio(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio in all networks of this computer, with two pass phrases; its address is this computer's own."""
    home = tmp_path_factory.mktemp("signing-in") / "home"
    shutil.copytree(demo_home, home)
    change(home, Role.OWNER, OWNERS)
    change(home, Role.ANNOTATOR, ANNOTATORS)
    variables = {"PYTHONPATH": str(ROOT), "TIDAL_TOKEN": TOKEN}
    with Server(home, program=COMMAND, folder=home.parent, variables=variables) as running:
        yield running


def sign_in(page: Page, name: str, pass_phrase: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Pass phrase").fill(pass_phrase)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def call(page: Page, path: str, method: str = "POST", body: object = None) -> tuple[int, str]:
    """What an address of the studio answers to the person of a page, who has the token that its scripts have."""
    status, text = page.evaluate(
        """async ([path, method, body, token]) => {
          const headers = { "X-Tidal-Token": token, "Content-Type": "application/json" };
          const sent = method === "GET" ? {} : { body: JSON.stringify(body) };
          const answer = await fetch(path, { method, headers, ...sent });
          return [answer.status, await answer.text()];
        }""",
        [path, method, {} if body is None else body, TOKEN],
    )
    return int(status), str(text)


def never_grey(page: Page) -> None:
    """Have the page draw all buttons as live ones, as a browser would that does not care about roles."""

    def relay(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def changed(sent: str | bytes) -> None:
            message = ForwardMsg()
            message.ParseFromString(sent if isinstance(sent, bytes) else sent.encode())
            if message.delta.new_element.HasField("button"):
                message.delta.new_element.button.disabled = False
            route.send(message.SerializeToString())

        server.on_message(changed)

    page.route_web_socket(re.compile("/_stcore/stream"), relay)


def test_an_annotator_signs_in_labels_under_that_name_and_changes_nothing_else(studio: Server, page: Page) -> None:
    page.goto(f"{studio.url}/?project=digits")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    sign_in(page, "Ann", "not the pass phrase")
    expect(page.get_by_role("alert")).to_have_text("This is not the pass phrase. Ask whoever runs this studio for it.")
    expect(page.get_by_label("Your name")).to_have_value("Ann")
    sign_in(page, "Ann", ANNOTATORS)

    labelling = Labelling(page, studio.url)
    labelling.page.goto(f"{studio.url}/?project=digits")
    image = labelling.press("3")
    labelling.wait_saved()
    expect(page.get_by_text("Signed in as Ann, annotator.")).to_be_visible()
    status, text = call(page, "/api/p/digits/history", body={"annotator": "Olga"})
    assert (status, [entry["item"]["image"] for entry in json.loads(text)["entries"]]) == (200, [image])

    # An owner's addresses.
    status, text = call(page, "/api/p/digits/collection/table", body={"ids": [1]})
    assert (status, "Only an owner can" in text) == (403, True)
    assert call(page, "/api/p/digits/bulk", body={"act": "exclude", "ids": [1]})[0] == 403
    assert call(page, "/_stcore/upload_file/any/file", "PUT")[0] == 403

    # An owner's page actions: greyed, and refused where a browser sends a press all the same.
    page.get_by_role("button", name="Autopilot").click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    never_grey(page)
    page.reload()
    page.get_by_role("button", name="Autopilot").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Only an owner can do this. You are signed in as Ann")).to_be_visible()
    page.goto(f"{studio.url}/project?project=digits")
    expect(page.get_by_text("Only an owner can import images.")).to_be_visible()
    expect(page.get_by_text("Browse folders")).to_have_count(0)

    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.goto(f"{studio.url}/gallery")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert call(page, "/api/p/digits/classes", "GET")[0] == 401


def test_an_owner_finds_everything_open_and_another_tab_ends_with_the_session(studio: Server, page: Page) -> None:
    page.goto(f"{studio.url}/project?project=digits")
    sign_in(page, "Olga", OWNERS)
    expect(page.get_by_text("Signed in as Olga, owner.")).to_be_visible()
    expect(page.get_by_text("Browse folders")).to_have_count(2)
    assert call(page, "/api/p/digits/collection/table", body={"ids": [1]})[0] == 200

    other = page.context.new_page()
    other.goto(f"{studio.url}/sign-out")
    expect(other.get_by_role("status")).to_have_text("You are signed out.")

    bar = page.locator("#tidal-connection").get_by_role("alert")
    expect(bar).to_contain_text("Your sign-in has ended.")
    expect(bar).to_contain_text("Reload this page to sign in.")


def test_too_many_wrong_pass_phrases_are_told_in_plain_words(studio: Server, page: Page) -> None:
    # As a proxy on this computer would tell it: who has to wait is this address alone.
    page.set_extra_http_headers({"X-Forwarded-For": "192.0.2.66"})
    page.goto(f"{studio.url}/sign-in")
    for _ in range(6):
        sign_in(page, "Eve", "guessing all the time")

    expect(page.get_by_role("alert")).to_have_text(
        re.compile(r"Too many wrong pass phrases came from your address\. Try again in \d+ s\.")
    )


def test_behind_a_proxy_with_tls_the_origin_is_the_browser_s_and_the_cookie_secure(studio: Server) -> None:
    form = {"name": "Ann", "pass_phrase": ANNOTATORS, "next": "/gallery"}
    told = {"Host": "studio.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    for origin, host, status in (
        ("https://studio.example.org", "studio.example.org", 303),
        ("http://studio.example.org", "studio.example.org", 403),
        ("https://elsewhere.example", "studio.example.org", 403),
        ("https://elsewhere.example", "elsewhere.example", 400),
    ):
        headers = {**told, "Host": host, "Origin": origin}
        answer = httpx.post(f"{studio.url}/sign-in", data=form, headers=headers, timeout=WAIT_SECONDS)
        assert answer.status_code == status, answer.text
        if status == 303:
            assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_is_accessible_and_fits_a_narrow_screen(
    studio: Server, browser: Browser, theme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for width in (1440, 320):
        context = patient(
            browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)  # type: ignore[arg-type]
        )
        page = context.new_page()
        page.goto(f"{studio.url}/sign-in")
        expect(page.get_by_label("Your name")).to_be_focused()
        page.screenshot(path=tmp_path / f"{theme}-{width}.png")
        assert violations(page, f"sign-in, {theme}, {width}") == []
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        context.close()


# --- an identity provider


PEOPLE = {
    "olga": {"email": "olga@example.org", "email_verified": True, "name": "Olga"},
    "ann": {"email": "ann@lab.example.org", "email_verified": True, "name": "Ann"},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True},
    "mallory": {"email": "olga@example.org", "email_verified": False},
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real OIDC server on this computer, in a process of its own; its address."""
    port = free_port()
    claims = [option for sub, each in PEOPLE.items() for option in ("--user-claims", json.dumps({"sub": sub, **each}))]
    with (tmp_path_factory.mktemp("provider") / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *claims], stdout=log, stderr=log
        )
        try:
            address = f"http://localhost:{port}/.well-known/openid-configuration"
            wait_for(lambda: _answers(address), f"an answer of {address}")
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=10):
            return True
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def studio_with_provider(demo_home: Path, provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("with-provider") / "home", free_port()
    shutil.copytree(demo_home, home)
    (home.parent / ".streamlit").mkdir()
    (home.parent / ".streamlit" / "secrets.toml").write_text(
        f"""
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{"0123456789abcdef" * 4}"
client_id = "studio"
client_secret = "secret"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[tidal]
owners = ["olga@example.org"]
annotators = ["@lab.example.org"]
""",
        encoding="utf-8",
    )
    variables = {"PYTHONPATH": str(ROOT), "TIDAL_TOKEN": TOKEN}
    with Server(home, port, program=COMMAND, folder=home.parent, variables=variables) as running:
        yield running


def sign_in_at_provider(page: Page, server: Server, sub: str) -> None:
    page.goto(f"{server.url}/gallery?project=digits")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("button", name=sub, exact=True).first.click()


def test_people_sign_in_at_an_identity_provider_each_in_their_role(studio_with_provider: Server, page: Page) -> None:
    labelling = Labelling(page, studio_with_provider.url)

    sign_in_at_provider(page, studio_with_provider, "ann")

    labelling.wait_painted()
    expect(page.get_by_text(re.compile(r"Signed in as ann@\W?lab\.example\.org, annotator\."))).to_be_visible()
    image = labelling.press("5")
    labelling.wait_saved()
    status, text = call(page, "/api/p/digits/history")
    assert (status, [entry["item"]["image"] for entry in json.loads(text)["entries"]]) == (200, [image])
    assert call(page, "/api/p/digits/collection/table", body={"ids": [1]})[0] == 403

    page.get_by_role("link", name="Sign out").click()
    page.wait_for_load_state()
    assert page.request.get(f"{studio_with_provider.url}/_stcore/health").status == 401


def test_an_owner_of_the_list_may_change_everything(studio_with_provider: Server, page: Page) -> None:
    sign_in_at_provider(page, studio_with_provider, "olga")

    expect(page.get_by_text(re.compile(r"Signed in as olga@\W?example\.org, owner\."))).to_be_visible()
    assert call(page, "/api/p/digits/collection/table", body={"ids": [1]})[0] == 200


@pytest.mark.parametrize(("sub", "called"), [("eve", "eve@elsewhere.example"), ("mallory", "has not verified")])
def test_who_is_on_no_list_or_not_vouched_for_stays_outside(
    studio_with_provider: Server, page: Page, sub: str, called: str
) -> None:
    sign_in_at_provider(page, studio_with_provider, sub)

    expect(page.get_by_role("heading", name="You may not enter")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(called)
    assert call(page, "/api/p/digits/classes", "GET")[0] == 401
