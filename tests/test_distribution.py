"""The wheel and the source distribution, as they are built: their contents, metadata and SBOM."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from json import loads
from pathlib import Path
from typing import Any, Final

import pytest
import release
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from support import long_form

import otpverify

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSION: Final = otpverify.__version__
INFO: Final = f"otpverify-{VERSION}.dist-info/"


@dataclass(frozen=True)
class Built:
    """The two files of a release."""

    wheel: Path
    sdist: Path

    def read(self, name: str) -> bytes:
        """A file of the wheel's `.dist-info`."""
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read(INFO + name)


def build(sources: Path, target: Path, **environment: str) -> Built:
    """Both files, in another process, as a build frontend makes them without isolation."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=sources,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    return built_in(target)


def built_in(folder: Path) -> Built:
    return Built(
        folder / f"otpverify-{VERSION}-py3-none-any.whl", folder / f"otpverify-{VERSION}.tar.gz"
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if folder := os.environ.get("OTPVERIFY_TEST_DIST"):  # the files that will be released
        return built_in(Path(folder))
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    return message_from_bytes(built.read("METADATA"))


def sources(*folders: str) -> Iterator[str]:
    """The files that belong to the project: what git knows, or in an sdist, all."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", *folders],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        yield from filter(None, listed.stdout.split("\0"))
        return
    for folder in folders:
        found = [path for path in (ROOT / folder).rglob("*") if path.is_file()] or [ROOT / folder]
        yield from (
            str(path.relative_to(ROOT))
            for path in found
            if "__pycache__" not in path.parts and path.suffix != ".pyc"
        )


def needed() -> dict[Requirement, set[str]]:
    """Each requirement of the project, and the extras that have it; "" is the project itself. An
    extra that takes in another one has its requirements."""
    project = PROJECT["project"]
    groups: dict[str, list[str]] = {"": project["dependencies"], **project["optional-dependencies"]}
    found: dict[Requirement, set[str]] = {}

    def add(lines: list[str], extra: str) -> None:
        for requirement in map(Requirement, lines):
            if requirement.name == project["name"]:
                for other in requirement.extras:
                    add(groups[other], extra)
            else:
                found.setdefault(requirement, set()).add(extra)

    for extra, lines in groups.items():
        add(lines, extra)
    return found


# What is in them.


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()

    package = {name for name in names if not name.startswith(INFO)}

    assert package == set(sources("otpverify"))
    assert {name.removeprefix(INFO) for name in names if name.startswith(INFO)} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "sboms/otpverify.cdx.json",
    }
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "suffix", [".mo", ".lua", ".css", ".js", ".html", ".svg", ".json", ".typed"]
)
def test_the_wheel_holds_what_is_not_python(built: Built, suffix: str) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        assert any(name.endswith(suffix) for name in archive.namelist())


def test_the_sdist_holds_what_its_tests_need(built: Built) -> None:
    top = f"otpverify-{VERSION}/"
    included = [
        path.removeprefix("/")
        for path in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    ]
    with tarfile.open(built.sdist) as archive:
        names = {member.name.removeprefix(top) for member in archive if member.isfile()}

    assert names == {
        *sources(*included),
        *(".gitignore", "PKG-INFO", "hatch_build.py", "pyproject.toml"),
    }


def test_files_are_readable_by_all_and_owned_by_nobody(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        modes = {info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()

    assert modes == {0o644}
    assert {member.mode & 0o777 for member in members} <= {0o644, 0o755}
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}


# What they say of themselves.


def test_metadata_are_those_of_the_project(metadata: Message) -> None:
    project = PROJECT["project"]

    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == VERSION
    assert metadata["Summary"] == project["description"]
    assert metadata["License-Expression"] == project["license"]
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["Keywords"].split(",") == sorted(project["keywords"])
    assert set(metadata.get_all("Classifier", [])) == set(project["classifiers"])
    assert metadata["Author"] == "The otpverify contributors"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).startswith("# otpverify")


def test_metadata_name_no_address_that_the_project_does_not_have(metadata: Message) -> None:
    urls = PROJECT["project"].get("urls", {})

    assert metadata.get_all("Project-URL", []) == [f"{key}, {url}" for key, url in urls.items()]
    assert metadata["Author-email"] is None


def test_metadata_have_the_requirements_of_each_extra(metadata: Message) -> None:
    found = {Requirement(line) for line in metadata.get_all("Requires-Dist", [])}

    assert found == {
        Requirement(f"{one}; extra == '{extra}'" if extra else str(one))
        for one, extras in needed().items()
        for extra in extras
    }
    assert set(metadata.get_all("Provides-Extra", [])) == set(
        PROJECT["project"]["optional-dependencies"]
    )


