"""What of a client's address a limit counts: one bucket for what one customer holds, and no bucket
that many people share."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, strategies as st

from otpverify import ConfigurationError
from otpverify.core.client_ip import network_of, read_address
from otpverify.integrations.web.requests import client_address

V4 = st.ip_addresses(v=4)
BITS_16 = st.integers(0, 0xFFFF)
BITS_64 = st.integers(0, (1 << 64) - 1)


def v6(prefix: str, added: int) -> str:
    return str(IPv6Address(int(IPv6Address(prefix)) + added))


def teredo(server: IPv4Address, flags: int, port: int, client: IPv4Address) -> str:
    """RFC 4380, section 4: the client's port and address with their bits turned over."""
    number = 0x20010000 << 96 | int(server) << 64 | flags << 48
    return str(IPv6Address(number | (port ^ 0xFFFF) << 32 | (int(client) ^ 0xFFFFFFFF)))


@given(V4)
def test_an_ipv4_address_is_counted_by_itself_however_it_is_written(address: IPv4Address) -> None:
    written = [
        str(address),
        f"{address}:443",
        v6("::ffff:0:0", int(address)),
        f"[::ffff:{address}]:443",
        v6("::ffff:0:0:0", int(address)),
        v6("64:ff9b::", int(address)),
        f"64:ff9b::{address}",
    ]
    if int(address) > 1:  # not :: and ::1
        written.append(f"::{address}")
    assert {network_of(one) for one in written} == {str(address)}


@given(V4, BITS_16, BITS_64)
def test_no_network_of_6to4_is_a_bucket_of_its_own(
    address: IPv4Address, subnet: int, host: int
) -> None:
    number = 0x2002 << 112 | int(address) << 80 | subnet << 64 | host
    assert network_of(str(IPv6Address(number))) == str(address)


@given(V4, BITS_16, BITS_16, V4)
def test_not_all_of_teredo_is_one_bucket(
    server: IPv4Address, flags: int, port: int, client: IPv4Address
) -> None:
    assert network_of(teredo(server, flags, port, client)) == str(client)


@given(BITS_64, BITS_64, V4, st.sampled_from([0x00005EFE, 0x02005EFE]))
def test_what_a_client_chooses_freely_is_no_bucket(
    prefix: int, host: int, address: IPv4Address, isatap: int
) -> None:
    """The last 64 bits are its own choice, also where they look like ISATAP."""
    prefix = prefix % (1 << 61) | 1 << 61  # 2000::/3, the addresses of the internet
    if prefix >> 48 == 0x2002 or prefix >> 32 == 0x20010000:
        prefix ^= 1 << 60
    expected = str(ipaddress.ip_network((prefix << 64, 64)))
    for last in (host, isatap << 32 | int(address)):
        assert network_of(str(IPv6Address(prefix << 64 | last))) == expected


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::1]:8080", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[fe80::1%eth0]:80", "fe80::/64"),
        ("::1", "::/64"),
        ("::", "::/64"),
        (" 203.0.113.9 ", "203.0.113.9"),
        (IPv4Address("203.0.113.9"), "203.0.113.9"),
        (IPv6Address("2001:db8::1"), "2001:db8::/64"),
        ("64:ff9b:1::203.0.113.9", "64:ff9b:1::/64"),  # a translator's own prefix (RFC 8215)
    ],
)
def test_what_is_counted(given: object, network: str) -> None:
    assert network_of(given) == network


BAD = ["", "unix:", "testclient", "203.0.113.9, 198.51.100.1", "203.0.113.999", "203.0.113.9:",
       "203.0.113.9:123456", "2001:db8::1]:80", "[203.0.113.9", "::1:80:zz", "1.2.3", "01.2.3.4",
       "x" * 100_000, "[" * 50_000, b"\x01\x02\x03\x04", 5, None, object()]  # fmt: skip


@pytest.mark.parametrize("given", BAD, ids=range(len(BAD)))
def test_anything_else_is_refused_and_not_repeated(given: object) -> None:
    with pytest.raises(ConfigurationError, match="client_ip must be one IP address") as caught:
        network_of(given)
    assert read_address(given) is None
    assert not isinstance(given, str) or len(given) < 9 or given not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("203.0.113.9:5678", "203.0.113.9"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("testclient", "testclient"),
        *[(none, None) for none in (None, "", " ", "-", "unix:", "unix:/x", "/run/x.sock", "@x")],
    ],
)
def test_what_servers_give_as_an_address(given: str | None, address: str | None) -> None:
    assert client_address(given) == address
