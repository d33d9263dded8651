"""A small site with the three usual flows, on the public API and the sandbox.

    from otpverify.demo import Site, create_app

It needs the extra `demo`.
"""

from otpverify._extras import needs_extra

with needs_extra("demo", "The demo"):
    import python_multipart as _needed_by_forms  # noqa: F401 - Starlette imports it only later

    from otpverify.demo.app import create_app
    from otpverify.demo.script import run
    from otpverify.demo.server import Site

__all__ = ["Site", "create_app", "run"]
