"""The error for a missing extra: one type and one wording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otpverify.errors import ExtraMissing


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Wrap the imports of packages that an extra installs.

    Args:
        extra: The extra's name in `pyproject.toml`, such as `"async"`.
        what: What needs the packages, as the subject of a sentence.

    Raises:
        ExtraMissing: A package is not installed. A module of otpverify that is missing is a fault
            of this library, and keeps its own error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "otpverify"):
            raise
        raise ExtraMissing(
            f"{package} is not installed. {what} needs the extra {extra!r}: "
            f"pip install 'otpverify[{extra}]', or in a clone: pip install '.[{extra}]'",
            name=package,
        ) from error
