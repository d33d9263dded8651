"""The app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Customers."""

    name = "accounts"

    def ready(self) -> None:
        """Listen."""
        from accounts import receivers  # noqa: F401 - loading it connects them
