"""What is inside the shipped files and under which terms: a list of notices, and a CycloneDX bill."""

import hashlib
import json
import re
import subprocess
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

LICENCE_FILE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)


@dataclass
class Part:
    """Something by others that is inside the shipped files."""

    name: str
    version: str
    licence: str
    """An SPDX expression."""
    kind: str
    """The type of its package URL: `cargo`, `deb`, `pypi`, `generic`."""
    source: str
    """Where it comes from."""
    texts: list[str] = field(default_factory=list)
    sha256: str | None = None
    """Of the archive that it was built from."""
    needs: list[str] = field(default_factory=list)
    """`key` of each part that this one is linked with."""

    @property
    def key(self) -> str:
        return f"{self.name} {self.version}"


def metadata(features: Iterable[str]) -> dict:
    """What cargo knows of the crates for this machine's kind, with these features of ours."""
    host = re.search(r"host: (\S+)", run("rustc", "-vV"))[1]
    chosen = ("--no-default-features", "--features", ",".join(features))
    said = run("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", host, *chosen)
    return json.loads(said)


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates(known: dict) -> Iterator[Part]:
    """Every crate that is linked: no build tools, no macros, not our own."""
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    root = known["resolve"]["root"]
    checksums = {
        (package["name"], package["version"]): package.get("checksum")
        for package in tomllib.loads(Path("Cargo.lock").read_text())["package"]
    }

    def linked(crate: str) -> list[str]:
        normal = (
            dependency["pkg"]
            for dependency in nodes[crate]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        )
        return [pkg for pkg in normal if not is_macro(packages[pkg])]

    seen, waiting = set(), [root]
    while waiting:
        crate = waiting.pop()
        if crate not in seen:
            seen.add(crate)
            waiting += linked(crate)
    crates = [packages[crate] for crate in seen - {root}]
    for package in sorted(crates, key=lambda package: (package["name"], package["version"])):
        yield Part(
            package["name"],
            package["version"],
            # Before SPDX expressions, a slash stood for "or".
            (package["license"] or "").replace(" / ", "/").replace("/", " OR "),
            "cargo",
            package["repository"] or f"https://crates.io/crates/{package['name']}",
            licence_texts(package, packages.values()),
            checksums[package["name"], package["version"]],
            [f"{packages[other]['name']} {packages[other]['version']}" for other in linked(package["id"])],
        )


def is_macro(package: dict) -> bool:
    """Whether a crate runs in the compiler and leaves nothing of itself."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def licence_texts(package: dict, packages: Iterable[dict]) -> list[str]:
    """The licence files of a crate; where it comes without, of one of the same repository or author."""

    def texts(of: dict) -> list[str]:
        files = sorted(Path(of["manifest_path"]).parent.iterdir())
        files = [file for file in files if LICENCE_FILE.match(file.name) and file.is_file()]
        return [file.read_text(errors="replace") for file in files]

    def akin(other: dict) -> bool:
        near = other["repository"] == package["repository"] or set(other["authors"]) & set(package["authors"])
        return bool(near) and other["license"] == package["license"]

    for other in (package, *filter(akin, packages)):
        if found := texts(other):
            return found
    crate = f"{package['name']} {package['version']}"
    raise SystemExit(f"{crate}: wanted a licence file, got none in it or in a crate akin")


def third_party(parts: Iterable[Part]) -> str:
    """Every part with its terms, then each licence text once with the parts that it is from."""
    parts = list(parts)
    users: dict[str, list[str]] = {}
    for part in parts:
        for text in part.texts:
            users.setdefault(text.strip().replace("\r\n", "\n"), []).append(part.key)
    lines = ["What fleming is built from, and under which terms", ""]
    lines += [f"{part.key}: {part.licence}\n    {part.source}" for part in parts]
    for text, keys in users.items():
        lines += ["", "=" * 100, *wrapped(keys), "=" * 100, "", text]
    return "\n".join(lines) + "\n"


def wrapped(words: list[str]) -> list[str]:
    """The words with commas between, in lines of up to 100 letters."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 98:
            lines.append("")
        lines[-1] += f"{word}, "
    lines[-1] = lines[-1].removesuffix(", ")
    return [line.rstrip() for line in lines]


def bill_of_materials(own: dict, parts: Iterable[Part], when: int) -> str:
    """CycloneDX 1.6 as JSON, valid under its schema, the same for the same input."""
    licences = LicenseFactory()
    product = Component(
        name=own["name"],
        version=own["version"],
        type=ComponentType.LIBRARY,
        bom_ref=own["name"],
        licenses=[licences.make_with_expression(own["license"])],
    )
    components, needs = {}, {}
    for part in parts:
        purl = PackageURL(part.kind, name=part.name, version=part.version)
        components[part.key] = Component(
            name=part.name,
            version=part.version,
            type=ComponentType.LIBRARY,
            bom_ref=purl.to_string(),
            purl=purl,
            licenses=[licences.make_with_expression(part.licence)],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
        )
        needs[part.key] = part.needs
    bom = Bom(components=components.values())
    bom.metadata.component = product
    bom.metadata.timestamp = datetime.fromtimestamp(when, UTC)
    bom.register_dependency(product, components.values())
    for key, component in components.items():
        bom.register_dependency(component, [components[need] for need in needs[key]])
    digest = hashlib.sha256("".join(sorted(components)).encode()).hexdigest()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{own['name']} {own['version']} {when} {digest}")
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if fault := JsonStrictValidator(JsonV1Dot6(bom).schema_version).validate_str(text):
        raise SystemExit(f"the bill of materials is not valid CycloneDX: {fault}")
    return text
