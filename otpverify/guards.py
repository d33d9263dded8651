"""Guards: which destinations get codes, and which are always let through."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from otpverify.core.client_ip import read_address
from otpverify.core.phone import KINDS, REGIONS, Destination, SendRequest, is_canonical, parse
from otpverify.errors import ConfigurationError, InvalidPhoneNumber

_PREFIX = re.compile(r"\+[1-9][0-9]{0,13}")

COSTLY_KINDS = frozenset(
    {
        "premium_rate",
        "shared_cost",
        "toll_free",
        "pager",
        "voicemail",
        "universal_access",
        "satellite",
        "international_network",
    }
)


class AllowCountries:
    """Allows numbers from these countries only: the first defence against SMS pumping.

    It distinguishes countries that share a calling code (`+1` United States and Canada, `+44`
    United Kingdom and Jersey). The reason it gives is `"country_not_allowed"`.

    Args:
        countries: ISO 3166-1 alpha-2 codes, such as `["EE", "LV", "LT"]`.

    Raises:
        ConfigurationError: The list is empty, or one of its countries has no phone numbers.
    """

    def __init__(self, countries: Iterable[str]) -> None:
        given = [countries] if isinstance(countries, str) else list(countries)
        self.countries: frozenset[str] = frozenset(str(country).upper() for country in given)
        unknown = sorted(self.countries - REGIONS)
        if unknown or not self.countries:
            raise ConfigurationError(
                "AllowCountries takes ISO 3166-1 alpha-2 codes such as EE; "
                f"these are none: {', '.join(unknown) or '(empty)'}."
            )

    def __repr__(self) -> str:
        return f"AllowCountries({sorted(self.countries)})"

    def refuse(self, destination: Destination) -> str | None:
        """`"country_not_allowed"` unless the number's country is one of `countries`."""
        return None if destination.country in self.countries else "country_not_allowed"


class BlockNumberTypes:
    """Refuses numbers of these kinds; the kind is the reason it gives.

    Args:
        kinds: Kinds as in `Destination.kind`. By default those that cost more, reach no
            handset, or ring at a company: premium rate, shared cost, toll-free, pager,
            voicemail, universal access, satellite and international networks. `"voip"` is not
            among them: NIST SP 800-63B-4 no longer forbids it (change log, 3.1.3.1), and numbering
            plans know few of these numbers. `COSTLY_KINDS | {"voip"}` refuses those they know.

    Raises:
        ConfigurationError: One of the kinds does not exist.
    """

    def __init__(self, kinds: Iterable[str] = COSTLY_KINDS) -> None:
        self.kinds: frozenset[str] = frozenset([kinds] if isinstance(kinds, str) else kinds)
        unknown = sorted(self.kinds - KINDS)
        if unknown:
            raise ConfigurationError(
                f"BlockNumberTypes knows {', '.join(sorted(KINDS))}; not {', '.join(unknown)}."
            )

    def __repr__(self) -> str:
        return f"BlockNumberTypes({sorted(self.kinds)})"

    def refuse(self, destination: Destination) -> str | None:
        """The number's kind when it is one of `kinds`."""
        return destination.kind if destination.kind in self.kinds else None


class AllowNumbers:
    """Lets requests through that other guards, or the accounts of a `FraudPolicy`, would refuse.

    Its blocked countries, all caps and all limits hold all the same. It refuses nothing.

    Args:
        *numbers: Phone numbers with their country codes, such as `"+37256789045"`.
        prefixes: The first digits of numbers, such as `["+37256"]`.
        networks: IP addresses, or networks such as `["192.0.2.0/24", "2001:db8::/32"]`: requests
            whose `client_ip` is one of them.

    Raises:
        ConfigurationError: One of them is not valid, or none is given.
    """

    def __init__(
        self, *numbers: str, prefixes: Iterable[str] = (), networks: Iterable[str] = ()
    ) -> None:
        self._numbers = frozenset(_number(number) for number in numbers)
        self.prefixes: tuple[str, ...] = tuple(sorted({_prefix(one) for one in _each(prefixes)}))
        self.networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            dict.fromkeys(_network(network) for network in _each(networks))
        )
        if not (self._numbers or self.prefixes or self.networks):
            raise ConfigurationError("AllowNumbers needs numbers, prefixes or networks.")

    def __repr__(self) -> str:
        networks = [str(network) for network in self.networks]
        return (
            f"AllowNumbers(<{len(self._numbers)} numbers>, prefixes={list(self.prefixes)}, "
            f"networks={networks})"
        )

    def refuse(self, _destination: Destination) -> str | None:
        """Always `None`."""
        return None

    def allows(self, request: SendRequest) -> bool:
        """Whether the request's number or network is one of those."""
        if request.phone in self._numbers or request.phone.startswith(self.prefixes):
            return True
        return bool(self.networks) and self._knows(request.client_ip)

    def _knows(self, client_ip: str | None) -> bool:
        address = read_address(client_ip)
        if isinstance(address, ipaddress.IPv6Address):
            # How a server with one socket for both writes an IPv4 address (RFC 4291, 2.5.5.2).
            address = address.ipv4_mapped or address
        return address is not None and any(address in network for network in self.networks)


def _each(given: Iterable[str]) -> list[str]:
    if not isinstance(given, Iterable):
        raise ConfigurationError("AllowNumbers takes lists of prefixes and networks.")
    return [given] if isinstance(given, str) else list(given)


def _number(number: object) -> str:
    if is_canonical(number):
        return number  # also a fictional one, as tests use
    try:
        return parse(number)
    except InvalidPhoneNumber as error:
        problem = str(error)
    # The error does not repeat the number.
    raise ConfigurationError(f"AllowNumbers: one of the numbers is not valid. {problem}")


def _prefix(prefix: object) -> str:
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            "AllowNumbers takes prefixes with a plus and their country code, such as +37256."
        )
    return prefix


def _network(network: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if isinstance(network, str):
            return ipaddress.ip_network(network.strip())
    except ValueError:
        pass
    raise ConfigurationError(
        "AllowNumbers takes networks such as 192.0.2.0/24, or single IP addresses."
    )
