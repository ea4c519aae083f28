"""The layout of transformers' own class is the same function, and makes the same package to the byte."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from checkpoints import edit_json, read_tensors, write_tensors
from native import as_native, native_tensors

from fleming_export import ExportError, export, make_recipe
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

KINDS = [("tiny", False), ("tiny", True), ("tiny-38b", False)]
FILES = ("vision.onnx", "vision.onnx.data", "decoder.onnx", "decoder.onnx.data", "tokenizer.json")


@pytest.fixture(scope="module", params=KINDS, ids=str)
def original(request, tmp_path_factory):
    size, tied = request.param
    folder = tmp_path_factory.mktemp("original") / "checkpoint"
    write_checkpoint(size, folder, Options(patch_size=28, tied=tied))
    return folder


@pytest.fixture(params=[4, 5], ids=["transformers 4", "transformers 5"])
def native(request, plain, tmp_path):
    return as_native(plain, tmp_path / "native", request.param)


def same(one, other) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    manifests = [json.loads((folder / "fleming.json").read_text()) for folder in (one, other)]
    for manifest in manifests:
        for key in ("name", "source"):
            manifest.pop(key)
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("target", ["cpu f32", "cpu int4", "cuda f16", "tensorrt bf16"])
def test_the_same_package(original, tmp_path, version, target):
    recipe = make_recipe(*target.split())
    wanted = export(str(original), tmp_path / "wanted", recipe=recipe)
    native = as_native(original, tmp_path / "native", version)
    same(export(str(native), tmp_path / "got", recipe=recipe), wanted)


def test_other_precisions_from_its_f32_package(native, tmp_path):
    recipe = make_recipe("cpu", "int8")
    f32 = export(str(native), tmp_path / "f32")
    same(
        export(str(f32), tmp_path / "again", recipe=recipe),
        export(str(native), tmp_path / "int8", recipe=recipe),
    )


def test_names_of_a_model_in_memory(native, plain, tmp_path):
    """Saved past the library, by a trainer: ``model.`` in front, and the head beside it."""
    tensors = read_tensors(native)
    renamed = {}
    for name, values in tensors.items():
        plain_name = name.replace("language_model.model.", "language_model.")
        renamed[f"model.{plain_name}" if "lm_head" not in name else "lm_head.weight"] = values
    write_tensors(native, renamed)
    same(export(str(native), tmp_path / "got"), export(str(plain), tmp_path / "wanted"))


@pytest.mark.parametrize("prefix", ["module.", "model.", "base_model.model.", "_orig_mod.module."])
@pytest.mark.parametrize("layout", [dict, native_tensors], ids=["original", "native"])
def test_prefixes_of_wrappers(plain, damaged, caplog, prefix, layout):
    tensors = layout(read_tensors(damaged))
    write_tensors(damaged, {f"{prefix}{name}": values for name, values in tensors.items()})
    got, wanted = (folder.parent / f"{folder.name}-package" for folder in (damaged, plain))
    same(export(str(damaged), got), export(str(plain), wanted, force=True))
    assert "prefix is left off" in caplog.text or prefix == "model."


def test_a_prefix_of_some_is_named(damaged, tmp_path):
    tensors = read_tensors(damaged)
    tensors["module.mlp1.1.bias"] = tensors.pop("mlp1.1.bias")
    write_tensors(damaged, tensors)
    with pytest.raises(ExportError, match=r"mlp1\.1\.bias.*module\.mlp1\.1\.bias"):
        export(str(damaged), tmp_path / "package")


REFUSED = [
    ("text_config.model_type", "llama"),
    ("text_config.model_type", "qwen3"),
    ("text_config.hidden_act", "gelu"),
    ("vision_config.use_mean_pooling", False),
    ("vision_config.use_absolute_position_embeddings", False),
    ("vision_config.patch_size", [28, 14]),
    ("vision_config.norm_type", "batch_norm"),
    ("vision_config.hidden_act", "gelu_new"),
    ("vision_feature_layer", -2),
    ("vision_feature_select_strategy", "full"),
    ("projector_hidden_act", "relu"),
    ("image_seq_length", 256),
    ("image_token_id", 5),
    ("downsample_ratio", 0.25),
    ("llm_config", {"architectures": ["Qwen2ForCausalLM"]}),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_refused(native, tmp_path, key, value):
    edit_json(native / "config.json", key, value)
    with pytest.raises(ExportError) as caught:
        export(str(native), tmp_path / "package")
    assert "config.json." in caught.value.thing
    assert not (tmp_path / "package").exists()


def test_architectures_edited_by_hand(native, plain, tmp_path):
    """People write the original class into a native config.json; its keys say what it is."""
    edit_json(native / "config.json", "architectures", ["InternVLChatModel"])
    same(export(str(native), tmp_path / "got"), export(str(plain), tmp_path / "wanted"))


def test_norms_that_a_converter_lost_are_missed(tmp_path):
    """Upstream's converter leaves the tower's q and k norms out of a 38B."""
    write_checkpoint("tiny-38b", tmp_path / "checkpoint", Options(patch_size=28))
    native = as_native(tmp_path / "checkpoint", tmp_path / "native", 4)
    tensors = {
        name: values for name, values in read_tensors(native).items() if "attention.q_norm" not in name
    }
    write_tensors(native, tensors)
    with pytest.raises(ExportError, match=r"q_norm\.weight: wanted a tensor"):
        export(str(native), tmp_path / "package")


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_incomplete_queries_keys_and_values(native, tmp_path, change):
    tensors = read_tensors(native)
    name = "vision_tower.encoder.layer.1.attention.k_proj.weight"
    values = tensors.pop(name)
    if change == "shape":
        tensors[name] = values[:-1]
    write_tensors(native, tensors)
    with pytest.raises(ExportError, match="k_proj"):
        export(str(native), tmp_path / "package")


def test_two_names_for_one_tensor(native, tmp_path):
    tensors = read_tensors(native)
    tensors["mlp1.1.bias"] = tensors["multi_modal_projector.linear_1.bias"]
    write_tensors(native, tensors)
    with pytest.raises(ExportError, match=r"one tensor for mlp1\.1\.bias"):
        export(str(native), tmp_path / "package")


def test_tiling_of_the_processor(native, tmp_path):
    joint = json.loads((native / "processor_config.json").read_text())
    name, key = ("processor_config.json", "image_processor.max_patches")
    if "image_processor" not in joint:
        name, key = "preprocessor_config.json", "max_patches"
    edit_json(native / name, key, 6)
    manifest = json.loads((export(str(native), tmp_path / "package") / "fleming.json").read_text())
    assert manifest["vision"]["tiling"] == {"min_tiles": 1, "max_tiles": 6, "thumbnail": True}
    again = export(str(tmp_path / "package"), tmp_path / "again", recipe=make_recipe("cpu", "int8"))
    assert json.loads((again / "fleming.json").read_text())["vision"] == manifest["vision"]


def test_a_video_processor_that_says_otherwise(native, tmp_path):
    joint = json.loads((native / "processor_config.json").read_text())
    name, key = ("processor_config.json", "video_processor.image_mean")
    if "video_processor" not in joint:
        name, key = "video_preprocessor_config.json", "image_mean"
    edit_json(native / name, key, [0.5, 0.5, 0.5])
    with pytest.raises(ExportError, match="mean and deviation"):
        export(str(native), tmp_path / "package")


def test_two_processors_that_disagree(native, tmp_path):
    joint = json.loads((native / "processor_config.json").read_text())
    image = joint.get("image_processor") or json.loads((native / "preprocessor_config.json").read_text())
    (native / "preprocessor_config.json").write_text(json.dumps(image))
    (native / "processor_config.json").write_text(
        json.dumps({**joint, "image_processor": {**image, "max_patches": 6}})
    )
    with pytest.raises(ExportError, match="remove the stale one"):
        export(str(native), tmp_path / "package")


def test_a_token_that_has_no_row_is_plain_text(native, plain, tmp_path, caplog):
    package = export(str(native), tmp_path / "package")
    assert "no row for <video>" in caplog.text
    assert "<video>" not in (package / "tokenizer.json").read_text()
    # with a row it is a token
    tensors = read_tensors(native)
    for name in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        tensors[name] = np.concatenate([tensors[name], tensors[name][:1]])
    write_tensors(native, tensors)
    package = export(str(native), tmp_path / "more")
    assert "<video>" in (package / "tokenizer.json").read_text()


def test_a_folder_without_a_processor(plain, tmp_path, caplog):
    """As upstream's trainer leaves it."""
    folder = shutil.copytree(plain, tmp_path / "checkpoint")
    (folder / "preprocessor_config.json").unlink()
    same(export(str(folder), tmp_path / "got"), export(str(plain), tmp_path / "wanted"))
    assert "the family's is taken" in caplog.text
