"""Names by which browsers may ask for the studio, and what is this computer."""

from __future__ import annotations

import pytest

from tidal_core.access import hosts
from tidal_core.access.configured import check_address
from tidal_core.errors import InputError


@pytest.mark.parametrize(("address", "here"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
    ("192.168.1.2", False), ("localhost.example.org", False), ("", False),
])  # fmt: skip
def test_only_loopback_addresses_are_this_computer(address: str, here: bool) -> None:
    assert hosts.is_here(address) is here
    if here:
        check_address(address, "")
    else:
        with pytest.raises(InputError, match="without a login"):
            check_address(address, "")
        check_address(address, "a pass phrase")


def test_on_this_computer_no_other_name_is_allowed_but_those_that_the_owner_gives() -> None:
    assert hosts.allowed("127.0.0.1") == list(hosts.LOOPBACK)
    assert hosts.allowed("127.0.0.1", ["studio.example.org"]) == [*hosts.LOOPBACK, "studio.example.org"]


def test_in_all_networks_this_computer_s_own_addresses_are_allowed_and_no_star(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "own_addresses", lambda six: ["192.168.1.2", "fe80::1"] if six else ["192.168.1.2"])

    assert {"192.168.1.2", *hosts.LOOPBACK} <= set(hosts.allowed("0.0.0.0"))
    assert "[fe80::1]" in hosts.allowed("::")
    assert not any("*" in host for host in hosts.allowed("::"))
    assert hosts.allowed("192.168.1.9") == [*hosts.LOOPBACK, "192.168.1.9"]


@pytest.mark.parametrize("name", ["*", "*.example.org", "http://x.org", "x.org:80", "", "a b", "-x.org", "x..org"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no name of a computer"):
        hosts.checked_names([name])
