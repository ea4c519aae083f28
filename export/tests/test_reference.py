"""The graphs and the tokenizer against stored outputs of another implementation.

``FLEMING_REFERENCE`` is a folder with ``goldens/tiny-seed7`` and ``inputs``;
``FLEMING_REFERENCE_CHECKPOINT`` is the checkpoint they were made with. Without both the tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_graphs import EMBEDDING_TOLERANCE, LOGIT_TOLERANCE, session
from tokenizers import Tokenizer

from fleming_export import export

REFERENCE = os.environ.get("FLEMING_REFERENCE")
CHECKPOINT = os.environ.get("FLEMING_REFERENCE_CHECKPOINT")
pytestmark = pytest.mark.skipif(not (REFERENCE and CHECKPOINT), reason="no stored reference")
CASES = ["text_only", "image_test_png", "two_turn_image", "two_turn_text", "img_gray8_png", "img_rgb_420_jpg"]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    return export(CHECKPOINT, tmp_path_factory.mktemp("reference") / "package")


def pixels(path: Path, manifest: dict) -> np.ndarray:
    """[1, 3, S, S]: stretched with Pillow, then rescaled and normalised in float32."""
    size, constants = manifest["vision"]["image_size"], manifest["normalization"]
    image = np.asarray(Image.open(path).resize((size, size)).convert("RGB")).astype(np.float64)
    scaled = (image * constants["rescale"]).astype(np.float32)
    normalised = (scaled - np.array(constants["mean"], np.float32)) / np.array(constants["std"], np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))[None]


@pytest.mark.parametrize("case", CASES)
def test_case(package, case):
    folder = Path(REFERENCE) / "goldens/tiny-seed7"
    golden, arrays = json.loads((folder / f"{case}.json").read_text()), np.load(folder / f"{case}.npz")
    manifest = json.loads((package / "fleming.json").read_text())
    ids = arrays["input_ids"].astype(np.int64).reshape(1, -1)
    is_image = ids == manifest["tokens"]["image_context"]
    pieces = manifest["prompt"]
    block = pieces["image_start"] + pieces["image_context"] * 256 + pieces["image_end"]
    text = golden["query_tagged"].replace(pieces["placeholder"], block)
    tokenizer = Tokenizer.from_file(str(package / "tokenizer.json"))
    assert tokenizer.encode(text, add_special_tokens=False).ids == ids[0].tolist()

    rows = np.zeros((1, manifest["vision"]["hidden_size"]), np.float32)
    if is_image.any():
        tile = pixels(Path(REFERENCE) / "inputs" / golden["case"]["image"], manifest)
        assert hashlib.sha256(tile.tobytes()).hexdigest() == golden["pixel_values"]["sha256_f32"]
        embeds = session(package / "vision.onnx").run(None, {"pixel_values": tile})[0]
        stored = arrays["image_embeds"]
        assert np.abs(embeds.reshape(stored.shape) - stored).max() <= EMBEDDING_TOLERANCE
        rows = embeds[0]
    feeds = {
        "input_ids": ids,
        "image_embeds": rows,
        "splice": np.where(is_image, np.cumsum(is_image) - 1, -1),
        "seqlens_k": np.array([ids.shape[1] - 1], np.int32),
        "total_sequence_length": np.array(ids.shape[1], np.int32),
    }
    kv = manifest["kv"]
    empty = np.zeros((1, kv["heads"], ids.shape[1], kv["head_dim"]), np.float32)
    names = [tensor["name"] for tensor in manifest["graphs"]["decoder"]["inputs"]]
    feeds |= {name: empty for name in names if name.startswith("past_")}
    logits = session(package / "decoder.onnx").run(["logits"], feeds)[0][0]
    assert np.abs(logits[::499] - arrays["first_logits_every_499"]).max() <= LOGIT_TOLERANCE
    top = golden["first_logits"]
    assert np.abs(logits[top["top50_ids"]] - np.array(top["top50"])).max() <= LOGIT_TOLERANCE
    assert logits.argmax() == golden["generated"]["ids"][0]
