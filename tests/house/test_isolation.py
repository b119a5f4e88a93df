"""Tests stay on this machine: the audit hook of tests/conftest.py."""

from __future__ import annotations

import socket
import threading
import urllib.request
from pathlib import Path

import pytest


def test_another_machine_cannot_be_reached() -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="stay on this machine"):
        client.connect(("192.0.2.1", 80))


def test_a_datagram_cannot_leave() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(RuntimeError, match="stay on this machine"),
    ):
        client.sendto(b"x", ("192.0.2.1", 53))


def test_no_name_is_looked_up() -> None:
    with pytest.raises(RuntimeError, match="look up no names"):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(RuntimeError, match="look up no names"):
        urllib.request.urlopen("https://example.org/", timeout=1)


def test_this_machine_can_be_reached(tmp_path: Path) -> None:
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(tmp_path / "s")),
    ):
        with socket.socket(family) as server:
            server.bind(address)
            server.listen()
            answering = threading.Thread(target=lambda s=server: s.accept()[0].close())
            answering.start()
            with socket.socket(family) as client:
                client.connect(server.getsockname())
            answering.join()
