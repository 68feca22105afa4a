"""The listening socket of this process's server: it comes bound, and without an option that a studio needs."""

from __future__ import annotations

import os
import socket

import psutil


def send_at_once(port: int) -> int:
    """Let every connection to ``port`` send small answers at once; how many listening sockets of ours were set so.

    Without it (TCP_NODELAY) the system holds the second part of an answer back until the first is acknowledged, which
    the other side delays by 40 ms. asyncio sets it by itself, but not where the server made its socket without naming
    the protocol, as Streamlit's does. Connections have it from the socket that they were accepted by.
    """
    n = 0
    for connection in psutil.Process().net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port or connection.fd < 0:
            continue
        with socket.socket(fileno=os.dup(connection.fd)) as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        n += 1
    return n
