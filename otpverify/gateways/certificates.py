"""The certificate authorities that the environment names, for sync and async clients.

Each HTTP library reads other variables. Here all of them are read, for all clients: the first of
`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` and `SSL_CERT_DIR` that is set. All that are
set must exist. Without any of them, the library's own authorities are used.
"""

from __future__ import annotations

import os
import ssl

from otpverify.errors import ConfigurationError

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def named() -> tuple[str, str] | None:
    """The variable in force and the path that it names; `None` if none is set.

    If a path does not exist, it is the first such variable, so that the error is raised.
    `SSL_CERT_DIR` may name several directories; the first that exists counts.
    """
    found = []
    for variable in VARIABLES:
        path = os.environ.get(variable)
        if path and variable == "SSL_CERT_DIR":
            folders = [folder for folder in path.split(os.pathsep) if folder]
            path = next(filter(_is_folder, folders), path)
        if path:
            found.append((variable, path))
    missing = (one for one in found if not _exists(one[1]))
    return next(missing, found[0] if found else None)


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises where it may not look


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above


def context() -> ssl.SSLContext | None:
    """A context that trusts the authorities that the environment names; `None` if it names none.
    This reads files, and is slow.

    Raises:
        ConfigurationError: They cannot be read. The message does not show the path.
    """
    found = named()
    if found is None:
        return None
    variable, path = found
    try:
        if _is_folder(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is a subclass
        missing = isinstance(error, FileNotFoundError)
    # Raised out here: the error that was caught prints the path.
    what = "is missing" if missing else "cannot be read"
    raise ConfigurationError(f"The certificate file or directory that {variable} names {what}.")


def problem() -> str:
    """Why the authorities cannot be read, as the end of a sentence; empty if they can be."""
    try:
        context()
    except ConfigurationError as error:
        text = str(error).removesuffix(".")
        return text[0].lower() + text[1:]
    return ""
