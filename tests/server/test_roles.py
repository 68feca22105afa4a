"""Every address asks who sends a request, and in which role: over the whole table, and Streamlit's own addresses."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.helpers.hostile import Got, Sent
from tests.helpers.served import Served
from tidal_core.access import pass_phrases
from tidal_core.access.door import FOR_OWNERS, REFUSED, Door, own_path
from tidal_core.access.pass_phrases import COOKIE, SharedPassPhrase, change
from tidal_core.access.people import Role
from tidal_core.labelling.desk import desk_of
from tidal_core.records import Answer, AnswerKind
from tidal_core.server import collection_api, web
from tidal_core.server.endpoints import Endpoint
from tidal_core.store.acts import ActKind

OWNERS, ANNOTATORS = "correct horse battery", "annotators say hello"
HOST = (b"host", b"localhost:8501")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("roles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(home))
        change(home, Role.OWNER, OWNERS)
        change(home, Role.ANNOTATOR, ANNOTATORS)
        made = Served(n=12, access=SharedPassPhrase(home))
        made.studio.reachable_at("http://127.0.0.1:8501")
        yield made
        made.close()


@pytest.fixture(scope="module")
def cookies(served: Served) -> dict[Role | None, bytes]:
    """A Cookie header for each role, and for nobody."""
    access = served.access
    assert isinstance(access, SharedPassPhrase)
    return {
        Role.OWNER: f"{COOKIE}={access.sign_in(OWNERS, 'Olga', '192.0.2.1')[0]}".encode(),
        Role.ANNOTATOR: f"{COOKIE}={access.sign_in(ANNOTATORS, 'Ann', '192.0.2.1')[0]}".encode(),
        None: b"",
    }


def ask(served: Served, endpoint: Endpoint, cookie: bytes) -> Got:
    """A request that has everything but, perhaps, the right person."""
    headers = [HOST, (b"x-tidal-token", served.studio.token.encode()), (b"content-type", b"application/json")]
    headers += [(b"cookie", cookie)] if cookie else []
    path = f"/api/p/tiny/{endpoint.path.replace('{image}', '1')}"
    return served.exchange(Sent(endpoint.method, path, b"", headers, [b"{}" if endpoint.method == "POST" else b""]))


@pytest.mark.parametrize("endpoint", web.ENDPOINTS, ids=lambda each: each.path)
def test_every_address_refuses_whom_its_row_does_not_let_in(
    served: Served, cookies: dict[Role | None, bytes], endpoint: Endpoint
) -> None:
    nobody, annotator, owner = (ask(served, endpoint, cookies[role]) for role in (None, Role.ANNOTATOR, Role.OWNER))

    if endpoint.door == "owner":  # for programs: a token that only this user can read, whoever is signed in
        assert [got.status for got in (nobody, annotator, owner)] == [403] * 3
        return
    assert (nobody.status, "Sign in first" in nobody.text) == (401, True)
    assert owner.status not in {401, 403}
    if endpoint.role is Role.OWNER:
        assert (annotator.status, "Only an owner can" in annotator.text) == (403, True)
    else:
        assert annotator.status not in {401, 403}


def test_an_address_that_says_nothing_of_roles_is_for_owners() -> None:
    assert Endpoint("GET", "new", lambda call: None).role is Role.OWNER  # type: ignore[arg-type,return-value]
    for_owners = {each.path for each in web.ENDPOINTS if each.door == "page" and each.role is Role.OWNER}
    assert "collection/table" in for_owners  # an export


def test_every_act_on_many_images_has_its_role() -> None:
    assert set(collection_api.ROLES) == set(ActKind)
    assert set(collection_api.IN_WORDS) == {act for act, role in collection_api.ROLES.items() if role is Role.OWNER}


def post(served: Served, path: str, cookie: bytes, body: Any) -> Any:
    headers = {"X-Tidal-Token": served.studio.token, "Cookie": cookie.decode()}
    return served.post(path, body, headers=headers)


@pytest.mark.parametrize("act", [act for act in ActKind if act is not ActKind.UNDO])
def test_an_annotator_does_on_many_images_what_labels_them_and_nothing_else(
    served: Served, cookies: dict[Role | None, bytes], act: ActKind
) -> None:
    got = post(served, "bulk", cookies[Role.ANNOTATOR], {"act": act, "ids": [], "class": 1})

    if collection_api.ROLES[act] is Role.OWNER:
        assert (got.status_code, got.json()["error"].startswith("Only an owner can ")) == (403, True)
    else:
        assert got.status_code == 200, got.text


def test_an_annotator_takes_back_an_own_act_and_no_other_s(served: Served, cookies: dict[Role | None, bytes]) -> None:
    ids = [image.id for image in served.project.store.images.all()]
    act = {role: post(served, "bulk", cookies[role], {"act": "flag", "ids": ids}).json()["act"] for role in Role}

    own, other = (
        post(served, "bulk", cookies[Role.ANNOTATOR], {"act": "undo", "undo": act[role]})
        for role in (Role.ANNOTATOR, Role.OWNER)
    )

    assert own.status_code == 200
    assert (other.status_code, "take back what another person did" in other.text) == (403, True)


def test_an_annotator_takes_back_an_own_answer_and_no_other_s(
    served: Served, cookies: dict[Role | None, bytes]
) -> None:
    headers = {
        role: {"X-Tidal-Token": served.studio.token, "Cookie": cookies[role].decode()}
        for role in (Role.ANNOTATOR, Role.OWNER)
    }
    one, two = served.post("queue", {"tab": "tab-ann", "n": 2}, headers=headers[Role.ANNOTATOR]).json()["items"]
    mine, other = served.label(one), served.label(two)
    served.post("answers", {"answers": [mine]}, headers=headers[Role.ANNOTATOR])
    served.post("answers", {"answers": [other]}, headers=headers[Role.OWNER])
    undos = [
        {"id": f"undo-of-{sent['id']}", "kind": "undo", "image": sent["image"], "undoes": sent["id"]}
        for sent in (mine, other)
    ]

    results = served.post("answers", {"answers": undos}, headers=headers[Role.ANNOTATOR]).json()["results"]

    refused = {result["id"]: result["refused"] for result in results}
    assert refused[undos[0]["id"]] is None
    assert "only Olga and the project's owners can take it back" in refused[undos[1]["id"]]
    assert served.project.store.answers.current(two["image"]) is not None
    results = served.post("answers", {"answers": undos[1:]}, headers=headers[Role.OWNER]).json()["results"]
    assert results[0]["refused"] is None


def test_the_annotator_of_an_answer_is_who_is_signed_in_whatever_the_browser_says(
    served: Served, cookies: dict[Role | None, bytes]
) -> None:
    headers = {"X-Tidal-Token": served.studio.token, "Cookie": cookies[Role.ANNOTATOR].decode()}
    one, two = served.post("queue", {"tab": "tab-ann", "n": 2}, headers=headers).json()["items"]
    mine, forged = served.label(one), served.label(two, annotator="Olga")

    results = served.post("answers", {"answers": [mine, forged]}, headers=headers).json()["results"]

    by_id = {result["id"]: result["refused"] for result in results}
    assert by_id[mine["id"]] is None
    assert (
        by_id[forged["id"]]
        == "Olga gave this answer, and Ann is signed in now. Sign in as Olga and send it again, or drop it."
    )
    stored = served.project.store.answers.current(one["image"])
    assert stored is not None
    assert stored.answer.annotator == "Ann"
    assert served.project.store.answers.current(two["image"]) is None
    history = served.post("history", {"annotator": "Olga"}, headers=headers).json()["entries"]
    assert [entry["item"]["image"] for entry in history] == [one["image"]]


# --- Streamlit's own addresses


STREAMLITS = (
    "/", "/gallery", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/session/file", "/media/abc.png",
    "/static/js/index.js", "/component/x/index.html", "/_stcore/bidi-components/x", "/_stcore/agent/interact",
    "/_stcore/metrics", "/app/static/x.png", "/auth/login", "/oauth2callback", "//", "/%2e/",
)  # fmt: skip


@pytest.mark.parametrize("path", STREAMLITS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_of_streamlit_s_is_served_to_who_has_not_signed_in(served: Served, path: str, method: str) -> None:
    assert served.exchange(Sent(method, path, b"", [HOST])).status == 401


def test_a_browser_that_shows_pages_is_led_to_the_form_and_back(served: Served) -> None:
    got = served.exchange(Sent("GET", "/gallery", b"project=tiny", [HOST, (b"accept", b"text/html,*/*")]))

    assert (got.status, got.headers["location"]) == (303, "/sign-in?next=%2Fgallery%3Fproject%3Dtiny")


@pytest.mark.parametrize("part", FOR_OWNERS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_an_annotator_reaches_no_address_of_streamlit_s_that_changes_something(
    served: Served, cookies: dict[Role | None, bytes], part: str, method: str
) -> None:
    statuses = {
        role: served.exchange(Sent(method, f"{part}one/two", b"", [HOST, (b"cookie", cookies[role])])).status
        for role in Role
    }

    assert statuses == {Role.ANNOTATOR: 403, Role.OWNER: 404}  # the test's application has no such route itself


def websocket(access: SharedPassPhrase, cookie: bytes, before_second: Any = None) -> list[str]:
    """What becomes of a page's connection and of two messages on it."""
    seen: list[str] = []
    sent = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": b""},) * 2]

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            seen.append(message["type"])
            if message["type"] == "websocket.disconnect":
                return

    async def receive() -> Message:
        if len(sent) == 1 and before_second is not None:
            before_second()
        return sent.pop(0) if sent else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Message) -> None:
        seen.append(f"{message['type']} {message.get('code')}")

    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": [(b"cookie", cookie)], "scheme": "ws"}
    asyncio.run(Door(behind, access)(scope, receive, send))
    return seen


