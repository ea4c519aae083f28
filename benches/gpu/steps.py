"""What the kit does, a function for each kind of step; ``plan.py`` has them in their order."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

from cards import package_facts
from runner import Kit, Missing, StepFailed
from watch import Watch

#: What the steps import -> the package it comes in. Without torch the rest goes on.
TORCH = {"torch": "torch", "transformers": "transformers"}
MODULES = {
    "numpy": "numpy",
    "onnx": "onnx",
    "onnx_ir": "onnx-ir",
    "ml_dtypes": "ml_dtypes",
    "tokenizers": "tokenizers",
    "PIL": "pillow",
    "tqdm": "tqdm",
}
#: Packages by name: what they are exported with.
PACKAGES = {
    "bf16": ("--precision", "bf16"),
    "int4": ("--precision", "int4"),
    "int4-bf16": ("--precision", "int4", "--activations", "bf16"),
    "bf16-padded": ("--precision", "bf16", "--pad-groups"),
    "int4-padded": ("--precision", "int4", "--pad-groups"),
    "tensorrt": ("--precision", "bf16", "--target", "tensorrt", "--capacity", "8192"),
}
#: Rows of the tables of the published models; the tokenizer of a synthetic checkpoint is a small one.
VOCABULARY = 151674
#: Rounds of every measurement, after one that is not counted.
ROUNDS = 5
#: Study -> tiles, tokens of text about.
STUDIES = {"image": (1, 64), "video": (6, 64), "volume": (11, 64), "text": (0, 1024)}
GRAPHS = "enable_cuda_graph"


def python_step(kit: Kit) -> dict:
    """The Python packages that are missing, from the wheels that were brought."""
    for module, package in {**MODULES, **TORCH}.items():
        if kit.options.wheels and not importlib.util.find_spec(module):
            install = ["--quiet", "--no-index", "--upgrade", "--find-links", kit.options.wheels]
            try:
                kit.python("pip", "install", *install, "--target", kit.work / "python", package)
            except StepFailed as error:  # which is told below, unless it can be done without
                print(f"{package}: {error}", flush=True)
            importlib.invalidate_caches()
    missing = _missing(MODULES)
    if missing:
        raise StepFailed(f"Python has no {', '.join(missing)}: bring their wheels in the folder of --wheels")
    return {"python": platform.python_version(), "missing": _missing(TORCH)}


def _missing(modules: dict[str, str]) -> list[str]:
    return [package for module, package in modules.items() if not importlib.util.find_spec(module)]


def library_step(kit: Kit) -> dict:
    """ONNX Runtime's GPU build from its wheel, with CUDA's libraries from where torch brought them."""
    site = kit.work / "site"
    wheels = sorted(Path(kit.options.wheels).glob("onnxruntime_gpu-*.whl")) if kit.options.wheels else []
    if not wheels:
        return {"source": "found by the runtime itself"}
    shutil.rmtree(site, ignore_errors=True)
    with zipfile.ZipFile(wheels[-1]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("onnxruntime/capi/lib")]
        wheel.extractall(site, names)
    (site / "nvidia").mkdir()
    torch = importlib.util.find_spec("torch")
    nvidia = Path(torch.origin).parents[1] / "nvidia" if torch and torch.origin else Path()
    for folder in sorted(nvidia.glob("*/lib")):
        (site / "nvidia" / folder.parent.name).symlink_to(folder.parent)
    # what torch does not bring: cuRAND perhaps, and TensorRT
    for path in sorted(Path(kit.options.wheels).glob("*.whl")):
        if path.name.startswith("nvidia_"):
            _unpack(path, site / "nvidia" / f"wheel-{path.stem.split('-')[0]}" / "lib")
        elif path.name.startswith("tensorrt_"):
            _unpack(path, site / "tensorrt_libs")
    found = sorted(str(path) for path in (site / "nvidia").glob("*/lib"))
    return {"source": wheels[-1].name, "cuda": found, "tensorrt": (site / "tensorrt_libs").is_dir()}


def _unpack(wheel: Path, folder: Path) -> None:
    """The shared libraries of a wheel, all in one folder."""
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            is_library = Path(name).name.startswith("lib") and ".so" in Path(name).name
            if is_library and "/stubs/" not in name:
                folder.mkdir(parents=True, exist_ok=True)
                with file.open(name) as source, (folder / Path(name).name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 24)


def machine_step(kit: Kit) -> dict:
    """Processor, memory, driver, GPUs and the versions of everything."""
    query = "index,name,driver_version,memory.total,power.limit,clocks.max.sm,clocks.max.mem,compute_cap"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    try:
        gpus = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        gpus = ""
    lines = [map(str.strip, line.split(",")) for line in gpus.splitlines()]
    rows = [dict(zip(query.split(","), line, strict=False)) for line in lines]
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": rows,
        "fleming": kit.run([kit.options.fleming, "-V"]).split()[-1],
        **kit.in_torch("versions.py", "machine", {}),
    }


def doctor_step(kit: Kit) -> dict:
    """What the runtime says the machine has; what it lacks is a reason to skip what needs it."""
    command = ["--model", kit.package("bf16"), "--no-self-test", "--json"]
    return json.loads(kit.fleming("doctor", *command, allowed=(0, 1)))


def checkpoint_step(kit: Kit) -> dict:
    """Random weights in the shape of the model, with its vocabulary."""
    shutil.rmtree(kit.checkpoint, ignore_errors=True)
    size = kit.options.size
    whole = [] if size.startswith("tiny") else ["--vocabulary", VOCABULARY]
    kit.python("fleming_export.synthetic", size, kit.checkpoint, *whole)
    written = sum(path.stat().st_size for path in kit.checkpoint.iterdir())
    return {"size": size, "bytes": written}


def export_step(kit: Kit, name: str) -> dict:
    """A package of the checkpoint."""
    words = list(PACKAGES[name])
    if "--target" not in words:
        words += ["--target", kit.options.target]
    if kit.options.float and words[1] == "bf16":
        words[1] = kit.options.float
    kit.python("fleming_export", kit.checkpoint, kit.package(name), "--force", "--no-self-test", *words)
    return {"arguments": words, **package_facts(kit.package(name))}


def bench(kit: Kit, name: str, *arguments: object, provider: str | None = None) -> dict:
    """`fleming bench` with the memory of the GPUs watched."""
    place = ["--model", kit.package(name), "--provider", provider or kit.options.provider, "--json"]
    with Watch() as watch:
        found = json.loads(kit.fleming("bench", *place, "--repeat", ROUNDS, *arguments))
    return {**found, "rounds": ROUNDS, "gpu_memory": watch.found}


def bench_step(kit: Kit, name: str, streams: str, *more: object, provider: str | None = None) -> dict:
    """Decoding for some numbers of streams, without pictures: those would be read while others decode."""
    rest = ["--tiles", 0, "--prompt-tokens", 64, "--new-tokens", kit.options.new_tokens]
    shape = ["--context", kit.options.context, "--streams", streams]
    return bench(kit, name, *shape, *rest, *more, provider=provider)


def first_token_step(kit: Kit, name: str, provider: str | None = None) -> dict:
    """Vision, prefill and time to the first token for each study, as noise, which is new in every round."""
    found = {}
    step = f"first-token-{name}"
    for study, (tiles, tokens) in STUDIES.items():
        shape = ["--context", kit.options.context, "--streams", 1, "--new-tokens", 2]
        shape += ["--tiles", tiles, "--prompt-tokens", tokens]
        found[study] = kit.part(step, study, lambda shape=shape: bench(kit, name, *shape, provider=provider))
    return found


def torch_step(kit: Kit) -> dict:
    """The same work by transformers with SDPA on the same device."""
    request = {"kind": kit.options.float or "bf16", "studies": STUDIES, "rounds": ROUNDS}
    return kit.in_torch("baseline.py", "torch", {**request, "new_tokens": int(kit.options.new_tokens)})


def warm_step(kit: Kit) -> dict:
    """TensorRT's engines, built ahead of their use."""
    started = time.monotonic()
    try:
        printed = kit.fleming(
            "warm", "--model", kit.package("tensorrt"), "--provider", "tensorrt", "--json", "--context", 8192
        )
    except StepFailed as error:
        if "unrecognized subcommand" in str(error):
            raise Missing("this build of fleming has no verb `warm`") from None
        raise
    return {"seconds": time.monotonic() - started, "printed": json.loads(printed)}
