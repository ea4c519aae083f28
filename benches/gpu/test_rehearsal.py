"""The whole kit on a machine without a GPU: on the libraries of CUDA whose kernels do nothing (tests/cuda).

What it measures means nothing. That every step that needs a GPU, but neither torch nor TensorRT, comes to its
end does.
"""

import importlib.util
import json
import stat
from pathlib import Path

import kit
import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES, BINARY = ROOT / "target/cuda", ROOT / "target/debug/fleming"
RUNTIME = ROOT / ".venv/gpu/site/onnxruntime/capi"
#: Of every package; torch, for parity, is not installed where tests run.
DONE = ("export", "first-token", "bench", "graphs")


@pytest.fixture
def fleming(tmp_path):
    """The program with these libraries, whose memory is all zero."""
    if importlib.util.find_spec("torch"):
        pytest.skip("parity would be compared, and there is none")
    if not RUNTIME.exists():
        pytest.skip("ONNX Runtime's build for CUDA is for x86-64 alone")
    assert (LIBRARIES / "libcudart.so.13").exists() and BINARY.exists(), "`cargo test` makes them"
    (library,) = RUNTIME.glob("libonnxruntime.so.*")
    program = tmp_path / "fleming"
    settings = f"CUDA_ZEROS=1 LD_LIBRARY_PATH={LIBRARIES} ORT_DYLIB_PATH={library}"
    program.write_text(f'#!/bin/sh\n{settings} exec {BINARY} "$@"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_every_step_that_there_are_libraries_for(fleming, tmp_path):
    shape = ["--size", "tiny", "--context", "4096", "--new-tokens", "4"]
    code = kit.main(["all", "--work", str(tmp_path / "kit"), "--fleming", str(fleming), *shape])
    found = json.loads((tmp_path / "kit/results.json").read_text(encoding="utf-8"))
    outcomes = {step: facts["status"] for step, facts in found["steps"].items()}
    assert code == 0, {step: facts for step, facts in found["steps"].items() if facts["status"] == "failed"}
    for package in ("bf16", "int4"):
        assert [outcomes[f"{step}-{package}"] for step in DONE] == ["done"] * len(DONE), outcomes
        assert outcomes[f"bench-{package}-graphs-off"] == "done"
    assert {outcomes[step] for step in ("doctor", "export-int4-bf16", "bench-int4-bf16")} == {"done"}
    assert {outcomes[step] for step in ("torch", "parity-bf16", "warm-tensorrt")} == {"skipped"}
