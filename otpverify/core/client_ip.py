"""Client addresses: what of an IP address a limit counts."""

from __future__ import annotations

import ipaddress
import re

from otpverify.errors import ConfigurationError

_V6_PREFIX = 64
# What servers and frameworks add to an address: brackets and a port.
_WITH_PORT = re.compile(
    r"\[([0-9A-Fa-f:.%\w-]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}", re.ASCII
)
# Addresses that hold an IPv4 address in their last 32 bits, and that their owner cannot choose:
# IPv4-mapped (RFC 4291, 2.5.5.2), IPv4-translated (RFC 2765) and the well-known prefix of NAT64
# (RFC 6052). The deprecated IPv4-compatible ones (RFC 4291, 2.5.5.1) are of no network.
_V4_AT_THE_END = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")
)
_NONE_OF_V4 = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))


def network_of(client_ip: object) -> str:
    """The network whose sends are counted together: the IPv4 address, or the /64 network of an
    IPv6 address, which is the least that a customer of a provider holds (RIPE-690: up to a /48).

    An IPv6 address that is made from an IPv4 address counts as that one: IPv4-mapped and NAT64
    addresses, 6to4 (RFC 3056) and Teredo (RFC 4380), each of whose IPv4 addresses would otherwise
    have many networks, or all of them one. An ISATAP address (RFC 5214) counts as its /64: the
    part that holds the IPv4 address is the client's own choice. The same holds for translators
    with a prefix of their own (RFC 6052).

    Args:
        client_ip: An address. A port, brackets and a zone (`fe80::1%eth0`) are left out.

    Raises:
        ConfigurationError: It is not an IP address.
    """
    address = read_address(client_ip)
    if address is None:
        raise ConfigurationError(
            "client_ip must be one IP address, not a name or a list of proxies. "
            "Take it from the connection, or from a header that your own proxy sets."
        )
    if isinstance(address, ipaddress.IPv6Address):
        embedded = _embedded(address)
        if embedded is None:
            prefix = int(address) >> _V6_PREFIX << _V6_PREFIX
            return f"{ipaddress.IPv6Address(prefix)}/{_V6_PREFIX}"
        address = embedded
    return str(address)


def read_address(client_ip: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address in a text, which may have a port, brackets or a zone; `None` if it is not an
    IP address."""
    text = str(client_ip).strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address was made from; `None` if there is none, or if its
    owner may have chosen it freely."""
    number = int(address)
    plain = ipaddress.IPv6Address(number)  # without the zone
    if plain in _NONE_OF_V4:
        return None
    if any(plain in network for network in _V4_AT_THE_END):
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if plain.sixtofour is not None:
        return plain.sixtofour
    return plain.teredo[1] if plain.teredo is not None else None
