"""The names by which the server may be addressed."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.web.names import HostNames, host_and_port


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", ("localhost", "")),
        ("LocalHost.:80", ("localhost", "80")),
        ("127.0.0.1:8710", ("127.0.0.1", "8710")),
        ("[::1]:8710", ("::1", "8710")),
        ("[::1]", ("::1", "")),
        (" a:1 ", ("a", "1")),
        ("", ("", "")),
        ("[", ("", "")),
    ],
)
def test_a_host_header_has_a_name_and_a_port(host: str, expected: tuple[str, str]) -> None:
    assert host_and_port(host) == expected


def test_own_names_and_addresses_are_included() -> None:
    names = HostNames(["Photos.Example"])
    own = socket.gethostname()
    for host in ("localhost", "photos.example:443", own, f"{own.partition('.')[0]}.local", "10.0.0.5:1", "[fe80::1]:2"):
        assert names.include(host), host


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_cannot_be_rebound(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert HostNames().include(f"{host}:{port}")


@given(st.from_regex(r"[a-z][a-z0-9.-]{0,30}\.(com|test|example)", fullmatch=True))
def test_other_names_are_not_included(name: str) -> None:
    names = HostNames()
    for host in (name, f"{name}:80", f"127.0.0.1.{name}", f"localhost.{name}", f"127.0.0.1@{name}", f"[{name}]"):
        assert not names.include(host), host


@given(st.text())
def test_any_text_is_a_host_or_none(text: str) -> None:
    assert HostNames().include(text) in (True, False)
