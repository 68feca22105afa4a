"""Answers leave at once, without waiting for the other side to acknowledge their first part."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import streamlit as st

import app
from tidal_core.server.sockets import send_at_once


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def accepted(listening: socket.socket) -> int:
    """Whether a new connection has TCP_NODELAY."""
    with socket.create_connection(listening.getsockname()), listening.accept()[0] as connection:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_connections_of_a_socket_that_was_made_without_it_send_at_once(listening: socket.socket) -> None:
    assert not accepted(listening)

    assert send_at_once(listening.getsockname()[1]) == 1

    assert accepted(listening)


def test_other_sockets_stay_as_they_are(listening: socket.socket) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        send_at_once(listening.getsockname()[1])

        assert not accepted(other)


def test_the_studio_does_it_when_its_server_starts(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"server.port": listening.getsockname()[1]}
    ask = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: options.get(name, ask(name)))

    async def start() -> int:
        async with app.parts()["lifespan"](None):
            return accepted(listening)

    assert asyncio.run(start())
