"""Imports run downward only, siblings do not know each other, and nothing heavy is loaded
before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import otpverify

PACKAGE = Path(otpverify.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# From the ground up. A module may import from lower layers and from its own group within its
# layer; groups of one layer are siblings.
LAYERS: list[dict[str, tuple[str, ...]]] = [
    {"results": ("core.results",), "_version": ("_version",)},
    {"errors": ("errors",)},
    {"core": ("core",)},
    {
        "protocols": ("protocols",),
        "phone": ("phone",),
        "_sync": ("_sync", "_event_loops", "_per_process"),
    },
    {
        "stores": ("stores",),
        "sms": ("sms", "gateways"),
        "hashing": ("hashing",),
        "guards": ("guards",),
    },
    {"engine": ("engine",)},
    {"verifier": ("verifier", "verifier_async", "settings", "settings_table", "wiring")},
    {"public": ("__init__",)},
    {"sandbox": ("sandbox",), "console": ("console",)},
    {"web": ("integrations", "integrations.web"), "metrics": ("integrations.metrics",)},
    {
        name: (f"integrations.{name}",)
        for name in ("celery", "django", "fastapi", "flask", "opentelemetry", "prometheus")
        # siblings
    },
    {
        "testing": ("testing",),
        "demo": ("demo",),
        **{name: (f"integrations.{name}",) for name in ("allauth", "flask_security", "two_factor")},
    },
    {"cli": ("cli", "__main__")},
]
PURE = {"__future__", "base64", "binascii", "collections", "dataclasses", "datetime", "enum"}
PURE |= {"hashlib", "hmac", "ipaddress", "math", "phonenumbers", "re", "struct", "typing"}
PURE |= {"decimal", "functools", "unicodedata"}
PURE |= {"urllib", "otpverify"}


def place(module: str) -> tuple[int, str]:
    """A module's layer and group. `module` is dotted, without the package's name."""
    names = module.split(".")
    for named in (".".join(names[:2]), names[0] or "__init__"):
        for level, groups in enumerate(LAYERS):
            for group, modules in groups.items():
                if named in modules:
                    return level, group
    raise AssertionError(f"{module} has no place in the architecture; give it one")


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@cache
def imports(path: Path) -> set[str]:
    """Every module that a file imports, dotted: those imported in functions and for type checkers
    alone included."""
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                file = PACKAGE.parent / Path(*inner.split("."))
                is_module = file.with_suffix(".py").exists() or (file / "__init__.py").exists()
                found.add(inner if is_module else node.module)

    Visitor().visit(ast.parse(path.read_text()))
    return found


def test_imports_run_downward() -> None:
    for path in SOURCES:
        level, group = place(dotted(path))
        for module in imports(path):
            if module != "otpverify" and not module.startswith("otpverify."):
                continue
            there, other = place(module.removeprefix("otpverify").removeprefix("."))
            assert there < level or (there == level and other == group), f"{path} imports {module}"


def test_no_modules_import_each_other() -> None:
    """Not even within one layer, in a function, or for type checkers alone."""
    graph = {
        f"otpverify.{dotted(path)}".removesuffix(".__init__"): imports(path) for path in SOURCES
    }
    for module, imported in graph.items():
        imported.discard(module)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if dotted(path).startswith("core")],
    ids=lambda path: path.name,
)
def test_the_core_is_pure(path: Path) -> None:
    assert {module.split(".")[0] for module in imports(path)} <= PURE
    tree = ast.parse(path.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"datetime.now", "datetime.today", "date.today", "open", "print", "input"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").glob("*.py")), ids=lambda p: p.name)
def test_the_engine_knows_no_gateway(path: Path) -> None:
    """A gateway's sender is passed in, with all that it knows of its own formats."""
    assert "otpverify.gateways" not in path.read_text()


def test_the_engine_awaits_ports_alone() -> None:
    for path in (PACKAGE / "engine").glob("*.py"):
        used = {module.split(".")[0] for module in imports(path)}
        assert not used & {"asyncio", "concurrent", "threading", "anyio", "stamina"}


def test_every_log_record_is_under_the_package_s_logger() -> None:
    """One setting of `logging` rules all of them."""
    named = {
        name
        for path in SOURCES
        for name in re.findall(
            r"^_log = logging\.getLogger\((.*)\)$", path.read_text(), re.MULTILINE
        )
    }
    parts = ("", ".sandbox", ".integrations", ".celery")
    assert named == {f'"otpverify{part}"' for part in parts}


def test_no_module_is_long() -> None:
    assert not [path for path in SOURCES if len(path.read_text().splitlines()) > 500]


