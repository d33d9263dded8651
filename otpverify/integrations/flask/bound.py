"""What belongs to the application of the current request."""

from __future__ import annotations

from typing import Any

from flask import current_app

from otpverify import ConfigurationError, Verifier
from otpverify.integrations.flask.hooks import Hooks
from otpverify.integrations.flask.settings import State
from otpverify.integrations.web.sentences import Sentence


class Bound(Hooks):
    """The extension's view of the current application."""

    @property
    def state(self) -> State:
        """What the current application has.

        Raises:
            ConfigurationError: `init_app` was not called for it.
        """
        found = current_app.extensions.get("otpverify")
        if not isinstance(found, State):
            raise ConfigurationError("This application has no otpverify: call otp.init_app(app).")
        return found

    @property
    def verifier(self) -> Verifier:
        """The current application's verifier."""
        return self.state.verifier

    def config(self, name: str) -> Any:
        """A value of the current application's configuration."""
        return current_app.config[name]

    def current_locale(self) -> str:
        """The person's language, a BCP 47 tag."""
        function = self.hook("locale")
        found = function() if function is not None else None
        return str(found).replace("_", "-") if found else "en"

    def say(self, sentence: Sentence) -> str:
        """A sentence in the person's language."""
        function = self.hook("translations")
        if function is None:
            return str(sentence)
        found = function()
        return sentence.translated(found.gettext, found.ngettext)
