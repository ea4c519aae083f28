"""Makes what the reference's cases need: volumes, and packages of each checkpoint that has goldens, one for
each target, in float32.

python tests/reference/prepare.py REFERENCE OUT

REFERENCE is a folder with `make_checkpoint.py`, `make_volumes.py`, `inputs/` and `goldens/SIZE-seedN/`.
OUT gets a copy of the inputs, the generated volumes and `packages/TARGET/SIZE-seedN/`. Nothing is made twice.
"""

import shutil
import subprocess
import sys
from pathlib import Path

# The wheel that carries the Qwen vocabulary, which the reference's checkpoints need.
WHEEL = "dashscope==1.24.6"
TARGETS = "cpu", "cuda", "tensorrt"


def main(reference: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "inputs" / "generated").exists():
        shutil.copytree(reference / "inputs", out / "inputs", dirs_exist_ok=True)
        shutil.copy(reference / "make_volumes.py", out)
        run(out / "make_volumes.py")
    for goldens in sorted((reference / "goldens").iterdir()):
        if not all((out / "packages" / target / goldens.name).exists() for target in TARGETS):
            make_packages(reference, out, goldens.name)


def make_packages(reference: Path, out: Path, name: str) -> None:
    size, seed = name.rsplit("-seed", 1)
    checkpoint = out / "checkpoints" / name
    options = ["--seed", seed, "--qwen-tiktoken", vocabulary(out)]
    run(reference / "make_checkpoint.py", size, checkpoint, *options)
    for target in TARGETS:
        package = out / "packages" / target / name
        package.parent.mkdir(parents=True, exist_ok=True)
        run("-m", "fleming_export", checkpoint, package, "--target", target, "--precision", "f32", "--force")
    shutil.rmtree(checkpoint)


def vocabulary(out: Path) -> Path:
    if not any(out.glob("dashscope-*.whl")):
        run("-m", "pip", "download", "--quiet", "--no-deps", "--dest", out, WHEEL)
    return next(out.glob("dashscope-*.whl"))


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
