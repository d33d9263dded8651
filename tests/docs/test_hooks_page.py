"""The page of hooks has every hook of Flask and Django."""

from __future__ import annotations

import re
from pathlib import Path

import django_site

from otpverify.integrations.flask.hooks import Hooks

django_site.set_up()

from otpverify.integrations.django import conf, views  # noqa: E402 - the settings come first

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"


def test_every_hook_is_on_the_page() -> None:
    named = set(re.findall(r"[A-Za-z_]+", " ".join(re.findall(r"`([^`]+)`", PAGE.read_text()))))
    flask = {name for name in vars(Hooks) if not name.startswith("_")} - {"hook"}
    assert flask <= named
    django = {name for view in vars(views).values() for name in getattr(view, "hooks", ())}
    assert {"find_users", "without_phone", "get_deliver"} <= django
    assert django <= named
    assert set(conf.FUNCTIONS) - {"CLIENT_IP"} <= named
