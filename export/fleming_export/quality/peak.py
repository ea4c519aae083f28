"""The memory that a package takes: both graphs loaded, a tile and 512 positions run, the cache full."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..contract import MANIFEST_FILE
from ..files import read_json
from ..memory import CHUNK, needed


def print_peak(package: Path, context: int) -> None:
    """One line: what the formula says and what was taken, in a process of its own."""
    parts = needed(read_json(package / MANIFEST_FILE), context)
    command = [sys.executable, "-m", __name__, str(package), str(context)]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    shown = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
    total = sum(parts.values())
    print(f"formula {total / 1e9:.2f} GB ({shown}), measured {taken / 1e9:.2f} GB")


def _run(package: Path, context: int) -> int:
    """The peak of this process in bytes."""
    from ..parity.runtime import PackageRunner

    runner = PackageRunner(package, context)
    runner.fill()
    vision = runner.manifest["vision"]
    runner.embed(np.zeros((1, 3, vision["image_size"], vision["image_size"]), np.float32))
    rows = np.zeros((1, vision["hidden_size"]), np.float32)
    ids = np.zeros(min(CHUNK, context), np.int64)
    runner.prefill_ids(ids, np.full(len(ids), -1), rows)
    return peak_bytes()


def peak_bytes() -> int:
    """The most memory that this process has had, as Linux tells."""
    # not ru_maxrss, which begins with what the parent had
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    print(_run(Path(sys.argv[1]), int(sys.argv[2])))
