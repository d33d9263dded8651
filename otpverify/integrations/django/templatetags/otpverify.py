"""Texts of the pages, for `{% load otpverify %}`: by the project's own catalogues, or else by
those that come with the library."""

from __future__ import annotations

from django import template

from otpverify.integrations.django import requests
from otpverify.integrations.web.sentences import Sentence

register: template.Library = template.Library()


@register.simple_tag
def say(text: str, **params: object) -> str:
    """`{% say "We sent a code to %(phone)s." phone=shown %}`"""
    return requests.say(Sentence(text, params=params))


@register.simple_tag
def say_count(count: int, one: str, many: str) -> str:
    """`{% say_count minutes "%(count)s minute" "%(count)s minutes" %}`"""
    return requests.say(Sentence(one, many, count, {"count": count}))


@register.filter
def clock(seconds: int) -> str:
    """Seconds as minutes and seconds, such as `0:59`."""
    return f"{seconds // 60}:{seconds % 60:02d}"
