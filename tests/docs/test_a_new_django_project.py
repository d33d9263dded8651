"""A new project, made by the commands and the code of docs/how-to/django.md in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from servers import free_port, until
from support import fixture_secret, long_form

from examples.runner import Browser, code_of
from otpverify.sandbox import Sandbox

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "django.md"
START = PAGE.read_text().split("\nThe app needs Django", maxsplit=1)[0]
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```$", START, re.MULTILINE | re.DOTALL)
PASSWORD = "open sesame"


class Project:
    """A folder in which a reader of the page works."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            **sandbox.environ,
            "OTPVERIFY_SECRET": fixture_secret("a new project"),
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        self.environ.pop("DJANGO_SETTINGS_MODULE", None)
        self.run("-m", "django", "startproject", "shop", ".")

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)

    def add(self, code: str) -> None:
        """Write code of the page to where the page says."""
        if "AbstractUser" in code:
            (self.folder / "accounts" / "models.py").write_text(code)
            return
        name = "urls.py" if "urlpatterns" in code else "settings.py"
        with (self.folder / "shop" / name).open("a") as file:
            file.write(code)

    def command(self, line: str) -> None:
        """Run a line of the page: all but what it installs, exports and keeps running."""
        program, *arguments = shlex.split(line)
        if program in ("pip", "export") or arguments[1:] == ["runserver"]:
            return
        assert program == "python"
        if "createsuperuser" in arguments:  # it asks for these
            arguments += ["--noinput", "--email", "anna@shop.example"]
        self.run(*arguments)

    @contextmanager
    def served(self) -> Iterator[str]:
        address = f"127.0.0.1:{free_port()}"
        program = [sys.executable, "manage.py", "runserver", "--noreload", address]
        with subprocess.Popen(
            program,
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as server:
            site = f"http://{address}"
            try:
                until(lambda: answers(site))
                yield site
            finally:
                server.kill()


def answers(site: str) -> bool:
    try:
        return requests.get(site, timeout=60).status_code > 0
    except requests.ConnectionError:
        return False


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@long_form
def test_a_user_of_a_new_project_signs_in(tmp_path: Path, sandbox: Sandbox) -> None:
    project = Project(tmp_path, sandbox)
    for kind, text in BLOCKS:
        if kind == "python":
            project.add(text)
        else:
            for line in text.splitlines():
                project.command(line)
    with project.served() as site:
        browser = Browser(site)
        page = browser.open("/account/login/?next=/admin/")
        assert page == "Sign in"
        browser.send(browser.path, username="anna", password=PASSWORD)
        browser.send(browser.path, code=code_of(sandbox, 1))
        assert browser.path == "/admin/"
        assert "Welcome" in browser.text
        browser.close()
