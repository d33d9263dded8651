"""A missing extra gives one error with one wording, wherever it is missing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from otpverify import ConfigurationError
from otpverify.errors import ExtraMissing, needs_extra

WORDING = re.compile(
    r"(\w+) is not installed\. [A-Z][\w ]+ needs the extra '(\w+)': "
    r"pip install 'otpverify\[\2\]', or in a clone: pip install '\.\[\2\]'"
)
IMPORT_WITHOUT = """
import sys
sys.modules[{package!r}] = None
from otpverify.errors import ExtraMissing
try:
    import {module}
except ExtraMissing as error:
    print(error.name, error, sep="\\n")
"""


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("otpverify.gateways.smspm.client_async", "httpx2", "async"),
        ("otpverify.integrations.celery", "celery", "celery"),
        ("otpverify.integrations.celery", "cryptography", "celery"),
        ("otpverify.integrations.django", "django", "django"),
        ("otpverify.integrations.fastapi", "fastapi", "fastapi"),
        ("otpverify.integrations.fastapi", "itsdangerous", "fastapi"),
        ("otpverify.integrations.flask", "flask", "flask"),
        ("otpverify.integrations.opentelemetry", "opentelemetry", "otel"),
        ("otpverify.integrations.prometheus", "prometheus_client", "prometheus"),
        ("otpverify.cli.send_bulk.progress_bar", "rich", "cli"),
    ],
)
def test_each_extra_is_reported_alike(module: str, package: str, extra: str) -> None:
    script = IMPORT_WITHOUT.format(module=module, package=package)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    name, message = done.stdout.splitlines()
    found = WORDING.fullmatch(message)
    assert found is not None, message
    assert (name, found[1], found[2]) == (package, package, extra)


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
