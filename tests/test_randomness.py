"""Everything that must not be guessed comes from the operating system's random source (OWASP ASVS
5.0, 6.5.3 and 11.5.1; NIST SP 800-63B-4, 3.2.12): codes, ids, and what the pages' flows draw. No
broken hash is used."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

from flask_support import PASSWORD, PHONE, USER, Shop
from freezegun.api import FrozenDateTimeFactory
from support import QUICK, SECRET

import otpverify
from otpverify import Verifier
from otpverify.integrations.celery.encryption import Seal
from otpverify.integrations.web import run_sync
from otpverify.integrations.web.backup_codes import BackupCodes, MemoryBackupCodes
from otpverify.integrations.web.remembered import RememberedBrowsers
from otpverify.integrations.web.session_stamp import REPROVED, SessionStamp
from otpverify.testing import OutboxSender

PACKAGE = Path(otpverify.__file__).parent
PREDICTABLE = {
    "gateways/retry.py": "waits between attempts, which spread load",
    "stores/sqlite/file.py": "waits for a lock, so that two processes do not keep step",
    "testing/conformance/fraud.py": "a random walk of the conformance suite, with a seed",
    "testing/conformance/random_walk.py": "the same",
}


def test_no_module_draws_from_a_predictable_source() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
                assert not {"uuid1", "uuid3", "uuid5"} & {one.name for one in node.names}, name
            elif isinstance(node, ast.Attribute):
                assert node.attr not in ("uuid1", "uuid3", "uuid5"), name
            if {"random", "numpy.random"} & set(modules):
                found.add(name)
    assert found == set(PREDICTABLE)


def test_no_module_uses_a_broken_hash() -> None:
    """ASVS 5.0, 11.4.1. Redis names scripts by their SHA-1, which protects nothing there."""
    found = [
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"hashlib\.(\w+)", path.read_text())
    ]
    assert {name for _, name in found} <= {"sha1", "sha256", "sha512", "blake2b", "pbkdf2_hmac"}
    assert [path for path, name in found if name == "sha1"] == ["stores/redis/scripts.py"]


def drawn() -> list[str]:
    """All random values of a login with its code, and of what surrounds it, each time anew."""
    random.seed(7)
    shop = Shop()
    shop.mount()
    person = shop.person()
    person.open("/account/login")
    page_token = person.kept["_otpverify"]["csrf"]
    person.send("/account/login", user=USER, password=PASSWORD)
    entry = str(person.kept)
    message = shop.outbox.messages[-1]
    code = shop.code(1)
    person.send("/account/login/code", code=code)
    verifier = Verifier(OutboxSender(), secret=SECRET, hasher=QUICK)
    challenge = verifier.start(PHONE)
    session: dict[str, object] = {}
    SessionStamp(verifier, session, REPROVED).save("7", "hash", PHONE)
    backup = run_sync(BackupCodes(verifier, MemoryBackupCodes()).make("7"))
    browser = RememberedBrowsers(verifier, days=30).remember("7", auth_hash="hash", phone=PHONE)
    sealed = Seal(SECRET, "a use").close({"text": "the same"})
    return [
        code,
        page_token,
        *re.findall(r"'challenge': '([^']+)'", entry),
        message.reference,
        challenge.id,
        str(session),
        *backup,
        browser,
        sealed,
    ]


def test_no_seed_repeats_what_a_flow_draws(clock: FrozenDateTimeFactory) -> None:
    """Nor does the time, which stands still."""
    first, second = drawn(), drawn()
    assert len(first) == len(second) > 15
    for one, other in zip(first, second, strict=True):
        assert one != other
