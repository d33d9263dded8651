"""One table of mistakes, through the environment, Flask and Django: the same type, and the same
sentence, except for the spelling of the setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import django_site
import pytest
from flask import Flask
from support import OTHER_SECRET, QUICK, SECRET

from otpverify import (
    AsyncVerifier,
    ConfigurationError,
    DestinationBlocked,
    HmacHasher,
    MemoryStore,
    Policy,
    SqliteStore,
    StoreError,
    Verifier,
)
from otpverify.integrations.flask import OtpVerify
from otpverify.integrations.flask.site import APP_CONFIG
from otpverify.settings import ENVIRONMENT, Parts, Settings
from otpverify.settings_table import SETTINGS
from otpverify.testing import OutboxSender

django_site.set_up()

from django.test import override_settings  # noqa: E402 - after Django is set up

from otpverify.integrations.django import conf, get_async_verifier, get_verifier  # noqa: E402

GOOD = {"HASH": "the-hash", "TOKEN": "the-token"}
MANUAL = (Path(__file__).parents[1] / "docs/reference/configuration.md").read_text()


def by_environment(given: dict[str, Any]) -> None:
    Verifier.from_env({ENVIRONMENT.name(key): value for key, value in given.items()}).close()


def by_environment_async(given: dict[str, Any]) -> None:
    AsyncVerifier.from_env({ENVIRONMENT.name(key): value for key, value in given.items()})


def by_flask(given: dict[str, Any]) -> None:
    app = Flask("shop")
    app.config.update({APP_CONFIG.name(key): value for key, value in given.items()})
    OtpVerify(app)
    app.extensions["otpverify"].close()


def by_django(given: dict[str, Any]) -> None:
    with override_settings(OTPVERIFY=given):
        get_verifier()


def by_django_async(given: dict[str, Any]) -> None:
    with override_settings(OTPVERIFY=given):
        get_async_verifier()


Use = Callable[[dict[str, Any]], None]
SPELLED: dict[Use, Callable[[str], str]] = {
    by_environment: ENVIRONMENT.spell,
    by_environment_async: ENVIRONMENT.spell,
    by_flask: APP_CONFIG.spell,
    by_django: conf.SOURCE.spell,
    by_django_async: conf.SOURCE.spell,
}
ALL = list(SPELLED)
MAPPINGS = [by_flask, by_django, by_django_async]

TEXT_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"HASH": None}, "Set {HASH} to the account's credentials"),
    ({"TOKEN": ""}, "Set {TOKEN} to the account's credentials"),
    ({"HASH": " ", "TOKEN": ""}, "Set {HASH} and {TOKEN} to the account's credentials"),
    ({"SENDER_ID": "TwelveLetter"}, "{SENDER_ID}: An alphanumeric sender ID has 1 to 11"),
    ({"URL": "api.smspm.com"}, "{URL} must be an address such as"),
    ({"URL": "http://api.smspm.com"}, "{URL} must use https"),
    ({"REPORT_URL": "/sms/report"}, "{REPORT_URL} must be an address such as"),
    ({"SECRET": "short"}, "{SECRET}: A secret must have at least 32 bytes; this one has 5."),
    ({"SECRET": "change me" * 5}, "{SECRET}: This secret is a placeholder"),
    ({"SECRET": "a" * 32}, "{SECRET}: This secret is weak"),
    ({"SECRET": f"{SECRET},{SECRET}"}, "{SECRET}: A comma separates several secrets"),
    ({"SECRET": f"{SECRET[:20]},{SECRET[20:]}"}, "{SECRET}: A comma separates several secrets"),
    ({"SECRET": "from your secret store, 32 bytes or more"}, "{SECRET}: This secret is a placeh"),
    ({"REDIS_URL": "localhost:6379"}, "{REDIS_URL}: A Redis URL begins with redis://"),
    ({"REDIS_URL": "redis://h:port"}, "{REDIS_URL}: This redis:// URL is malformed"),
    ({"REDIS_URL": "redis://h?wrong=1"}, "{REDIS_URL}: This Redis URL has an option"),
    ({"REDIS_URL": "redis://localhost"}, "{SECRET}: "),
    (
        {"REDIS_URL": "redis://localhost", "SQLITE_PATH": "x.db"},
        "{REDIS_URL} and {SQLITE_PATH} are both set, and there is one store.",
    ),
    ({"SQLITE_PATH": "/no/such/folder/x.db", "SECRET": SECRET}, "{SQLITE_PATH}: "),
    ({"REGION": "Estonia"}, "{REGION}: region must be an ISO 3166-1 alpha-2 code"),
    ({"FRAUD": "enforced"}, "{FRAUD} must be observe or enforce."),
    ({"FRAUD": "nowhere.at.all"}, "{FRAUD} cannot be imported: "),
    *(
        ({"FRAUD": path}, "{FRAUD} cannot be imported: ")
        for path in (".", ".x", "..x", ".x.y", "x.")
    ),
]
TYPE_MISTAKES: list[tuple[dict[str, Any], str]] = [
    *(
        ({key: b"bytes"}, f"{{{key}}} must be text, not bytes.")
        for key in ("HASH", "TOKEN", "SENDER_ID", "URL", "REPORT_URL", "REDIS_URL", "REGION")
    ),
    *(({key: 5}, f"{{{key}}} must be text, not int.") for key in ("HASH", "URL", "SQLITE_PATH")),
    ({"SECRET": SECRET.encode()}, "{SECRET} must be text, or a list of texts, not bytes."),
    ({"SECRET": 5}, "{SECRET} must be text, or a list of texts, not int."),
    ({"SECRET": [SECRET, 5]}, "{SECRET} must be text, not int."),
    ({"SECRET": [SECRET, "short"]}, "{SECRET}: A secret must have at least 32 bytes"),
    ({"SECRET": [f"{SECRET},{OTHER_SECRET}"]}, "{SECRET}: A secret that is text must not contain"),
    ({"SENDER": 5}, "{SENDER}: int is not a sender: it has no send()."),
    ({"SENDER": dict}, "{SENDER}: dict is not a sender: it has no send()."),
    ({"SENDER": "nowhere.at.all"}, "{SENDER} cannot be imported: "),
    ({"SENDER": "nowhere"}, "{SENDER} cannot be imported: "),
    ({"STORE": Ellipsis}, "{STORE}: ellipsis is not a store: it has no open()."),
    (
        {"STORE": MemoryStore(), "REDIS_URL": "redis://localhost"},
        "{STORE} and {REDIS_URL} are both set, and there is one store.",
    ),
    ({"HASHER": 5}, "{HASHER}: int is not a hasher: it has no digest()."),
    ({"HASHER": HmacHasher()}, "{SECRET}: HmacHasher protects codes by the secret alone"),
    ({"POLICY": 5}, "{POLICY} must be a Policy(...), or a dict of its arguments, not int."),
    ({"POLICY": {"code_length": 3}}, "{POLICY}: "),
    ({"POLICY": {"lenght": 6}}, "{POLICY}: "),
    ({"POLICY": "nowhere.at.all"}, "{POLICY} cannot be imported: "),
    ({"FRAUD": 5}, "{FRAUD} must be observe or enforce, a FraudPolicy(...), or a dict of its"),
    ({"FRAUD": True}, "{FRAUD} must be observe or enforce, a FraudPolicy(...), or a dict of its"),
    ({"FRAUD": {"mode": "enforced"}}, "{FRAUD}: "),
    ({"FRAUD": {"mod": "enforce"}}, "{FRAUD}: "),
    ({"MESSAGES": 5}, "{MESSAGES} must be Messages(...), or a dict of its arguments, not int."),
    ({"MESSAGES": {"brnd": "Shop"}}, "{MESSAGES}: "),
    ({"GUARDS": 5}, "{GUARDS} must be a list of guards."),
    ({"GUARDS": [5]}, "{GUARDS}: int is not a guard: it has no refuse()."),
    ({"ON_EVENT": 5}, "{ON_EVENT} must be a function, or the dotted path of one."),
]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*ENVIRONMENT.names, "WEB_CONCURRENCY"]:
        monkeypatch.delenv(name, raising=False)


def refusal(use: Use, given: dict[str, Any]) -> str:
    given = {key: value for key, value in {**GOOD, **given}.items() if value is not None}
    with pytest.raises(ConfigurationError) as refused:
        use(given)
    assert type(refused.value) is ConfigurationError
    assert SECRET[:20] not in str(refused.value)
    return str(refused.value)


def neutral(message: str, use: Use) -> str:
    """The message with the settings' short names in braces."""
    for key in SETTINGS:
        message = message.replace(SPELLED[use](key), f"{{{key}}}")
    return re.sub(r"\bAsyncRedisStore\b", "RedisStore", message)


