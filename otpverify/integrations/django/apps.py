"""The app."""

from django.apps import AppConfig


class OtpVerifyConfig(AppConfig):
    """No models, no middleware, no admin: settings, checks, views and templates."""

    name = "otpverify.integrations.django"
    label = "otpverify"
    verbose_name = "otpverify"

    def ready(self) -> None:
        """Register the system checks."""
        from otpverify.integrations.django.checks import register

        register()
