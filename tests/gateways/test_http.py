"""What every gateway's sender gets from `otpverify.gateways`: checked addresses, and errors that
say where and why without a secret."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_gateways import CODE, unused_url

from otpverify import ConfigurationError, DeliveryUnavailable, Retry
from otpverify.gateways.call import Call
from otpverify.gateways.http import HttpClient
from otpverify.gateways.http_async import AsyncHttpClient
from otpverify.gateways.retry import HttpSettings
from otpverify.gateways.urls import check_report_url, check_url

ONCE = HttpSettings(retry=Retry(attempts=1, total_seconds=5))
Perform = Callable[[str], object]


def call(url: str) -> Call[int]:
    fields = {"token": "Qwertyuiop", "text": CODE}
    return Call(
        gateway="Acme",
        operation="send",
        method="POST",
        url=url,
        fields=fields,
        read=lambda status, _: status,
    )


@pytest.fixture(params=["sync", "async"])
def perform(request: pytest.FixtureRequest) -> Perform:
    def blocking(url: str) -> object:
        return HttpClient("Acme", url, ONCE).perform(call(url))

    def awaited(url: str) -> object:
        async def run() -> object:
            client = AsyncHttpClient("Acme", url, ONCE)
            try:
                return await client.perform(call(url))
            finally:
                await client.aclose()

        return asyncio.run(run())

    return blocking if request.param == "sync" else awaited


def failed(perform: Perform, url: str) -> DeliveryUnavailable:
    with pytest.raises(DeliveryUnavailable) as raised:
        perform(url)
    assert CODE not in str(raised.value)
    assert "Qwertyuiop" not in str(raised.value)
    return raised.value


def test_a_refused_connection_is_named(perform: Perform) -> None:
    url = unused_url()
    error = failed(perform, url)
    place = url.removeprefix("http://")
    assert str(error) == f"Acme ({place}) could not be reached: connection refused."
    assert (error.provider_code, error.maybe_sent) == ("unreachable", False)


def test_an_unknown_host_is_named(perform: Perform) -> None:
    error = failed(perform, "http://gateway.invalid")
    assert str(error) == (
        "Acme (gateway.invalid:80) could not be reached: its name could not be resolved (DNS)."
    )
    assert (error.provider_code, error.maybe_sent) == ("unreachable", False)


def test_missing_certificates_are_a_typed_error_and_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    url = unused_url().replace("http:", "https:")
    with pytest.raises(DeliveryUnavailable) as raised:
        HttpClient("Acme", url, ONCE).perform(call(url))
    assert "REQUESTS_CA_BUNDLE" in str(raised.value)
    assert str(tmp_path) not in str(raised.value)
    assert (raised.value.provider_code, raised.value.maybe_sent) == ("tls_failed", False)


def test_missing_certificates_are_a_configuration_error_of_the_asynchronous_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        AsyncHttpClient("Acme", "https://api.example", ONCE)


@pytest.mark.parametrize(
    "url",
    [
        "http://api\u3002smspm\u3002com",
        "https://api\u3002smspm\u3002com",
        "http://api%2esmspm%2ecom",
        "http://\u24db\u24de\u24d2alhost",
        "http://[fe80::1%25eth0]",
        "http://api.smspm.com",
        "https://user@api.smspm.com",
        "https://api.smspm.com:0",
    ],
)
def test_an_unsafe_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="X_URL must"):
        check_url(url, "X_URL", example="https://api.example")
    with pytest.raises(ConfigurationError, match="X_URL must"):
        check_report_url(url, "X_URL")


def test_an_address_is_given_without_its_last_slash() -> None:
    assert check_url("http://[::1]:80/a/", "X_URL", example="") == "http://[::1]:80/a"
    assert check_url("HTTPS://a.example/", "X_URL", example="") == "HTTPS://a.example"
    assert check_report_url("https://a.example/?b=%20/") == "https://a.example/?b=%20/"
    with pytest.raises(ConfigurationError, match="or a query"):
        check_url("https://a.example/?b", "X_URL", example="")


@pytest.mark.parametrize(
    "wrong",
    [
        {"connect_timeout_seconds": 0},
        {"read_timeout_seconds": 601},
        {"read_timeout_seconds": True},
        {"retry": 3},
        {"on_attempt": "log"},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        HttpSettings(**wrong)  # type: ignore[arg-type]  # that is the test
