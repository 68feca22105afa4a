"""Requests that nobody should send, made from the table of endpoints and a seed; and what no answer may be.

They go straight into the application (ASGI), as a client of HTTP would refuse to send half of them. Most parts of a
request are as they should be, so that the hostile one is not always refused by the first check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import quote, unquote

import msgspec
from starlette.types import ASGIApp, Message

from tidal_core.server.endpoints import PAGE_TOKEN_HEADER, PREFIX, Endpoint
from tidal_core.server.owner_client import TOKEN_HEADER

TEXTS = [
    "", " ", "²", "٣", "0", "00", "-1", "+1", "1.5", "1e3", "0x10", "1_000", "9" * 19, "9" * 4_301, "9" * 50_000,
    str(2**31), str(2**63), str(2**64), "nan", "inf", "null", "true", "None", "\x00", "tiny\x00", "a\nb", "a\r\nX: y",
    "\ud83d", "\udc00\ud83d", "é" * 300, "a" * 70_000, "..", "../../etc/passwd", "/etc/passwd", "%2e%2e%2f", "C:\\x",
    "http://[::1", "http://[", "//x", "'; DROP TABLE answers; --", '"', "{{7*7}}", "${x}", "=HYPERLINK(1)",
    "<img src=http://127.0.0.1:9/x>", "![](http://127.0.0.1:9/x)", "\u202eabc", "\ufeff", "🎉" * 40,
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 2**31 - 1, 2**31, 2**53, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308, float("nan"),
    float("inf"), [], [[]], {}, {"": {}}, [None], [1, "1"], [0] * 6_000, ["x"] * 1_001, {"a": {"b": {"c": {}}}},
]  # fmt: skip
BODIES = [
    b"", b"{", b"[]", b'"x"', b"null", b"[" * 60_000, b'{"a":' * 40_000, b"\xff\xfe{}", b'{"answers": NaN}', b"\x00",
    b'{"tab": "\\ud83d"}', b'{"token": "\\ud83d"}', b'{"\\ud83d": 1}', b'{"n": ' + b"9" * 6_000 + b"}", b"{}" * 2,
    b'{"n": 1e999}', b'{"tab": "a", "tab": "b"}', b"\xef\xbb\xbf{}", b'{"tab": "' + b"x" * 1_100_000 + b'"}',
]  # fmt: skip
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO", "get", ""]
WORDS = ["tab-one", "tab-two", "me", "Ann", "event-000001", "event-000002", "a note", "csv", "parquet", "tiny"]

# What a person should never read: the insides of a library, or where things lie.
RAW = re.compile(
    r"Traceback|File \"|\b[A-Z]\w*(?:Error|Exception)\b|\bduckdb\b|\bmsgspec\b|<class |0x[0-9a-f]{6,}|site-packages"
)


@dataclass(frozen=True)
class Sent:
    """One request as bytes on their way: ``path`` is decoded, as a server hands it on."""

    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"localhost"),)
    chunks: Sequence[bytes] = (b"",)


@dataclass(frozen=True)
class Got:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, if it is text at all."""
        return (
            "" if self.headers.get("content-type") == "application/octet-stream" else self.body.decode(errors="replace")
        )