def test_a_page_s_connection_is_refused_without_a_session_and_ends_with_it(served: Served) -> None:
    access = served.access
    assert isinstance(access, SharedPassPhrase)
    header = f"{COOKIE}={access.sign_in(OWNERS, 'Olga', '192.0.2.1')[0]}"

    assert websocket(access, b"") == [f"websocket.close {REFUSED}"]
    ended = websocket(access, header.encode(), lambda: access.end(header))
    assert ended == [
        "websocket.connect", "websocket.receive", f"websocket.close {REFUSED}", "websocket.disconnect",
    ]  # fmt: skip


# --- the addresses of the login


def sign_in(served: Served, *more: tuple[bytes, bytes], scheme: str = "http", **form: str) -> Got:
    body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in form.items()).encode()
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    return served.exchange(Sent("POST", "/sign-in", b"", [HOST, kind, *more], [body]), scheme=scheme)


def test_the_cookie_is_for_http_alone_has_an_end_and_goes_over_tls_only_where_the_form_did(served: Served) -> None:
    plain = sign_in(served, name="Ann", pass_phrase=ANNOTATORS, next="/gallery")
    tls = sign_in(served, name="Ann", pass_phrase=ANNOTATORS, scheme="https")

    assert (plain.status, plain.headers["location"]) == (303, "/gallery")
    parts = {part.split("=")[0].strip().lower() for part in plain.headers["set-cookie"].split(";")}
    assert parts == {COOKIE, "httponly", "max-age", "path", "samesite"}
    assert "secure" in tls.headers["set-cookie"].lower()


