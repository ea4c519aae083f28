"""int8 and int4 packages of the demo model say what it says: the bars of the quality gate, on cases that
training could not draw."""

from pathlib import Path

import pytest
from fleming_export import export, make_recipe
from fleming_export.demo.cases import write_cases
from fleming_export.package import read_manifest
from fleming_export.quality import BARS, compare
from fleming_export.quality.sequences import Writer

from program import ROOT

MODEL = ROOT / "models" / "demo"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cases(tmp_path_factory.mktemp("cases"), 41, 5, ("image", "compare", "follow_up", "text"))


@pytest.mark.parametrize("precision", list(BARS))
def test_likeliest_tokens_are_the_same(precision: str, cases: Path, tmp_path: Path) -> None:
    package = export(str(MODEL), tmp_path / precision, recipe=make_recipe("cpu", precision))
    report = compare(package, MODEL, Writer(MODEL, read_manifest(MODEL)).cases(cases))
    assert min(part["positions"] for part in report["parts"].values()) > 200
    assert report["top1_agreement"] >= BARS[precision]
