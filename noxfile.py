"""The supported versions: `make versions` runs the tests in an environment of each kind.

Every environment tests what users install: the wheel that is built from the sdist. The tests come
from the sdist, too, and the package's sources are not there.

    make versions                       all environments
    make versions SESSION=lowest        one of them
    make audit                          are there advisories for the lowest versions?
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import nox

EXTRAS = ",".join(nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"])
WORKERS = os.environ.get("WORKERS", "3")

# A program on the PATH is what nox looks for. pyenv's own are there only for the versions that are
# switched on.
pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
os.environ["PATH"] = os.pathsep.join(
    [*map(str, pyenv.glob("versions/3.*/bin")), os.environ["PATH"]]
)
os.environ["UV_PYTHON_DOWNLOADS"] = "never"

# Python 3.11 is the lowest version; .ci/run tests it with the newest packages, as `make test` does.
NEWEST = ["3.12", "3.13", *(["3.14"] if shutil.which("python3.14") else [])]

nox.needs_version = ">=2026.2"
# A version that is missing here is skipped, and the last lines say so. The workflow on GitHub
# installs them all. nox's own default goes by CI, which .ci/run sets on any machine.
nox.options.error_on_missing_interpreters = bool(os.environ.get("GITHUB_ACTIONS"))
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["newest", "lowest"]


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """The newest version of every package. From Python 3.12 on, this is the current Django."""
    run_tests(session)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The lowest version that each dependency and each extra allows: Django 5.2, for one."""
    # The oldest Starlette's test client, on an anyio that is newer.
    late = "ignore:The anyio.abc.BlockingPortal alias:DeprecationWarning"
    run_tests(session, "--constraints", str(lowest_versions(session)), warnings=late)


@nox.session(python="3.11")
def audit(session: nox.Session) -> None:
    """Look for advisories about the lowest versions. It asks a service on the internet, and fails
    without an answer about each package."""
    session.install("pip-audit>=2.10")
    found = lowest_versions(session)
    session.run("pip-audit", "--strict", "--no-deps", "--disable-pip", "-r", str(found))


def run_tests(session: nox.Session, *options: str, warnings: str = "error") -> None:
    """Build, install with all extras, and test.

    Args:
        session: Its arguments replace those of pytest.
        options: Of the installation.
        warnings: A filter, in addition to that of `pyproject.toml`.
    """
    folder = Path(session.virtualenv.location).resolve() / "sdist"
    session.run_install("uv", "build", "--quiet", "--out-dir", str(folder))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    session.install(*options, f"{wheel}[{EXTRAS}]", "--group", "test")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    sources = folder / sdist.name.removesuffix(".tar.gz")
    shutil.rmtree(sources / "otpverify")
    session.chdir(sources)
    arguments = session.posargs or ["-q", "-n", WORKERS, "--maxschedchunk", "12"]
    # One file's tests compare the distributions with the sources.
    other = ["-W", warnings, "--ignore=tests/test_distribution.py"]
    session.run("python", "-m", "pytest", *other, *arguments)


def lowest_versions(session: nox.Session) -> Path:
    """Write a file of constraints: all direct dependencies at their floors, theirs at the newest
    version that fits."""
    file = Path(session.virtualenv.location).resolve() / "lowest.txt"
    resolution = ["--all-extras", "--resolution", "lowest-direct", "--output-file", str(file)]
    session.run_install("uv", "pip", "compile", "--quiet", *resolution, "pyproject.toml")
    return file
