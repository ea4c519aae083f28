"""Proves and measures the runtime on a machine with a GPU: in steps of under ten minutes, without a network.

    python benches/gpu/kit.py all --work DIR --fleming target/release/fleming

Steps keep what they find in DIR and are not repeated; `all` goes on where it was and ends before `--minutes`
are over, with exit code 75 if there is more to do. `split` and `join` bring files in small parts.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "export"), str(HERE)]

PART = 55 << 20
AGAIN = 75
STREAMS = "1,8,32"
#: name of a package -> its precision
PACKAGES = {"bf16": "bf16", "int4": "int4"}


#: What the steps import -> the package it comes in.
MODULES = {
    "torch": "torch",
    "transformers": "transformers==4.57.6",
    "onnx": "onnx",
    "onnx_ir": "onnx-ir",
    "ml_dtypes": "ml_dtypes",
    "tokenizers": "tokenizers",
    "PIL": "pillow",
    "tqdm": "tqdm",
}


class Kit:
    """The folder of a run and how the runtime is called in it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work = Path(options.work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        # after torch and what else is there, whose versions belong together
        sys.path.append(str(self.work / "python"))
        self.deadline = time.monotonic() + 60 * options.minutes

    def done(self, step: str) -> dict | None:
        """What a step found, if it ended well."""
        path = self.work / f"{step}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def keep(self, step: str, found: dict) -> None:
        """Writes what a step found, as a whole or not at all."""
        aside = self.work / f"{step}.json.partial"
        aside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        os.replace(aside, self.work / f"{step}.json")

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint"

    def package(self, name: str) -> Path:
        return self.work / f"package-{name}"

    def fleming(self, verb: str, *arguments: object) -> str:
        """Runs the built binary on the provider under test and returns what it printed."""
        command = [self.options.fleming, verb, "--provider", self.options.provider, *map(str, arguments)]
        library = next((self.work / "site/onnxruntime/capi").glob("libonnxruntime.so.*"), None)
        if library is not None:
            command += ["--onnxruntime", str(library)]
        return run(command, self.left())

    def left(self) -> float:
        """Seconds until this call must be over."""
        return max(1.0, self.deadline - time.monotonic())


def run(command: list[str], timeout: float) -> str:
    """What a command prints to stdout; its stderr is shown where it fails."""
    print("$", " ".join(command), flush=True)
    paths = [str(ROOT / "export"), os.environ.get("PYTHONPATH", ""), *sys.path[-1:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    made = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
    if made.returncode != 0:
        raise SystemExit(
            f"{command[0]} ended with {made.returncode}: {made.stderr[-4000:]}{made.stdout[-2000:]}"
        )
    return made.stdout


def python_step(kit: Kit) -> dict:
    """The Python packages that are missing, from the wheels that were brought."""
    missing = [package for module, package in MODULES.items() if not importlib.util.find_spec(module)]
    if missing and kit.options.wheels:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--upgrade"]
        places = ["--find-links", kit.options.wheels, "--target", str(kit.work / "python")]
        run([*install, *places, *missing], kit.left())
        importlib.invalidate_caches()
        missing = [package for module, package in MODULES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise SystemExit(f"Python has no {', '.join(missing)}: bring their wheels in the folder of --wheels")
    return {"python": platform.python_version()}


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
    # what torch does not bring: cuRAND
    for path in sorted(Path(kit.options.wheels).glob("nvidia_*.whl")):
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if "/lib/lib" in name and ".so" in name:
                    target = site / "nvidia" / path.stem.split("-")[0] / "lib" / Path(name).name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(wheel.read(name))
    return {"source": wheels[-1].name, "cuda": sorted(map(str, (site / "nvidia").glob("*/lib")))}


def doctor_step(kit: Kit) -> dict:
    """What the machine has."""
    command = ["--model", kit.package("bf16"), "--no-self-test", "--json"]
    return json.loads(kit.fleming("doctor", *command))


def checkpoint_step(kit: Kit) -> dict:
    """Random weights in the shape of the model."""
    shutil.rmtree(kit.checkpoint, ignore_errors=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "fleming_export.synthetic", kit.options.size, str(kit.checkpoint)]
    run(command, kit.left())
    return {"size": kit.options.size, "seconds": time.monotonic() - started}


def export_step(kit: Kit, name: str) -> dict:
    """A package of the checkpoint for the target under test."""
    started = time.monotonic()
    target, precision = kit.options.target, kit.options.precision or PACKAGES[name]
    command = [sys.executable, "-m", "fleming_export", str(kit.checkpoint), str(kit.package(name)), "--force"]
    run([*command, "--target", target, "--precision", precision], kit.left())
    seconds = time.monotonic() - started
    size = sum(path.stat().st_size for path in kit.package(name).iterdir())
    manifest = json.loads((kit.package(name) / "fleming.json").read_text(encoding="utf-8"))
    # a step reads all weights of the decoder but the table of embeddings, of which it reads a row
    table = manifest["tokens"]["vocabulary"] * manifest["vision"]["hidden_size"] * 2
    read = (kit.package(name) / "decoder.onnx.data").stat().st_size - table
    found = {"target": target, "precision": precision, "seconds": seconds, "bytes": size}
    return {**found, "bytes_of_a_step": read}


def bench_step(kit: Kit, name: str, streams: str) -> dict:
    """Vision, prefill, decoding and memory with noise to look at."""
    common = ["--model", kit.package(name), "--json", "--context", kit.options.context]
    many = ["--streams", streams, "--new-tokens", kit.options.new_tokens, "--prompt-tokens", 128]
    return json.loads(kit.fleming("bench", *common, *many))


def first_token_step(kit: Kit, name: str) -> dict:
    """Time to the first token for one picture, a clip and a volume, new ones in every round."""
    found = {}
    for study, tiles in {"image": 1, "video": 6, "volume": 11}.items():
        common = ["--model", kit.package(name), "--json", "--context", kit.options.context]
        rounds = ["--tiles", tiles, "--prompt-tokens", 64, "--new-tokens", 2, "--repeat", 5]
        found[study] = json.loads(kit.fleming("bench", *common, *rounds))["streams"][0]
    return found


def parity_step(kit: Kit) -> dict:
    """Image embeddings, first logits and greedy tokens of the runtime against torch on the same device."""
    from baseline import compare

    return compare(kit)


def torch_step(kit: Kit) -> dict:
    """The same work by transformers in bf16 with SDPA on the same device."""
    from baseline import measure

    return measure(kit)


def report_step(kit: Kit) -> dict:
    """One JSON object and one table of everything."""
    from report import bars, table

    found = {step: kit.done(step) for step in STEPS if step != "report"}
    found["bars"] = bars(found)
    found["machine"] = {"platform": platform.platform(), "python": platform.python_version()}
    (kit.work / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (kit.work / "results.md").write_text(table(found), encoding="utf-8")
    print(table(found))
    return {"bars": found["bars"]}


STEPS = {
    "python": python_step,
    "library": library_step,
    "checkpoint": checkpoint_step,
    "export-bf16": lambda kit: export_step(kit, "bf16"),
    "doctor": doctor_step,
    "parity": parity_step,
    "first-token-bf16": lambda kit: first_token_step(kit, "bf16"),
    "bench-bf16": lambda kit: bench_step(kit, "bf16", STREAMS),
    "torch": torch_step,
    "export-int4": lambda kit: export_step(kit, "int4"),
    "first-token-int4": lambda kit: first_token_step(kit, "int4"),
    "bench-int4": lambda kit: bench_step(kit, "int4", STREAMS),
    "report": report_step,
}
#: Most minutes that a step has been allowed; `all` does not begin one that might not end.
LONGEST = {"checkpoint": 8, "export-bf16": 8, "export-int4": 9, "parity": 5, "torch": 5}


def work_through(kit: Kit) -> int:
    """All steps that are not done and that there is time for."""
    for step, act in STEPS.items():
        if kit.options.only and step not in kit.options.only:
            continue
        if step != "report" and kit.done(step) is not None:
            continue
        if kit.left() < 60 * min(LONGEST.get(step, 3), kit.options.minutes - 0.5):
            print(f"not begun: {step}; call again")
            return AGAIN
        print(f"── {step}", flush=True)
        kit.keep(step, act(kit))
    return 0


def split(files: list[str], out: Path) -> None:
    """Cuts files into parts that can be carried one by one, with a list of digests."""
    out.mkdir(parents=True, exist_ok=True)
    for name in map(Path, files):
        digest, parts = hashlib.sha256(), []
        with name.open("rb") as file:
            while block := file.read(PART):
                digest.update(block)
                parts.append(f"{name.name}.{len(parts):03}")
                (out / parts[-1]).write_bytes(block)
        listing = {"file": name.name, "sha256": digest.hexdigest(), "parts": parts}
        (out / f"{name.name}.parts.json").write_text(json.dumps(listing), encoding="utf-8")


def join(folder: Path, out: Path) -> None:
    """Puts together the files whose parts are all there, checks them and drops the parts."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.parts.json")):
        listing = json.loads(path.read_text(encoding="utf-8"))
        missing = [part for part in listing["parts"] if not (folder / part).is_file()]
        if missing:
            print(f"{listing['file']}: {len(missing)} parts are still to come: {missing[0]}")
            continue
        digest, aside = hashlib.sha256(), out / f"{listing['file']}.partial"
        with aside.open("wb") as file:
            for part in listing["parts"]:
                block = (folder / part).read_bytes()
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != listing["sha256"]:
            raise SystemExit(f"{listing['file']}: the parts are not of one file")
        os.replace(aside, out / listing["file"])
        for part in listing["parts"]:
            (folder / part).unlink()
        print(out / listing["file"])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    every = commands.add_parser("all", help="run the steps that are not done")
    add = every.add_argument
    add("--work", required=True, help="folder for everything; 60 GB for the 8B shape")
    add("--fleming", default=str(ROOT / "target/release/fleming"), help="the built binary")
    add("--wheels", help="folder with onnxruntime_gpu-*.whl")
    add("--size", default="8b", help="shape of the checkpoint")
    add("--target", default="cuda", choices=["cpu", "cuda", "tensorrt"], help="of the packages")
    add("--precision", help="of the packages, instead of bf16 and int4")
    add("--provider", default="cuda")
    add("--context", default="8192")
    add("--new-tokens", default="128")
    add("--minutes", type=float, default=9.5, help="time for this call")
    add("--only", nargs="*", help=f"of the steps {', '.join(STEPS)}")
    cut = commands.add_parser("split", help="cut files into parts under 60 MB")
    cut.add_argument("files", nargs="+")
    cut.add_argument("--out", required=True, type=Path)
    glue = commands.add_parser("join", help="put files together from their parts")
    glue.add_argument("folder", type=Path)
    glue.add_argument("--out", required=True, type=Path)
    options = parser.parse_args(arguments)
    if options.command == "split":
        split(options.files, options.out)
    elif options.command == "join":
        join(options.folder, options.out)
    else:
        return work_through(Kit(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
