"""Every recorded case of the reference through the command line, stage by stage.

Goldens are read from the folder that FLEMING_REFERENCE names; `prepare.py` has made the packages: of every
target one in float32, which the CPU provider runs whatever its graphs are for. Tolerances are those of
ARCHITECTURE.md: the same pixels and ids, embeddings within 1e-5, logits within 1e-3, and the same greedy ids
as long as the reference is sure of them.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from prepare import TARGETS

from program import FLEMING, ROOT

MADE = ROOT / "target" / "reference"

EMBEDDING_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-3


def recorded() -> list[Path]:
    """The golden files, each named CHECKPOINT/CASE.json."""
    reference = os.environ.get("FLEMING_REFERENCE")
    if reference is None:
        return []
    return sorted(Path(reference).glob("goldens/*/*.json"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, target: str, tmp_path: Path) -> None:
    golden = json.loads(path.read_text())
    case = golden["case"]
    arguments = command(case, MADE / "packages" / target / path.parent.name, tmp_path)
    result = subprocess.run([FLEMING, *map(str, arguments)], check=False, capture_output=True, text=True)
    if is_more_general(golden):
        assert result.returncode == 0, result.stderr
        return
    if golden.get("error"):
        assert result.returncode == 2, result.stderr
        # What a header gives away is refused before the package is loaded, which says what memory it takes.
        *memory, error = result.stderr.splitlines()
        assert all(line.startswith("memory: ") for line in memory) and len(memory) <= 1
        assert error.startswith("error: ")
        assert result.stdout == ""
        return
    assert result.returncode == 0, result.stderr
    compare(golden, arrays(path), json.loads(result.stdout), tmp_path / "trace")


def is_more_general(golden: dict) -> bool:
    """Whether the script refuses a volume for its size: it reads 32 x 256 x 256, the runtime any size."""
    error, shape = golden.get("error") or {}, golden.get("npy", {}).get("shape", [])
    volume = len(shape) == 3 or (len(shape) == 4 and shape[0] == 1)
    return volume and 0 not in shape and error.get("message", "").startswith("shape ")


KNOWN = {
    "name", "mode", "image", "images", "video", "npy", "question", "raw_question", "prompt", "history",
    "system", "max_new_tokens", "ignore_eos", "num_segments", "video_duration", "bound", "max_num",
    "use_thumbnail",
}  # fmt: skip


def command(case: dict, package: Path, scratch: Path) -> list[object]:
    """The command line that asks what the case asked of the reference's functions."""
    assert case.keys() <= KNOWN, "a case asks for something that this test does not know"
    assert case.get("use_thumbnail", True), "the command line has no option for tiles without a thumbnail"
    arguments = [
        "ask",
        "--model",
        package,
        "--json",
        "--preprocessing",
        "reference",
        "--trace",
        scratch / "trace",
    ]
    arguments += [
        "--question",
        case["question"],
        "--max-new-tokens",
        case["max_new_tokens"],
    ]
    arguments += ["--prompt", prompt(case, scratch)]
    for name in case.get("images", []) + [case[key] for key in ("image",) if key in case]:
        arguments += ["--image", MADE / "inputs" / name]
    if "video" in case:
        arguments += ["--video", MADE / "inputs" / case["video"], *sampling(case)]
    if "npy" in case:
        arguments += ["--volume", MADE / "inputs" / case["npy"]]
    if "max_num" in case:
        arguments += ["--max-tiles", case["max_num"]]
    if "history" in case:
        (scratch / "history.json").write_text(json.dumps(case["history"]))
        arguments += ["--history", scratch / "history.json"]
    if case.get("system") is not None:
        arguments += ["--system", case["system"]]
    if case.get("ignore_eos"):
        arguments += ["--ignore-eos"]
    return arguments