@pytest.mark.parametrize(("given", "said"), TEXT_MISTAKES, ids=lambda value: str(value)[:50])
def test_one_message_for_a_mistake_wherever_it_is_made(given: dict[str, Any], said: str) -> None:
    messages = {neutral(refusal(use, given), use) for use in ALL}
    (message,) = messages
    assert message.startswith(said)


@pytest.mark.parametrize(("given", "said"), TYPE_MISTAKES, ids=lambda value: str(value)[:50])
def test_one_message_for_a_wrong_type(given: dict[str, Any], said: str) -> None:
    (message,) = {neutral(refusal(use, given), use) for use in MAPPINGS}
    assert message.startswith(said)


@pytest.mark.parametrize("use", ALL)
@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("SECERT", "SECRET"), ("TOKN", "TOKEN"), ("REDIS_ULR", "REDIS_URL"), ("REGOIN", "REGION")],
)
def test_an_unknown_name_is_refused_with_what_was_meant(use: Use, wrong: str, meant: str) -> None:
    source = conf.SOURCE if use in (by_django, by_django_async) else ENVIRONMENT
    name = source.name(meant).replace(meant, wrong)
    message = refusal(use, {name: "x"})
    written = (APP_CONFIG if use is by_flask else source).written.format(name)
    assert message == f"There is no setting {written}. Did you mean {source.name(meant)!r}?"


