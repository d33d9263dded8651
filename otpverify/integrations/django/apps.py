"""The app."""

from django.apps import AppConfig


class OtpVerifyConfig(AppConfig):
    """Settings, checks, views, templates, commands, and a page of the admin. No table and no
    middleware."""

    name = "otpverify.integrations.django"
    label = "otpverify"
    verbose_name: str = "otpverify"
    default_auto_field: str = "django.db.models.BigAutoField"  # of a model that has no table

    def ready(self) -> None:
        """Register the system checks, and the receivers of signals."""
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import pre_save

        from otpverify.integrations.django.accounts import normalize_new
        from otpverify.integrations.django.checks import register
        from otpverify.integrations.django.session import forget_at_login

        register()
        user_logged_in.connect(forget_at_login, dispatch_uid="otpverify.forget_at_login")
        pre_save.connect(normalize_new, dispatch_uid="otpverify.normalize_new")
