"""Makes `dist/fleming_vl-VERSION-py3-none-PLATFORM.whl` of what `make dist` built.

Run by `make wheel` in the repository's root. The wheel holds `bindings/python/fleming_vl`, the C library with
FFmpeg inside, the licences of what is in that, and the demo model. ONNX Runtime comes from PyPI, by an extra.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import dist

SOURCE = Path("bindings/python")
STAGE = Path("target/wheel")
#: Bytes that a wheel may have.
MOST = 25_000_000


def main() -> None:
    """Lays out, builds, looks at what was made."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("dist"), help="folder for the wheel")
    arguments.add_argument("--library", type=Path, default=dist.BUILT / "libfleming.so", help="the C library")
    chosen = arguments.parse_args()
    lay_out(chosen.library, chosen.out)
    tag = f"manylinux_{dist.glibc(STAGE / 'fleming_vl' / 'lib').replace('.', '_')}_{platform.machine()}"
    wheel = build(tag, chosen.out)
    check(wheel)
    print(f"{wheel.stat().st_size / 1e6:8.1f} MB  {wheel}")


def lay_out(library: Path, out: Path) -> None:
    """The project as it is built: the package with the library, the demo model and the licences in it."""
    shutil.rmtree(STAGE, ignore_errors=True)
    package = STAGE / "fleming_vl"
    shutil.copytree(SOURCE / "fleming_vl", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(SOURCE / name, STAGE)
    (package / "lib").mkdir()
    shutil.copy2(library, package / "lib" / "libfleming.so")
    shutil.copytree("models/demo", package / "demo")
    shutil.copy2("LICENSE", STAGE)
    (STAGE / "licenses").mkdir()
    notices = sorted(out.glob(f"fleming-*-{platform.machine()}-linux/share/doc/fleming/*"))
    if not notices and library.is_relative_to(dist.BUILT):
        raise SystemExit(f"{out}: wanted the notices that `make dist` writes, got none")
    for notice in notices:
        # ONNX Runtime's are in its own wheel.
        if not notice.name.startswith(("onnxruntime", "CHANGELOG", "LICENSE")):
            shutil.copy2(notice, STAGE / "licenses")


def build(tag: str, out: Path) -> Path:
    """The wheel for any Python on this platform."""
    made = STAGE / "made"
    option = f"--config-settings=--build-option=--plat-name={tag}"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", option]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(dist.epoch())}
    subprocess.run([*pip, "--wheel-dir", made, STAGE], env=environment, check=True)
    (wheel,) = made.iterdir()
    out.mkdir(exist_ok=True)
    return Path(shutil.move(wheel, out / wheel.name))


def check(wheel: Path) -> None:
    """Refuses a wheel that lacks something, or that is too large."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for wanted in ("lib/libfleming.so", "demo/fleming.json", "demo/decoder.onnx.data", "py.typed"):
        if f"fleming_vl/{wanted}" not in names:
            raise SystemExit(f"{wheel}: wanted fleming_vl/{wanted} in it, got none")
    if wheel.stat().st_size > MOST:
        raise SystemExit(f"{wheel}: wanted {MOST} bytes at most, got {wheel.stat().st_size}")


if __name__ == "__main__":
    main()