def test_no_class_stands_twice_in_a_folder() -> None:
    """What the sync and async parts of a folder both need is one class, or two names."""
    homes: dict[tuple[Path, str], list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and path.parent.name != "commands":  # Django's name
                homes.setdefault((path.parent, node.name), []).append(path.name)
    assert [home for home, files in homes.items() if len(files) > 1] == []


def test_every_protocol_has_a_user() -> None:
    defined = {
        node.name
        for node in ast.parse((PACKAGE / "protocols.py").read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    used = {
        node.id
        for path in SOURCES
        if path.name not in ("protocols.py", "__init__.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name)
    }
    assert defined - used == set()


CLIENTS = "requests urllib3 redis httpx2 httpcore2 stamina http.server"
OWN_PARTS = [
    f"otpverify.{name}"
    for name in (
        *("core.fraud", "core.fraud_ledger", "core.fraud_policy", "core.traffic", "engine.fraud"),
        *("core.inspection", "core.state", "engine.inspection", "sms.messages", "sms.gsm7"),
    )
]
"""What a verifier without a `FraudPolicy`, with a store and texts of its own, does not use."""
FRAMEWORKS = "starlette uvicorn jinja2 django flask fastapi celery pytest"
FRAMEWORKS += " opentelemetry prometheus_client"


@pytest.mark.parametrize(
    ("statement", "not_loaded"),
    [
        ("import otpverify", f"{CLIENTS} {FRAMEWORKS} argon2 phonenumbers cachetools"),
        ("import otpverify.testing.plugin", f"{CLIENTS} argon2 phonenumbers"),
        (
            "from otpverify import Verifier, AsyncVerifier",
            f"{CLIENTS} {FRAMEWORKS} asyncio sqlite3",
        ),
        ("from otpverify import Verifier, AsyncVerifier", " ".join(OWN_PARTS)),
        ("from otpverify import SmspmClient", f"{FRAMEWORKS} redis httpx2 argon2 asyncio"),
        ("from otpverify.sandbox import Sandbox", f"requests {FRAMEWORKS}"),
    ],
)
def test_nothing_is_loaded_before_it_is_used(statement: str, not_loaded: str) -> None:
    script = f"{statement}\nimport sys\nprint(sorted(set({not_loaded.split()}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_public_names() -> None:
    """What users import. A name that goes missing here breaks them."""
    assert set(otpverify.__all__) == {
        "AllowCountries",
        "AllowNumbers",
        "Argon2Hasher",
        "AsyncFallbackSender",
        "AsyncRedisStore",
        "AsyncSender",
        "AsyncSmspmClient",
        "AsyncStore",
        "AsyncVerifier",
        "AttemptsExhausted",
        "Balance",
        "BlockNumberTypes",
        "BulkCounts",
        "BulkEntry",
        "BulkInterrupted",
        "BulkProgress",
        "BulkResult",
        "Challenge",
        "ChallengeExpired",
        "Clock",
        "ConfigurationError",
        "CooldownActive",
        "DeliveryAttempt",
        "DeliveryError",
        "DeliveryRejected",
        "DeliveryReport",
        "DeliveryStatus",
        "DeliveryUnavailable",
        "Destination",
        "DestinationBlocked",
        "Event",
        "FallbackSender",
        "FraudPolicy",
        "Guard",
        "Hasher",
        "HmacHasher",
        "HumanCheckRequired",
        "IncorrectAnswer",
        "IncorrectCode",
        "InvalidPhoneNumber",
        "Limit",
        "LimitUse",
        "LiveChallenge",
        "MemoryStore",
        "Message",
        "Messages",
        "OtpVerifyError",
        "PhoneInspection",
        "Policy",
        "Prices",
        "PurposeInspection",
        "RateLimited",
        "Receipt",
        "RedisStore",
        "Renderer",
        "Retry",
        "SendRequest",
        "Sender",
        "SentMessage",
        "SmspmClient",
        "SpendLimit",
        "SqliteStore",
        "Store",
        "StoreError",
        "TestNumber",
        "Traffic",
        "VerificationFailed",
        "Verified",
        "Verifier",
        "__version__",
    }
    assert set(otpverify._HOMES) == set(otpverify.__all__) - {"__version__"}
    for name in otpverify.__all__:
        assert getattr(otpverify, name) is not None
        assert name in dir(otpverify)
    with pytest.raises(AttributeError):
        otpverify.Nothing  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize("name", [n for n in otpverify.__all__ if n != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(otpverify, name)
    assert thing.__doc__
    for attribute, member in vars(thing).items():
        if attribute.startswith("_") or not callable(member):
            continue
        assert member.__doc__ or name.startswith("Async"), f"{name}.{attribute}"
