"""Small inputs of every kind through the command line: the pixels of Pillow, decord, NumPy and transformers.

`make_pixels.py` recorded them; the inputs are drawn again here.
"""

import json
import subprocess
from pathlib import Path

import pytest
from draw import draw
from make_pixels import RECORD, find

from program import FLEMING, SYNTHETIC

MODALITIES = {".npy": "volume", ".mp4": "video", ".webm": "video", ".avi": "video"}
CASES = json.loads(RECORD.read_text())["cases"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    draw(folder)
    return folder


def name(case: dict) -> str:
    return " ".join([case["file"], *(f"{option}={value}" for option, value in case["options"].items())])


@pytest.mark.parametrize("case", CASES, ids=name)
def test_pixels(case: dict, inputs: Path, tmp_path: Path) -> None:
    path = find(inputs, case["file"])
    modality = MODALITIES.get(path.suffix, "image")
    options = {"model": SYNTHETIC, "trace": tmp_path, modality: path, **case["options"]}
    command = [FLEMING, "ask", "--preprocessing", "reference", "--max-new-tokens", "1", "--question", "?"]
    command += [str(part) for option, value in options.items() for part in (f"--{option}", value)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    trace = json.loads((tmp_path / "trace.json").read_text())
    for digest, wanted in case["sha256"].items():
        assert trace["sha256"][digest] == wanted, digest
    if case["indices"] is not None:
        indices = {"video": "frame_indices", "volume": "slice_indices"}[modality]
        assert trace[indices] == case["indices"]
