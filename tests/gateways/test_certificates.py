"""The certificate authorities that the environment names serve the sync and async clients alike,
and a mistake in them is a typed error: nothing was sent, and no path is shown."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from clients import Client
from faulty_gateways import GOOD, Recorder, encrypted, recording
from support import Mode

from otpverify import ConfigurationError, DeliveryUnavailable, OtpVerifyError
from otpverify.gateways.certificates import VARIABLES


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    with encrypted(Recorder(), authority) as url:
        yield url


@pytest.fixture
def file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def folder(file: Path, tmp_path: Path) -> Path:
    """A directory of certificates, named by their hashes as OpenSSL looks for them."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(file)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    path = tmp_path / "authorities"
    path.mkdir()
    shutil.copy(file, path / f"{name}.0")
    return path


def sends(mode: Mode, url: str) -> None:
    with Client(mode, url=url) as client:
        assert client.send(GOOD).message_id == "m-1"


def refused(mode: Mode, url: str) -> OtpVerifyError:
    """The error: the sync client's when it sends, the async client's when it is made."""
    with (
        pytest.raises((DeliveryUnavailable, ConfigurationError)) as raised,
        Client(mode, url=url) as client,
    ):
        client.send(GOOD)
    error = raised.value
    if isinstance(error, DeliveryUnavailable):
        assert (error.provider_code, error.maybe_sent) == ("tls_failed", False)
    assert error.__cause__ is error.__context__ is None
    return error


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_serves_both_clients(
    variable: str, mode: Mode, server: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "certificate is not valid" in str(refused(mode, server))
    monkeypatch.setenv(variable, str(file))
    sends(mode, server)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"])
def test_a_directory_serves_both_clients(
    variable: str, mode: Mode, server: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(folder))
    sends(mode, server)


def test_the_first_directory_of_a_list_that_exists_counts(
    mode: Mode, server: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{folder}/gone:{folder}")
    sends(mode, server)


def test_the_first_variable_counts(
    mode: Mode, server: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    sends(mode, server)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert "certificate is not valid" in str(refused(mode, server))


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("name", ["gone", "longer than a system allows" * 20])
def test_what_is_missing_is_named(
    variable: str,
    beside: bool,
    name: str,
    mode: Mode,
    server: str,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if beside:
        for other in VARIABLES:
            monkeypatch.setenv(other, str(tmp_path if other == "SSL_CERT_DIR" else file))
    monkeypatch.setenv(variable, str(tmp_path / name))
    said = str(refused(mode, server))
    assert variable in said
    assert ("is missing" if name == "gone" else "cannot be read") in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00", b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_named(
    variable: str,
    content: bytes,
    mode: Mode,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "nonsense.pem").write_bytes(content)
    monkeypatch.setenv(variable, str(tmp_path / "nonsense.pem"))
    said = str(refused(mode, server))
    assert variable in said
    assert "cannot be read" in said
    assert str(tmp_path) not in said


def test_an_empty_variable_is_not_set(
    mode: Mode, server: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    sends(mode, server)


def test_a_sandbox_needs_none(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/gone")
    with recording() as recorder:
        sends(mode, recorder.url)
