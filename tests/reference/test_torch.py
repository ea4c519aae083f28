"""The synthetic package against what torch makes of its checkpoint.

`python -m fleming_export.parity goldens` wrote tests/golden/synthetic; see the README there.
"""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_reference import compare

from program import FLEMING, ROOT, SYNTHETIC

GOLDENS = ROOT / "tests" / "golden" / "synthetic"


@pytest.mark.parametrize("name", ["text", "image", "frames"])
def test_synthetic(name: str, tmp_path: Path) -> None:
    golden = json.loads((GOLDENS / f"{name}.json").read_text())
    command = [FLEMING, "ask", "--json", "--model", SYNTHETIC, "--trace", tmp_path, "--max-new-tokens", "32"]
    command += ["--prompt", "reasoning" if golden["reasoning"] else "direct", "--preprocessing", "reference"]
    command += ["--question", golden["question"]]
    for file in golden["files"]:
        command += ["--image", GOLDENS / file]
    result = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    compare(as_reference(golden), embeddings(golden), json.loads(result.stdout), tmp_path)


def test_checkpoint() -> None:
    """The package is of the checkpoint that the goldens are of; otherwise nothing else here could pass."""
    recorded = json.loads((GOLDENS / "checkpoint.json").read_text())
    source = json.loads((SYNTHETIC / "fleming.json").read_text())["source"]
    assert source["files"] == recorded


def as_reference(golden: dict) -> dict:
    """The same under the names that the reference gives it."""
    ids = np.array(golden["input_ids"], "<i4")
    pixels, generated = golden["pixels"], golden["generated"]
    return {
        "query_tagged": golden["prompt"],
        "input_ids": {"n": len(ids), "sha256_i32": hashlib.sha256(ids.tobytes()).hexdigest()},
        "pixel_values": {
            "shape": pixels["shape"],
            "sha256_u8_nchw": pixels["sha256_u8"],
            "sha256_f32": pixels["sha256_f32"],
        },
        "first_logits": {
            "top50_ids": golden["first_logits"]["ids"],
            "top50": golden["first_logits"]["values"],
        },
        "generated": {
            "ids": generated["ids"],
            "margin": generated["margin"],
            "text": generated["text"].strip(),
            "finish": "stop" if generated["stopped"] else "length",
        },
    }


def embeddings(golden: dict) -> dict[str, np.ndarray]:
    """Every n-th row of every picture."""
    if not golden["files"]:
        return {}
    stride = golden["image_embeds_row_stride"]
    rows = np.load(GOLDENS / f"{golden['case']}.image_embeds.npy")
    rows = rows.reshape(len(golden["files"]), -1, rows.shape[-1])
    return {"image_embeds_rows": rows, "image_embeds_row_index": stride * np.arange(rows.shape[1])}