def test_a_wrong_pass_phrase_is_told_on_the_form_which_keeps_the_name_and_runs_no_markup(served: Served) -> None:
    got = sign_in(served, name="<b>Ann", pass_phrase="not the right one", next="/gallery")

    assert got.status == 403
    assert "This is not the pass phrase." in got.text
    assert 'value="&lt;b&gt;Ann"' in got.text
    assert 'value="/gallery"' in got.text


def test_another_site_s_form_signs_nobody_in(served: Served) -> None:
    got = sign_in(served, (b"origin", b"https://evil.example"), name="Ann", pass_phrase=ANNOTATORS)

    assert got.status == 403
    assert "set-cookie" not in got.headers


@pytest.mark.parametrize("text", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\nb"])
def test_the_form_leads_nowhere_else(served: Served, text: str) -> None:
    assert own_path(text) == "/"
    assert own_path("/gallery?project=tiny") == "/gallery?project=tiny"
    assert own_path("/sign-out") == "/"


def test_a_form_that_is_none_is_refused(served: Served) -> None:
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    for headers, body in (([HOST], b"name=a"), ([HOST, kind], b"x" * 5000), ([HOST, kind], b"\xff=1")):
        assert served.exchange(Sent("POST", "/sign-in", b"", headers, [body])).status == 413


def test_a_link_elsewhere_signs_nobody_out_and_the_own_one_does(served: Served) -> None:
    access = served.access
    assert isinstance(access, SharedPassPhrase)
    cookie = f"{COOKIE}={access.sign_in(OWNERS, 'Olga', '192.0.2.1')[0]}"
    headers = [HOST, (b"cookie", cookie.encode())]

    foreign = served.exchange(Sent("GET", "/sign-out", b"", [*headers, (b"sec-fetch-site", b"cross-site")]))
    assert (foreign.status, access.person(cookie) is not None) == (200, True)
    own = served.exchange(Sent("GET", "/sign-out", b"", [*headers, (b"sec-fetch-site", b"same-origin")]))
    assert (own.status, own.headers["location"], access.person(cookie)) == (303, "/sign-in?out", None)
    assert "max-age=0" in own.headers["set-cookie"].lower()


def test_scrypt_runs_in_a_thread_and_a_waiting_address_is_told_how_long(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_phrases.Hashed, "fits", lambda self, said: False)
    for _ in range(5):
        sign_in(served, (b"x", b"y"), name="Eve", pass_phrase="wrong words here")

    got = sign_in(served, name="Eve", pass_phrase="wrong words here")

    assert got.status == 429
    assert 0 < int(got.headers["retry-after"]) <= 30
    assert "Too many wrong pass phrases came from your address. Try again in" in got.text


def test_an_annotator_replays_nothing_of_images_that_are_still_to_be_answered(
    served: Served, cookies: dict[Role | None, bytes]
) -> None:
    settings = served.project.settings
    served.project.store.settings.save(dataclasses.replace(settings, double_share=1.0))
    desk_of(served.project).record([Answer("event-olga", AnswerKind.LABEL, 1, 1, annotator="Olga")])

    def replay(role: Role) -> str:
        headers = {"X-Tidal-Token": served.studio.token, "Cookie": cookies[role].decode()}
        return served.get("replay", headers=headers).text

    assert "images that you are still to answer" in replay(Role.ANNOTATOR)
    assert "images that you are still to answer" not in replay(Role.OWNER)