def prompt(case: dict, scratch: Path) -> str:
    # Only the script's own three functions put an instruction before the question.
    text = case.get("prompt", "reasoning" if case["mode"] in ("image", "video", "npy") else None)
    if text in (None, "reasoning"):
        return "direct" if text is None else text
    (scratch / "prompt.txt").write_text(text)
    return f"@{scratch / 'prompt.txt'}"


def sampling(case: dict) -> list[object]:
    options: list[object] = []
    if "video_duration" in case:
        options += ["--seconds", case["video_duration"]]
    else:
        options += ["--frames", case.get("num_segments", 32)]
    if case.get("bound"):
        options += ["--start", case["bound"][0], "--end", case["bound"][1]]
    return options


def arrays(path: Path) -> dict[str, np.ndarray]:
    stored = path.with_suffix(".npz")
    return dict(np.load(stored)) if stored.exists() else {}


def compare(golden: dict, stored: dict[str, np.ndarray], reply: dict, folder: Path) -> None:
    trace = json.loads((folder / "trace.json").read_text())
    assert trace["prompt"] == golden["query_tagged"]
    compare_frames(golden, trace)
    compare_pixels(golden, stored, trace, folder)
    ids = np.load(folder / "input_ids.npy")
    assert len(ids) == golden["input_ids"]["n"]
    assert hashlib.sha256(ids.astype("<i4").tobytes()).hexdigest() == golden["input_ids"]["sha256_i32"]
    compare_embeddings(stored, np.load(folder / "image_embeds.npy"))
    logits = np.load(folder / "first_logits.npy")
    top = golden["first_logits"]
    np.testing.assert_allclose(logits[top["top50_ids"]], top["top50"], atol=LOGIT_TOLERANCE, rtol=0)
    if "first_logits_every_499" in stored:
        np.testing.assert_allclose(
            logits[::499],
            stored["first_logits_every_499"],
            atol=LOGIT_TOLERANCE,
            rtol=0,
        )
    compare_reply(golden["generated"], reply)


def compare_frames(golden: dict, trace: dict) -> None:
    if "video" in golden:
        assert trace["frame_indices"] == golden["video"]["frame_indices"]
    if "npy" in golden:
        assert trace["slice_indices"] == golden["npy"]["indices"]
    if "tiling" in golden:
        assert trace["tiles"] == [golden["tiling"]["n_tiles"]]


def compare_pixels(golden: dict, stored: dict[str, np.ndarray], trace: dict, folder: Path) -> None:
    if not golden.get("pixel_values"):
        return
    pixels = np.load(folder / "pixel_values.npy")
    wanted = golden["pixel_values"]
    assert list(pixels.shape) == wanted["shape"]
    assert trace["sha256"]["pixels_u8"] == wanted["sha256_u8_nchw"]
    if "sha256_f32" in wanted:
        assert hashlib.sha256(pixels.astype("<f4").tobytes()).hexdigest() == wanted["sha256_f32"]


def compare_embeddings(stored: dict[str, np.ndarray], embeddings: np.ndarray) -> None:
    if "image_embeds" in stored:
        np.testing.assert_allclose(embeddings, stored["image_embeds"], atol=EMBEDDING_TOLERANCE, rtol=0)
    if "image_embeds_rows" in stored:
        rows = stored["image_embeds_rows"]
        wanted = embeddings[: len(rows)][:, stored["image_embeds_row_index"]]
        np.testing.assert_allclose(wanted, rows, atol=EMBEDDING_TOLERANCE, rtol=0)


def compare_reply(wanted: dict, reply: dict) -> None:
    unsure = [step for step, margin in enumerate(wanted["margin"]) if margin < 2 * LOGIT_TOLERANCE]
    sure = unsure[0] if unsure else len(wanted["ids"])
    assert reply["completion_ids"][:sure] == wanted["ids"][:sure]
    if reply["completion_ids"] == wanted["ids"]:
        assert reply["text"] == wanted["text"]
        assert reply["finish"] == wanted["finish"]
