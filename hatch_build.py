"""Put a software bill of materials (SBOM) into the wheel, where PEP 770 has it.

It is CycloneDX 1.7, made from the package's metadata at each build, so that it cannot differ from
them: the package, the packages that it and its extras need (from outside the wheel, with the
versions that they may have), and the data inside that were made from data of others. Two builds of
one version have the same bytes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_COUNTRIES = "otpverify/integrations/web/assets/otpverify-countries.json"
_PRICES = "otpverify/gateways/smspm/prices.json"
_LANGUAGES = "otpverify/integrations/web/languages.py"


class SbomHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling is not installed for linters
    """Adds `otpverify.cdx.json` to the wheel's `.dist-info/sboms`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See `BuildHookInterface`."""
        del version
        core = self.metadata.core
        text = sbom(
            name=core.name,
            version=self.metadata.version,
            license_id=core.license_expression,
            needed=core.dependencies,
            extras=core.optional_dependencies,
            root=Path(self.root),
        )
        self._folder = Path(tempfile.mkdtemp())
        path = self._folder / f"{core.name}.cdx.json"
        path.write_text(text, "utf-8")
        build_data["sbom_files"].append(str(path))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """See `BuildHookInterface`."""
        del version, build_data, artifact_path
        shutil.rmtree(self._folder)


def sbom(
    *,
    name: str,
    version: str,
    license_id: str,
    needed: list[str],
    extras: dict[str, list[str]],
    root: Path,
) -> str:
    """The document, as text.

    Args:
        name, version, license_id: The package's.
        needed: The requirements of the package itself, as PEP 508 has them.
        extras: The requirements of each extra.
        root: The folder of the sources.
    """
    purl = f"pkg:pypi/{name}@{version}"
    packages = _packages(name, needed, extras)
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": license_id}}],
                "purl": purl,
            },
        },
        "components": [*packages, *_data(root)],
        "dependencies": [
            {"ref": purl, "dependsOn": [one["bom-ref"] for one in packages]},
            *({"ref": one["bom-ref"]} for one in packages),
        ],
    }
    # Named by its content: the same document has the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{number}"
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _packages(name: str, needed: list[str], extras: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What must be installed beside the package: by it, or by some of its extras."""
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for extra, lines in [("", needed), *sorted(extras.items())]:
        for line in sorted(lines):
            requirement = Requirement(line)
            if canonicalize_name(requirement.name) != name:  # one extra may take in another
                found.setdefault(str(requirement), (requirement, []))[1].append(extra)
    return [_package(*found[key]) for key in sorted(found)]


def _package(requirement: Requirement, extras: list[str]) -> dict[str, Any]:
    name = canonicalize_name(requirement.name)
    allowed = sorted(str(one) for one in requirement.specifier)
    properties = [{"name": "otpverify:extra", "value": extra} for extra in extras if extra]
    return {
        "type": "library",
        "bom-ref": str(requirement),
        "name": name,
        "purl": f"pkg:pypi/{name}",
        "isExternal": True,
        "versionRange": f"vers:pypi/{'|'.join(allowed) or '*'}",
        "scope": "required" if "" in extras else "optional",
        **({"properties": properties} if properties else {}),
    }


def _data(root: Path) -> list[dict[str, Any]]:
    """Files in the package that were made from data of others."""
    plans = json.loads((root / _COUNTRIES).read_text("utf-8"))["version"]
    prices = json.loads((root / _PRICES).read_text("utf-8"))["date"]
    phonenumbers = {
        "type": "library",
        "name": "phonenumbers",
        "version": plans,
        "purl": f"pkg:pypi/phonenumbers@{plans}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    cldr = {
        "type": "data",
        "name": "Unicode CLDR",
        "licenses": [{"license": {"id": "Unicode-3.0"}}],
    }
    price_list = {"type": "data", "name": "SMSPM price list", "version": prices}
    return [
        _made_from(_COUNTRIES, phonenumbers, "Numbering plans, from the metadata of phonenumbers."),
        _made_from(_PRICES, price_list, "The gateway's published prices."),
        _made_from(_LANGUAGES, cldr, "Digits and numeric dates of some languages."),
    ]


def _made_from(path: str, ancestor: dict[str, Any], notes: str) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": path,
        "name": path,
        "pedigree": {"ancestors": [ancestor], "notes": notes},
    }