def test_classifiers_say_which_pythons_and_that_there_are_types(metadata: Message) -> None:
    classifiers = metadata.get_all("Classifier", [])
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    pythons = [one for one in classifiers if re.search(r"Python :: 3\.\d+$", one)]

    assert pythons[0].endswith(lowest)
    assert "Typing :: Typed" in classifiers
    for framework in ("Django", "FastAPI", "Flask"):
        assert f"Framework :: {framework}" in classifiers


def test_entry_points_are_the_command_and_the_pytest_plugin(built: Built) -> None:
    assert built.read("entry_points.txt").decode().split() == [
        *("[console_scripts]", "otpverify", "=", "otpverify.cli.main:main"),
        *("[pytest11]", "otpverify", "=", "otpverify.testing.plugin"),
    ]


# The software bill of materials.


@pytest.fixture(scope="module")
def sbom(built: Built) -> dict[str, Any]:
    document: dict[str, Any] = loads(built.read("sboms/otpverify.cdx.json"))
    return document


def test_the_sbom_is_valid_cyclonedx(built: Built) -> None:
    text = built.read("sboms/otpverify.cdx.json").decode()

    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None


def test_the_sbom_is_of_this_version(sbom: dict[str, Any]) -> None:
    component = sbom["metadata"]["component"]

    assert component["purl"] == f"pkg:pypi/otpverify@{VERSION}"
    assert component["licenses"] == [{"license": {"id": PROJECT["project"]["license"]}}]


def test_the_sbom_has_each_requirement_with_its_range_and_extras(sbom: dict[str, Any]) -> None:
    packages = {one["bom-ref"]: one for one in sbom["components"] if one.get("isExternal")}

    assert packages.keys() == set(map(str, needed()))
    for requirement, extras in needed().items():
        found = packages[str(requirement)]
        assert {one["value"] for one in found.get("properties", [])} == extras - {""}
        assert found["scope"] == ("required" if "" in extras else "optional")
        assert found["versionRange"] == f"vers:pypi/{requirement.specifier}"


def test_the_sbom_names_what_data_in_the_package_were_made_from(
    sbom: dict[str, Any], built: Built
) -> None:
    made = {
        one["name"]: one["pedigree"]["ancestors"][0]
        for one in sbom["components"]
        if "pedigree" in one
    }
    plans = loads((ROOT / "otpverify/integrations/web/assets/otpverify-countries.json").read_text())

    assert (
        made["otpverify/integrations/web/assets/otpverify-countries.json"]["version"]
        == plans["version"]
    )
    with zipfile.ZipFile(built.wheel) as archive:
        assert made.keys() <= set(archive.namelist())


# Rebuilt elsewhere.


@long_form
def test_two_builds_have_the_same_bytes(built: Built, tmp_path: Path) -> None:
    surroundings = [
        (0o022, 1_000_000_000, {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
        (0o077, 1_700_000_000, {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "2"}),
    ]
    for number, (umask, changed, environment) in enumerate(surroundings):
        folder = tmp_path / ("a" if number else "another/and/deeper")
        previous = os.umask(umask)
        try:
            with tarfile.open(built.sdist) as archive:
                archive.extractall(folder, filter="data")
            unpacked = folder / f"otpverify-{VERSION}"
            for path in unpacked.rglob("*"):
                os.utime(path, (changed, changed))
                if path.is_file():
                    path.chmod(0o666 & ~umask)
            again = build(unpacked, tmp_path / f"dist{number}", **environment)
        finally:
            os.umask(previous)

        assert again.wheel.read_bytes() == built.wheel.read_bytes()
        assert again.sdist.read_bytes() == built.sdist.read_bytes()


# Whether they can be released.


def test_a_release_needs_its_tag_its_day_and_nothing_uncommitted() -> None:
    files = {f"otpverify-{VERSION}-py3-none-any.whl", f"otpverify-{VERSION}.tar.gz"}
    heading = f"{VERSION} (2026-12-24)"

    assert release.faults(f"v{VERSION}", heading, "", files) == []
    assert release.faults("", f"{VERSION} (unreleased)", " M README.md", files) == []
    for tag, title, changed, present in [
        ("v9.9.9", heading, "", files),
        (f"v{VERSION}", f"{VERSION} (unreleased)", "", files),
        (f"v{VERSION}", heading, " M README.md", files),
        (f"v{VERSION}", heading, "", {*files, "otpverify-0.0.1.tar.gz"}),
        ("", "9.9.9 (unreleased)", "", files),
    ]:
        assert len(release.faults(tag, title, changed, present)) == 1


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert re.fullmatch(rf"{re.escape(VERSION)} \((unreleased|\d{{4}}-\d\d-\d\d)\)", headings[0])
