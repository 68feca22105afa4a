"""No request of any kind ends in an error of the server, a folder of this computer, or the insides of a library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import gettempdir

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import hostile
from tests.helpers.hostile import Sent
from tests.helpers.served import Served
from tidal_core import projects
from tidal_core.errors import StoreError
from tidal_core.server import endpoints, web

HOST = (b"host", b"localhost:8501")
MANY_DIGITS = "9" * 5_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("requests")))
        made = Served()
        made.studio.reachable_at("http://127.0.0.1:8501")
        yield made
        made.close()


def tokens(served: Served) -> dict[str, str]:
    assert served.studio.owner is not None
    return {"token": served.studio.token, "owner": served.studio.owner.token}


def sent_by_page(served: Served, path: str, *more: tuple[bytes, bytes], query: bytes = b"", body: bytes = b"") -> Sent:
    headers = [HOST, (b"x-tidal-token", served.studio.token.encode()), (b"content-type", b"application/json"), *more]
    return Sent("POST" if body else "GET", f"/api/p/tiny/{path}", query, headers, [body])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(web.ENDPOINTS))
def test_whatever_is_sent_is_answered_in_words(served: Served, seed: int, endpoint: endpoints.Endpoint) -> None:
    sent = hostile.request(endpoint, Random(seed), slug="tiny", images=75, **tokens(served))

    got = served.exchange(sent)

    inside = (str(served.project.folder.parents[1]), str(Path.home()), gettempdir())
    assert hostile.faults(got, sent, inside) == [], (got, sent)


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"http://[::1"), (b"origin", b"http://["), (b"origin", b"\xff"), (b"origin", b""),
        (b"x-tidal-token", b"\xed\xa0\xbd"), (b"sec-fetch-site", b"\xff"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_read_is_refused(served: Served, header: tuple[bytes, bytes]) -> None:
    got = served.exchange(Sent("GET", "/api/p/tiny/classes", b"", [HOST, header]))

    assert got.status == 403
    assert got.text.startswith('{"error":')


@pytest.mark.parametrize("image", ["9" * 4_301, MANY_DIGITS, "²", "٣", "-1", "1.5", "0x1", "2147483648", "\x00"])
@pytest.mark.parametrize("path", ["image", "why", "stands-for", "neighbours"])
def test_an_id_that_is_no_image_is_not_found(served: Served, path: str, image: str) -> None:
    got = served.exchange(sent_by_page(served, f"{path}/{image}"))

    assert (got.status, got.headers["content-type"]) == (404, "application/json")


@pytest.mark.parametrize("size", ["²", "٢٥٦", MANY_DIGITS, "0256", "256.0", "", "-1", "%00", "%ff"])
def test_a_size_that_is_none_is_refused_with_those_there_are(served: Served, size: str) -> None:
    got = served.exchange(sent_by_page(served, "image/1", query=f"v=0&size={size}".encode()))

    assert got.status == 400
    assert "it must be one of 256, 512" in got.text


@pytest.mark.parametrize("length", [MANY_DIGITS, "²", "-1", "1e3", "x"])
def test_a_length_that_is_none_is_refused(served: Served, length: str) -> None:
    sent = sent_by_page(served, "answers", (b"content-length", length.encode()), body=b'{"answers": []}')

    assert served.exchange(sent).status == 413


@pytest.mark.parametrize("number", [MANY_DIGITS, "²", "٣", "-1", str(2**63)])
def test_a_round_that_is_none_is_refused(served: Served, number: str) -> None:
    token = tokens(served)["owner"].encode()
    query = f"format=csv&what=predictions&round={number}".encode()

    got = served.exchange(Sent("POST", "/api/p/tiny/owner/export", query, [HOST, (b"x-tidal-owner", token)]))

    assert (got.status, "the number of a round" in got.text) == (400, True)


def test_what_is_sent_twice_with_two_values_is_refused(served: Served) -> None:
    assert served.exchange(sent_by_page(served, "classes", (b"x-tidal-token", b"another"))).status == 400
    assert served.exchange(sent_by_page(served, "image/1", query=b"v=0&v=1")).status == 400


def test_a_body_that_is_cut_off_is_refused(served: Served) -> None:
    sent = sent_by_page(served, "answers", body=b'{"answers": []}')

    assert served.exchange(Sent(sent.method, sent.path, b"", sent.headers, ())).status == 400


def test_a_token_of_half_a_character_is_refused(served: Served) -> None:
    for body in (b'{"token": "\\ud83d"}', '{"token": "schlüssel"}'.encode(), b'{"token": 7}', b'{"token": null}'):
        sent = Sent("POST", "/api/p/tiny/status", b"", [HOST, (b"content-type", b"application/json")], [body])
        assert served.exchange(sent).status in {400, 403}


def test_an_unknown_project_is_named_without_the_folder_of_the_projects(served: Served) -> None:
    got = served.post("status", {}, slug="nothing")

    assert got.status_code == 404
    assert got.json()["error"] == "There is no project 'nothing'; there are: none yet."


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/p/tiny/", "/api/p/tiny/nothing", "/api/p/tiny/open/"])
def test_an_address_that_is_none_is_not_found_in_the_same_form(served: Served, path: str) -> None:
    got = served.exchange(Sent("GET", path))

    assert (got.status, got.text) == (404, '{"error":"There is no such address; reload the page."}')


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "TRACE", "FOO", ""])
def test_another_method_is_refused_with_the_one_there_is(served: Served, method: str) -> None:
    got = served.exchange(Sent(method, "/api/p/tiny/answers"))

    assert (got.status, got.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("host", [b"testserver", b"example.org", b"localhost.example.org", b"", b"[", b"\xff", b"::1"])
def test_a_host_that_is_not_this_computer_is_refused(served: Served, host: bytes) -> None:
    assert served.exchange(Sent("GET", "/api/p/tiny/classes", b"", [(b"host", host)])).status == 400


def test_a_mistake_of_the_studio_is_logged_and_answered_without_its_insides(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(slug: str) -> None:
        raise RuntimeError(f"{projects.home()} is broken")

    monkeypatch.setattr(served.studio, "project", broken)

    got = served.exchange(sent_by_page(served, "classes"))

    assert got.status == 500
    assert got.text == f'{{"error":"{web.OWN_FAULT}"}}'
    assert "is broken" in caplog.text


def test_a_message_that_names_a_file_is_shown_without_its_folder(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(slug: str) -> None:
        raise StoreError(f"The files {projects.home()}/projects/tiny/project.duckdb and /mnt/photos/a.png are gone.")

    monkeypatch.setattr(served.studio, "project", refusing)

    got = served.exchange(sent_by_page(served, "classes"))

    assert got.status == 409
    assert got.text == '{"error":"The files …/project.duckdb and …/a.png are gone."}'


def test_the_table_holds_every_address_and_each_once() -> None:
    rows = [(endpoint.method, endpoint.path) for endpoint in web.ENDPOINTS]
    paths = {route.path for route in web.routes(lambda: pytest.fail("asked for a studio"))}

    assert len(rows) == len(set(rows))
    assert paths == {endpoints.PREFIX + path for _, path in rows} | {"/api/{rest:path}"}
