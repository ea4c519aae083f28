"""An f32 package is as good as the checkpoint that it was made from."""

from __future__ import annotations

import shutil

import pytest
from checkpoints import edit_json

from fleming_export import ExportError, export, make_recipe


@pytest.mark.parametrize("precision", ["f32", "int4"])
def test_the_same_package_comes_of_a_package(exported, tmp_path, precision):
    recipe = make_recipe("cpu", precision)
    wanted = export(str(exported.checkpoint), tmp_path / "wanted", recipe=recipe)
    got = export(str(exported.package), tmp_path / "got", recipe=recipe)
    assert {path.name for path in got.iterdir()} == {path.name for path in wanted.iterdir()}
    for path in wanted.iterdir():
        assert (got / path.name).read_bytes() == path.read_bytes(), path.name


def test_other_packages_are_no_checkpoints(tiny, tmp_path):
    small = export(str(tiny.checkpoint), tmp_path / "small", recipe=make_recipe("cpu", "int8"))
    with pytest.raises(ExportError, match="int8 for cpu"):
        export(str(small), tmp_path / "package")


@pytest.mark.parametrize("damage", ["short", "other"])
def test_damaged_packages(tiny, tmp_path, damage):
    package = shutil.copytree(tiny.package, tmp_path / "damaged")
    if damage == "short":
        data = package / "decoder.onnx.data"
        data.write_bytes(data.read_bytes()[:-4096])
    else:
        edit_json(package / "fleming.json", "source.config.llm_config.intermediate_size", 256)
    with pytest.raises(ExportError, match=r"decoder\.onnx"):
        export(str(package), tmp_path / "package")
