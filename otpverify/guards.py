"""Guards that need only the number itself."""

from __future__ import annotations

from collections.abc import Iterable

from otpverify.core.phone import KINDS, REGIONS, Destination
from otpverify.errors import ConfigurationError

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
    United Kingdom and Jersey). The reason it gives is `"country"`.

    Args:
        countries: ISO 3166-1 alpha-2 codes, such as `["EE", "LV", "LT"]`.

    Raises:
        ConfigurationError: The list is empty, or one of its countries has no phone numbers.
    """

    def __init__(self, countries: Iterable[str]) -> None:
        given = [countries] if isinstance(countries, str) else list(countries)
        self.countries = frozenset(str(country).upper() for country in given)
        unknown = sorted(self.countries - REGIONS)
        if unknown or not self.countries:
            raise ConfigurationError(
                "AllowCountries takes ISO 3166-1 alpha-2 codes such as EE; "
                f"these are none: {', '.join(unknown) or '(empty)'}."
            )

    def __repr__(self) -> str:
        return f"AllowCountries({sorted(self.countries)})"

    def refuse(self, destination: Destination) -> str | None:
        """`"country"` unless the number's country is one of `countries`."""
        return None if destination.country in self.countries else "country"


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
        self.kinds = frozenset([kinds] if isinstance(kinds, str) else kinds)
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