def test_names_with_the_wrong_prefix_are_refused() -> None:
    for wrong, meant in (
        ("OTPVERIFY_TOKEN", "SMSPM_TOKEN"),
        ("SMSPM_SECRET", "OTPVERIFY_SECRET"),
        ("SMSPM_SENDER_ID", "SMSPM_SENDER"),
    ):
        with pytest.raises(ConfigurationError, match=f"no setting {wrong}. Did you mean '{meant}'"):
            Verifier.from_env({"SMSPM_HASH": "h", "SMSPM_TOKEN": "t", wrong: "x"})


@pytest.mark.parametrize(
    "name", ["OTPVERIFY_SECRET_FILE", "OTPVERIFY_TEST_REPEATS", "SMSPM_CONTRACT", "SECERT", "PATH"]
)
def test_a_program_s_own_names_are_not_refused(name: str) -> None:
    by_environment({**GOOD, name: "x"})
    app = Flask("shop")
    app.config.update({"SMSPM_HASH": "h", "SMSPM_TOKEN": "t", name: object()})
    OtpVerify(app)


def test_django_s_dict_has_no_other_names() -> None:
    assert "Known are ALLOW_INSECURE, CLIENT_IP" in refusal(by_django, {"COLOUR": "x"})
    message = refusal(by_django, {"OTPVERIFY_SECRET": SECRET})
    assert message.endswith("OTPVERIFY[\"OTPVERIFY_SECRET\"]. Did you mean 'SECRET'?")


