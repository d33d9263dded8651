"""A small site with the usual flows, on the Flask integration and the sandbox.

    from otpverify.demo import Site, create_app

It needs the extra `demo`, which is that of Flask.
"""

from otpverify.errors import needs_extra

with needs_extra("demo", "The demo"):
    from otpverify.demo.script import run
    from otpverify.demo.site import Site, create_app

__all__ = ["Site", "create_app", "run"]
