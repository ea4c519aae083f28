"""What is compared: the peers from PyPI, a checkpoint, its packages and its GGUF files. All of it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXPORT = ROOT / "export"

#: llama.cpp as PyPI has its source, built here for this processor.
LLAMA = "llama-cpp-python==0.3.36"
NATIVE = {
    "CMAKE_ARGS": "-DGGML_NATIVE=ON",
    # GCC's _tile_loadconfig (seen in 12) names 8 of its 64 bytes as read. The stores of the others are
    # deleted, and llama.cpp ends with a segmentation fault in its first product on AMX.
    "CXXFLAGS": "-fno-tree-dse -fno-dse",
}
#: The same for a machine that has AVX2 alone.
AVX2 = {"CMAKE_ARGS": "-DGGML_NATIVE=OFF"}
#: What writes the files, and ONNX Runtime, which the runtime finds in this environment unless it has its own.
TOOLS = (
    # what llama-cpp-python needs
    "diskcache",
    "jinja2",
    "typing-extensions",
    "gguf>=0.17,<1",
    "numpy",
    "onnx>=1.18,<2",
    "onnx-ir>=0.1.12,<2",
    "onnxruntime>=1.31",
    "tokenizers",
    "pillow",
    "tqdm",
)
#: transformers on torch: 5 GB.
TORCH = ("torch>=2.4,<3", "transformers==4.57.6")
#: Rows of the tables of the published models.
VOCABULARY = 151674


class Failed(Exception):
    """A program that ended with an error."""


class Workshop:
    """The folder of everything that is built, and how programs are called for it."""

    def __init__(self, folder: Path, checkpoint: Path | None = None, *, avx2: bool = False) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = checkpoint.resolve() if checkpoint else self.folder / "checkpoint"
        self.venv, self.flags = ("venv-avx2", AVX2) if avx2 else ("venv", NATIVE)
        self.python = self.folder / self.venv / "bin/python"

    def package(self, precision: str) -> Path:
        return self.folder / f"fleming-{precision}"

    def text(self, kind: str) -> Path:
        """The GGUF file of the language model."""
        return self.folder / f"text-{kind}.gguf"

    def projector(self, kind: str) -> Path:
        """The GGUF file of the vision tower and the projector."""
        return self.folder / f"projector-{kind}.gguf"

    # ── steps

    def environment(self, *, torch: bool) -> None:
        """A virtual environment with the peers."""
        # which is written last
        if not self.python.with_name("pip").exists():
            run([sys.executable, "-m", "venv", "--clear", self.folder / self.venv])
        # Wheels choose their kernels when they run. llama.cpp is built, and not taken from pip's cache, where
        # it may have been built with other flags.
        anew = ("--no-binary", "llama-cpp-python", "--no-cache-dir", "--force-reinstall", "--no-deps", LLAMA)
        steps = {"tools": (TOOLS, {}), "llama": (anew, self.flags), "torch": (TORCH if torch else (), {})}
        pip = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        for name, (words, flags) in steps.items():
            if words:
                install = partial(run, [*pip, *words], **flags)
                self._once(f"{self.venv}-{name}", [words, flags], self.python, install)

    def make_checkpoint(self, size: str) -> None:
        """Random weights in the shape of a published model, with as many tokens."""
        if self.checkpoint != self.folder / "checkpoint":
            return
        words = [] if size.startswith("tiny") else ["--vocabulary", VOCABULARY]

        def write() -> None:
            shutil.rmtree(self.checkpoint, ignore_errors=True)
            self.run_python("-m", "fleming_export.synthetic", size, self.checkpoint, *words)

        self._once("checkpoint", [size, words, sources("synthetic")], self.checkpoint, write)

    def make_package(self, precision: str) -> None:
        """A package of the checkpoint, made anew where the exporter has changed."""
        out = self.package(precision)
        words = ["--precision", precision, "--force", "--no-self-test"]

        def export() -> None:
            self.run_python("-m", "fleming_export", self.checkpoint, out, *words)

        self._once(out.name, [self._of(), words, sources()], out, export)

    def make_gguf(self, kinds: list[str], projectors: list[str]) -> None:
        """The files of llama.cpp: the language model by its own quantiser, the projector by ours."""
        own = sources_of(
            HERE / "convert.py", HERE / "projector.py", EXPORT / "fleming_export/quality/llama.py"
        )
        files = [(self.text(kind), "text", kind) for kind in kinds]
        files += [(self.projector(kind), "projector", kind) for kind in projectors]
        wanted = [self._of(), own, LLAMA]
        missing = [row for row in files if not self._done(row[0].name, wanted, row[0])]
        if missing:
            self.run_python(HERE / "convert.py", self.checkpoint, *(word for row in missing for word in row))
        for path, _, _ in missing:
            self._mark(path.name, wanted)

    # ── programs

    def run_python(self, *arguments: object) -> None:
        """Runs a script or a module in the environment of the peers, with the exporter of this repository."""
        paths = os.pathsep.join(map(str, (EXPORT, HERE)))
        run([self.python, *arguments], PYTHONPATH=paths)

    # ── what is done already

    def _of(self) -> list:
        """What the checkpoint is, for everything that is made of it."""
        mark = self.folder / "checkpoint.made"
        own = self.checkpoint == self.folder / "checkpoint"
        return [str(self.checkpoint), mark.read_text(encoding="utf-8") if own else ""]

    def _once(self, name: str, wanted: list, result: Path, act: Callable[[], object]) -> None:
        if not self._done(name, wanted, result):
            act()
            self._mark(name, wanted)

    def _done(self, name: str, wanted: list, result: Path) -> bool:
        mark = self.folder / f"{name}.made"
        return result.exists() and mark.is_file() and mark.read_text(encoding="utf-8") == json.dumps(wanted)

    def _mark(self, name: str, wanted: list) -> None:
        (self.folder / f"{name}.made").write_text(json.dumps(wanted), encoding="utf-8")


def sources(below: str = "") -> str:
    """The digest of the exporter's code, so that packages follow it."""
    return sources_of(*sorted((EXPORT / "fleming_export" / below).rglob("*.py")))


def sources_of(*paths: Path) -> str:
    """The digest of some files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def run(command: list[object], **environment: str) -> str:
    """Runs a program and returns what it prints."""
    words = [str(word) for word in command]
    print("$", " ".join(words), file=sys.stderr, flush=True)
    made = subprocess.run(
        words,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if made.returncode:
        tail = (made.stdout[-1000:] + made.stderr[-3000:]).strip()
        raise Failed(f"{words[0]} ended with {made.returncode}: {tail}")
    return made.stdout
