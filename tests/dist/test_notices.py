"""What is shipped is known: every crate has its terms, and the bill of materials is one."""

import json
import sys
from pathlib import Path

import pytest
from program import ROOT

sys.path.insert(0, str(ROOT / "packaging"))

import notices  # noqa: E402


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_linked_crate_has_its_terms() -> None:
    parts = list(notices.crates(notices.metadata(["capi", "constrained", "jpeg-turbo", "video-static"])))
    names = {part.name for part in parts}
    assert {"ort", "llguidance", "ffmpeg-sys-next", "turbojpeg-sys"} <= names
    assert not {"clap", "proptest", "serde_derive", "cmake", "fleming"} & names
    assert all(part.licence and part.texts and part.sha256 for part in parts)
    text = notices.third_party(parts)
    assert all(f"{part.key}: {part.licence}" in text for part in parts)
    once = parts[0].texts[0].strip()
    assert text.count(once) == 1


def test_the_bill_names_each_part_once_and_what_it_needs() -> None:
    known = notices.metadata(["capi"])
    own = next(package for package in known["packages"] if package["id"] == known["resolve"]["root"])
    parts = list(notices.crates(known))
    text = notices.bill_of_materials(own, parts, 1_700_000_000)
    bill = json.loads(text)
    assert {part["purl"] for part in bill["components"]} == {
        f"pkg:cargo/{part.name}@{part.version}" for part in parts
    }
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    ort = next(ref for ref in needs if ref.startswith("pkg:cargo/ort@"))
    assert any(ref.startswith("pkg:cargo/ort-sys@") for ref in needs[ort])
    assert notices.bill_of_materials(own, parts, 1_700_000_000) == text


def test_a_crate_without_terms_is_refused(tmp_path: Path) -> None:
    bare = {
        "name": "bare",
        "version": "1.0.0",
        "license": "MIT",
        "repository": "https://example.org/bare",
        "authors": [],
        "manifest_path": str(tmp_path / "Cargo.toml"),
    }
    with pytest.raises(SystemExit, match=r"bare 1\.0\.0: wanted a licence file"):
        notices.licence_texts(bare, [bare])