@pytest.mark.parametrize("use", MAPPINGS)
def test_what_is_missing_comes_from_the_environment_and_what_is_empty_does_not(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`None` is missing. A mistake in the environment is named as it is written there."""
    for name, value in (("SMSPM_HASH", "h"), ("SMSPM_TOKEN", "t"), ("OTPVERIFY_REGION", "Eesti")):
        monkeypatch.setenv(name, value)
    for given in ({}, {"REGION": None}):
        with pytest.raises(ConfigurationError, match=r"^OTPVERIFY_REGION: "):
            use(given)
    use({"REGION": ""})
    with pytest.raises(ConfigurationError) as refused:
        use({"REGION": "", "TOKEN": ""})
    assert neutral(str(refused.value), use).startswith("Set {TOKEN} to")


@pytest.mark.parametrize("use", MAPPINGS)
def test_the_environment_s_secrets_are_split_everywhere(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTPVERIFY_SECRET", f" {SECRET} , {OTHER_SECRET} ")
    use(GOOD)
    monkeypatch.setenv("OTPVERIFY_SECRET", f"{SECRET},short")
    with pytest.raises(ConfigurationError, match=r"^OTPVERIFY_SECRET: A comma separates") as error:
        use(GOOD)
    assert SECRET not in str(error.value)
    use({**GOOD, "SECRET": [SECRET, OTHER_SECRET]})
    use({**GOOD, "SECRET": f"{SECRET},{OTHER_SECRET}"})


def verifier_of(use: Use, given: dict[str, Any]) -> Verifier:
    if use is by_flask:
        app = Flask("shop")
        app.config.update({APP_CONFIG.name(key): value for key, value in given.items()})
        OtpVerify(app)
        return cast(Verifier, app.extensions["otpverify"].verifier)
    if use is by_django:
        with override_settings(OTPVERIFY=given):
            return get_verifier()
    parts = Parts(Settings(), **{key.lower(): value for key, value in given.items()})
    return Verifier(parts.sender, **parts.arguments())


def sent_to_one_prefix(verifier: Verifier) -> int:
    """How many of 20 numbers of one prefix get a code."""
    sent = 0
    for number in range(20):
        with suppress(DestinationBlocked):
            verifier.start(f"+3725678{number:04}")
            sent += 1
    return sent


@pytest.mark.parametrize("use", [by_environment, by_flask, by_django])
def test_one_word_turns_the_protection_against_pumping_on(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"SENDER": OutboxSender(), "HASHER": HmacHasher(), "SECRET": SECRET}
    if use is by_environment:
        monkeypatch.setenv("OTPVERIFY_SECRET", given.pop("SECRET"))
    for mode, sent in (("", 20), ("observe", 20), ("enforce", 8)):
        monkeypatch.setenv("OTPVERIFY_FRAUD", mode)
        assert sent_to_one_prefix(verifier_of(use, given)) == sent
    if use is not by_environment:
        assert sent_to_one_prefix(verifier_of(use, {**given, "FRAUD": "observe"})) == 20
        assert sent_to_one_prefix(verifier_of(use, {**given, "FRAUD": {"mode": "enforce"}})) == 8


class TestParts:
    """Each part is made once, and closed where it was made."""

    def settings(self, **given: Any) -> Settings:
        return Settings({**GOOD, **given}, conf.SOURCE, {})

    def test_all_verifiers_share_store_and_secret(self) -> None:
        parts = Parts(self.settings(HASHER=QUICK), sender=OutboxSender())
        first, second = parts.arguments(), parts.arguments(asynchronous=True)
        assert first == second
        assert isinstance(first["store"], MemoryStore)

    def test_what_the_program_passes_goes_first(self, tmp_path: Path) -> None:
        store = MemoryStore()
        given = self.settings(SQLITE_PATH=tmp_path / "codes.db", POLICY={"code_length": 8})
        parts = Parts(given, store=store, policy=Policy(code_length=7))
        assert parts.arguments()["store"] is store
        assert parts.arguments()["policy"].code_length == 7
        assert list(tmp_path.iterdir()) == []

    def test_only_what_was_made_is_closed(self, tmp_path: Path) -> None:
        closed: list[object] = []

        class Sender(OutboxSender):
            def close(self) -> None:
                closed.append(self)

        Parts(self.settings(), sender=Sender()).close()
        passed = Parts(self.settings(SENDER=Sender()))
        assert passed.sender
        passed.close()
        assert closed == []
        made = Parts(self.settings(SENDER=Sender))
        assert made.sender
        made.close()
        made.close()
        assert closed == [made.sender]

    def test_a_fork_makes_its_own(self, tmp_path: Path) -> None:
        parts = Parts(self.settings(SQLITE_PATH=tmp_path / "codes.db", SECRET=SECRET))
        other = parts.forked()
        assert isinstance(other.store, SqliteStore)
        assert other.store is not parts.store
        memory = Parts(self.settings())
        assert memory.forked().arguments() != {}
        assert memory.arguments()["store"] is memory.forked().store
        assert memory.secret == memory.forked().secret
        for one in (parts, other):
            one.close()

    def test_a_part_that_fails_leaves_nothing_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed: list[object] = []
        monkeypatch.setattr(SqliteStore, "close", lambda store: closed.append(store))
        environ = {
            "SMSPM_HASH": "h",
            "SMSPM_TOKEN": "t",
            "OTPVERIFY_SQLITE_PATH": str(tmp_path / "codes.db"),
        }
        with pytest.raises(ConfigurationError, match="needs secret"):
            Verifier.from_env(environ)
        assert len(closed) == 1

    def test_a_damaged_file_is_a_store_error(self, tmp_path: Path) -> None:
        path = tmp_path / "codes.db"
        path.write_bytes(b"no database " * 1000)
        with pytest.raises((StoreError, ConfigurationError), match="damaged"):
            Parts(self.settings(SQLITE_PATH=path)).arguments()


def rows(heading: str) -> Iterator[tuple[str, str, str]]:
    section = MANUAL.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    yield from re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*) \|$", section, re.MULTILINE)


def test_the_reference_page_has_the_table() -> None:
    assert list(rows("Settings")) == [
        (setting.name, setting.short, setting.about)
        for setting in SETTINGS.values()
        if setting.variable
    ]
    assert list(rows("Settings that are objects")) == [
        (setting.name, setting.short, setting.about)
        for setting in SETTINGS.values()
        if not setting.variable
    ]
