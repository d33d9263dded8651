"""A small site with the three usual flows, on the public API and the sandbox.

    from otpverify.demo import Site, create_app

It needs the extra `demo`; in a clone: `python3 -m pip install '.[demo]'`.
"""

from otpverify.errors import ConfigurationError

try:
    import python_multipart as _needed_by_forms  # noqa: F401 - Starlette asks for it only later

    from otpverify.demo.app import create_app
    from otpverify.demo.script import run
    from otpverify.demo.server import Site
except ModuleNotFoundError as error:
    if error.name is not None and error.name.partition(".")[0] == "otpverify":
        raise
    raise ConfigurationError(
        f"{error.name} is not installed. The demo needs its extra: install otpverify with "
        "[demo], in a clone: python3 -m pip install '.[demo]'"
    ) from error

__all__ = ["Site", "create_app", "run"]
