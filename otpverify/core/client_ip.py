"""Client addresses: what of an IP address a limit counts."""

from __future__ import annotations

import ipaddress

from otpverify.errors import ConfigurationError

_V6_PREFIX = 64


def network_of(client_ip: object) -> str:
    """The IPv4 address, or the /64 network of an IPv6 address, which is the least that a customer
    of a provider holds (RIPE-690: up to a /48). An IPv4-mapped IPv6 address counts as the IPv4
    address.

    Raises:
        ConfigurationError: It is not an IP address.
    """
    try:
        address = ipaddress.ip_address(str(client_ip))
    except ValueError:
        address = None
    if address is None:
        raise ConfigurationError(
            "client_ip must be one IP address, without a port or a list of proxies. "
            "Take it from the connection, or from a header that your own proxy sets."
        )
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            prefix = int(address) >> _V6_PREFIX << _V6_PREFIX
            return f"{ipaddress.IPv6Address(prefix)}/{_V6_PREFIX}"
        address = address.ipv4_mapped
    return str(address)
