"""The app."""

from django.apps import AppConfig

from otpverify.integrations.django.backup_codes import APP, LABEL


class SecondFactorConfig(AppConfig):
    """Two tables, and their page of the admin."""

    name = APP
    label = LABEL
    verbose_name: str = "otpverify: second factor"
    default_auto_field: str = "django.db.models.BigAutoField"
