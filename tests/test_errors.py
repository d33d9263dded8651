"""A missing extra gives one error with one wording, wherever it is missing. With all extras, no
module warns."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import otpverify
from otpverify import ConfigurationError
from otpverify.errors import ExtraMissing, needs_extra

WORDING = re.compile(
    r"(\w+) is not installed\. [A-Z][\w -]+ needs the extra '([\w-]+)': "
    r"pip install 'otpverify\[\2\]', or in a clone: pip install '\.\[\2\]'"
)
MODULES = {
    "async": ["gateways.http_async", "gateways.smspm.client_async"],
    "celery": ["integrations.celery"],
    "cli": ["cli.send_bulk.progress_bar", "console.traffic_table"],
    "demo": ["demo"],
    "django": ["integrations.django"],
    "fastapi": ["integrations.fastapi"],
    "flask": ["integrations.flask"],
    "allauth": ["integrations.allauth"],
    "flask-security": ["integrations.flask_security"],
    "two-factor": ["integrations.two_factor"],
    "otel": ["integrations.opentelemetry"],
    "prometheus": ["integrations.prometheus"],
}
"""The modules that need each extra. A package stands for all modules in it."""
IMPORTED_AS = {
    "django-allauth": "allauth",
    "django-two-factor-auth": "two_factor",
    "flask-security-too": "flask_security",
    "opentelemetry-api": "opentelemetry",
}
REQUIREMENTS = [Requirement(line) for line in requires("otpverify") or ()]
IMPORT = """
import sys
from importlib import import_module
def is_there(package):
    return {condition}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if not is_there(name.partition(".")[0]):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Finder())
from otpverify.errors import ExtraMissing
for module in {modules!r}:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        print(module, error.name, error, sep="|")
    except ExtraMissing as error:
        print(module, error.name, error, sep="|")
"""
WITH_ALL = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "otpverify.integrations.django",
        "otpverify.integrations.django.second_factor",
    ],
    TWO_FACTOR_SMS_GATEWAY="otpverify.integrations.two_factor.Gateway",
)
django.setup()
from importlib import import_module
for module in {modules!r}:
    import_module(module)
"""


def modules() -> list[str]:
    """Every module of the package, dotted."""
    folder = Path(otpverify.__file__).parent
    paths = sorted(path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    found = [
        ".".join(("otpverify", *path.parts)).removesuffix(".__init__")
        for path in paths
        if path.name != "__main__"  # which runs the command
    ]
    assert "otpverify" in found
    return found


def packages(extra: str) -> list[str]:
    """What an extra installs and otpverify imports. An extra may include another one."""
    found = []
    for one in REQUIREMENTS:
        if one.marker is not None and one.marker.evaluate({"extra": extra}):
            if one.name == "otpverify":
                found += [package for inner in one.extras for package in packages(inner)]
            else:
                found.append(IMPORTED_AS.get(one.name) or one.name.replace("-", "_"))
    return found


def installed_without_extras() -> set[str]:
    """What can be imported where otpverify was installed without an extra."""
    names: set[str] = set()
    left = ["otpverify"]
    while left:
        name = canonicalize_name(left.pop())
        if name not in names:
            names.add(name)
            for one in map(Requirement, distribution(name).requires or ()):
                if one.marker is None or one.marker.evaluate({"extra": ""}):
                    left.append(one.name)
    return {"otpverify"} | {
        package
        for package, owners in packages_distributions().items()
        if any(canonicalize_name(owner) in names for owner in owners)
    }


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_extra_is_tried() -> None:
    assert set(MODULES) == set(distribution("otpverify").metadata.get_all("Provides-Extra") or ())
    assert all(packages(extra) for extra in MODULES)


@pytest.mark.parametrize(
    ("extra", "package"),
    [(extra, package) for extra in MODULES for package in packages(extra)],
)
def test_each_package_of_each_extra_is_reported_alike(extra: str, package: str) -> None:
    names = [f"otpverify.{module}" for module in MODULES[extra]]
    output = run(IMPORT.format(condition=f"package != {package!r}", modules=names))
    assert [line.split("|")[0] for line in output.splitlines()] == names
    for line in output.splitlines():
        _, name, message = line.split("|")
        found = WORDING.fullmatch(message)
        assert found is not None, message
        assert (name, found[1], found[2]) == (package, package, extra)


def test_without_extras_every_module_works_or_names_its_extra() -> None:
    there = installed_without_extras()
    condition = f"package in {there!r} or package in sys.stdlib_module_names"
    output = run(IMPORT.format(condition=condition, modules=modules()))
    missing: dict[str, str] = {}
    for line in output.splitlines():
        module, name, message = line.split("|")
        found = WORDING.fullmatch(message)
        missing[module] = found[2] if found else name
    # What tests need is not an extra: its name says enough.
    needs = MODULES | {"pytest": ["testing.conformance", "testing.plugin"]}
    expected = {
        module: need
        for need, names in needs.items()
        for module in modules()
        if any(f"{module}.".startswith(f"otpverify.{name}.") for name in names)
    }
    assert missing == expected


def test_with_all_extras_no_module_warns() -> None:
    assert run(WITH_ALL.format(modules=modules()), "-W", "error", "-X", "dev") == ""


def test_it_is_both_a_configuration_and_an_import_error() -> None:
    with pytest.raises(ExtraMissing) as caught, needs_extra("cli", "The progress bar"):
        raise ModuleNotFoundError("No module named 'rich'", name="rich.progress")
    assert isinstance(caught.value, ConfigurationError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == "rich"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("name", ["otpverify.gateways.gone", None])
def test_a_fault_of_the_library_keeps_its_own_error(name: str | None) -> None:
    fault = ModuleNotFoundError("gone", name=name)
    with pytest.raises(ModuleNotFoundError) as caught, needs_extra("cli", "The progress bar"):
        raise fault
    assert caught.value is fault
