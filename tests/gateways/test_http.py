"""What every gateway's sender gets from `otpverify.gateways`: checked addresses, and errors that
say where and why without a secret."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faulty_gateways import CODE, unused_url

from otpverify import (
    AsyncSmspmClient,
    ConfigurationError,
    DeliveryUnavailable,
    Retry,
    SmspmClient,
    Verifier,
)
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


PRIVATE = [
    "http://10.1.2.3:8000",
    "http://172.16.0.2",
    "http://192.168.178.20:8000",
    "http://169.254.1.1",
    "http://100.64.0.7",
    "http://[fd00::1]:8000",
    "http://[fe80::1]",
    "http://[::ffff:192.168.1.1]",
    "http://host.docker.internal:8000",
    "http://HOST.Docker.Internal.:8000",
    "http://sandbox.default.svc.cluster.local",
    "http://sandbox.default.svc",
    "http://gateway.local",
    "http://sms.test",
    "http://nas.home.arpa",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_plain_http_to_a_private_network_is_allowed_on_purpose_alone(url: str) -> None:
    for check in (partial(check_url, example="https://api.example"), check_report_url):
        with pytest.raises(ConfigurationError, match="allow_insecure=True: then credentials"):
            check(url, "X_URL")
        with pytest.raises(ConfigurationError, match="set X_ALLOW=1: then credentials"):
            check(url, "X_URL", allow_with="X_ALLOW=1")
        assert check(url, "X_URL", allow_insecure=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.smspm.com",
        "http://8.8.8.8",
        "http://[2001:4860:4860::8888]",
        "http://[::ffff:8.8.8.8]",
        "http://internal.example.com",
        "http://host.docker.internal.example.com",
        "http://host.docker.internal@evil.example",
        "http://192.168.1",
        "http://3232235777",
        "http://0xC0A80101",
        "http://192.168.1.1%20.example.com",
        "http://host\u3002docker\u3002internal",
        "ftp://host.docker.internal",
        "http://224.0.0.1",
    ],
)
def test_plain_http_to_any_other_host_is_never_allowed(url: str) -> None:
    for check in (partial(check_url, example="https://api.example"), check_report_url):
        with pytest.raises(ConfigurationError) as raised:
            check(url, "X_URL", allow_insecure=True)
        assert "allow_insecure" not in str(raised.value)


@pytest.mark.parametrize("kind", [SmspmClient, AsyncSmspmClient])
@pytest.mark.parametrize("option", ["url", "report_url"])
def test_a_client_allows_plain_http_on_purpose_alone(kind: Any, option: str) -> None:
    url = "http://host.docker.internal:8000/a"
    with pytest.raises(ConfigurationError, match="SMSPM_ALLOW_INSECURE=1"):
        kind("hash", "token", **{option: url})
    kind("hash", "token", **{option: url}, allow_insecure=True)
    with pytest.raises(ConfigurationError, match="allow_insecure must be"):
        kind("hash", "token", allow_insecure="yes")
    environ = {"SMSPM_HASH": "hash", "SMSPM_TOKEN": "token", f"SMSPM_{option.upper()}": url}
    for off in ({}, {"SMSPM_ALLOW_INSECURE": "0"}, {"SMSPM_ALLOW_INSECURE": "false"}):
        with pytest.raises(ConfigurationError, match="SMSPM_ALLOW_INSECURE=1"):
            kind.from_env({**environ, **off})
    for on in ("1", "true", " TRUE "):
        kind.from_env({**environ, "SMSPM_ALLOW_INSECURE": on})
    with pytest.raises(ConfigurationError, match="SMSPM_ALLOW_INSECURE must be 1 or 0"):
        kind.from_env({**environ, "SMSPM_ALLOW_INSECURE": "yes please"})


@pytest.mark.parametrize("option", ["SMSPM_URL", "SMSPM_REPORT_URL"])
def test_a_verifier_of_the_environment_allows_plain_http_on_purpose_alone(option: str) -> None:
    environ = {"SMSPM_HASH": "hash", "SMSPM_TOKEN": "token"}
    environ[option] = "http://192.168.178.20:8000"
    with pytest.raises(ConfigurationError, match=f"{option} must.*SMSPM_ALLOW_INSECURE to 1"):
        Verifier.from_env(environ)
    Verifier.from_env({**environ, "SMSPM_ALLOW_INSECURE": "1"}).close()


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