async def exchange(app: ASGIApp, sent: Sent, *, scheme: str = "http") -> Got:
    """Send a request into an application."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": scheme, "root_path": "",
        "method": sent.method, "path": sent.path, "raw_path": quote(sent.path, errors="replace").encode(),
        "query_string": sent.query, "headers": list(sent.headers),
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    left = list(sent.chunks)
    status, headers, body = 0, {}, bytearray()

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
            )
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Got(status, headers, bytes(body))


def request(endpoint: Endpoint, random: Random, *, token: str, owner: str, slug: str, images: int) -> Sent:
    """A request to an endpoint of which some part is hostile, seldom none."""
    wild = random.choice([0.0, 0.02, 0.1, 0.5])  # how much of it

    def hostile() -> bool:
        return random.random() < wild

    path = PREFIX.replace("{slug}", random.choice(TEXTS) if hostile() else slug) + endpoint.path
    path = path.replace("{image}", random.choice(TEXTS) if hostile() else str(random.randint(1, images)))
    method = random.choice(METHODS) if hostile() else endpoint.method
    right = (TOKEN_HEADER, owner) if endpoint.door == "owner" else (PAGE_TOKEN_HEADER, token)
    headers = [
        ("host", random.choice(TEXTS) if hostile() else random.choice(["localhost", "127.0.0.1:8501", "[::1]:1"])),
        (right[0], random.choice(TEXTS) if hostile() else right[1]),
        ("content-type", random.choice([*TEXTS, "text/plain"]) if hostile() else "application/json"),
    ]
    others = ("origin", "content-length", "sec-fetch-site", "cookie", "x-forwarded-for", right[0])
    headers += [(name, random.choice(TEXTS)) for name in others if hostile()]
    body = b""
    if endpoint.body is not None:
        body = random.choice(BODIES) if hostile() else written(record(endpoint.body, random, wild))
    middle = random.randint(0, len(body))
    fields = record(endpoint.query, random, wild)
    query = "&".join(f"{_quoted(name)}={_quoted(given)}" for name, given in fields.items())
    return Sent(
        method,
        unquote(_quoted(path)),
        (random.choice(TEXTS).encode("utf-8", "replace") if hostile() else query.encode()),
        [(name.lower().encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers],
        [body[:middle], body[middle:]],
    )


def _quoted(text: object) -> str:
    return quote(str(text), errors="replace")


def written(value: object) -> bytes:
    """JSON as a careless program writes it: NaN and halves of characters included."""
    return json.dumps(value).encode()


def record(kind: type, random: Random, wild: float) -> dict[str, Any]:
    """The fields of a record as they should be, but for some; some that may be missing are."""
    fields = {}
    for field in msgspec.structs.fields(kind):
        if random.random() < (wild if field.required else 0.5):
            continue
        fields[field.encode_name] = value(field.type, random, wild)
    if random.random() < wild:
        fields[random.choice(TEXTS)] = random.choice([*VALUES, *TEXTS])
    return fields


def value(kind: Any, random: Random, wild: float) -> Any:
    """A value of a type, or now and then any other."""
    if random.random() < wild:
        return random.choice([*VALUES, *TEXTS])
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return value(parts[0], random, 0.0)
    if origin is Literal:
        return random.choice(parts)
    if origin in (Union, UnionType):
        return value(random.choice([part for part in parts if part is not NoneType]), random, wild)
    if origin is list:
        return [value(parts[0], random, wild) for _ in range(random.randint(0, 4))]
    if origin is tuple:
        return [value(part, random, wild) for part in parts]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return random.choice(list(kind)).value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return record(kind, random, wild)
    plain = {bool: random.random() < 0.5, int: random.randint(0, 80), float: random.random(), str: random.choice(WORDS)}
    return plain[kind]


def faults(got: Got, sent: Sent, secrets: Sequence[str]) -> list[str]:
    """What is wrong with an answer, as the names of the benchmark's counts; ``secrets``: texts that stay inside."""
    wrong = []
    if (got.status >= 500 and got.status not in (503, 507)) or got.status == 0:
        wrong.append("server_errors")
    text = got.text
    asked = unquote(sent.path) + unquote(sent.query.decode("latin-1")) + b"".join(sent.chunks).decode(errors="replace")
    gives_away = "/owner/" in sent.path and got.status == 200  # the whole project, with where it lies
    if not gives_away and any(secret in text for secret in secrets):
        wrong.append("leaked_paths")
    raw = RAW.search(text)
    if raw is not None and raw[0] not in asked:
        wrong.append("raw_messages")
    if got.status >= 400 and sent.path.startswith("/api/") and not _is_refusal(got):
        wrong.append("raw_messages")
    return wrong


def _is_refusal(got: Got) -> bool:
    if b"Invalid host header" in got.body or not got.body:  # before any address is looked at; an answer to a HEAD
        return True
    try:
        return list(json.loads(got.body)) == ["error"]
    except ValueError:
        return False
