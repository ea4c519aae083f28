"""What machine this is, and how much of it other processes used meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Instruction sets that decide which kernels run, by their names in /proc/cpuinfo, which are Linux's.
SETS = (
    "avx2 fma f16c avx_vnni avx512f avx512bw avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 "
    "asimd asimddp asimdhp i8mm sve bf16"
).split()
#: Cores' worth of other work below which the machine counts as idle.
IDLE = 0.15
#: Seconds over which that is measured before a visit.
LOOK = 1.0
#: Of the columns of the first line of /proc/stat: user, nice, system, irq, softirq, steal.
BUSY = (0, 1, 2, 5, 6, 7)
#: What is left of them where both sides use AVX2 alone.
AVX2 = {"avx2", "fma", "f16c"}


def facts(threads: int, *, avx2: bool = False) -> dict:
    """Processor, its instruction sets or those of them that are used, memory, system."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    if avx2:
        flags &= AVX2
    return {
        "cpu": info.get("model name") or platform.machine(),
        "instruction_sets": [name for name in SETS if name in flags],
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpuinfo() -> dict[str, str]:
    """The fields of the first processor."""
    path = Path("/proc/cpuinfo")
    first = path.read_text(encoding="utf-8").split("\n\n")[0] if path.is_file() else ""
    lines = [line.partition(":") for line in first.splitlines()]
    return {name.strip(): value.strip() for name, _, value in lines}


def kind(machine: dict) -> str:
    """The kind of machine that the bars are stated for."""
    sets = machine["instruction_sets"]
    if "avx512_vnni" in sets:
        return "AVX-512 VNNI"
    return next((name for name in ("avx_vnni", "avx2", "asimddp") if name in sets), "none of those listed")


def others(busy_s: float, own_s: float, wall_s: float) -> float:
    """Cores that other processes kept busy."""
    return max(0.0, (busy_s - own_s) / wall_s) if wall_s > 0 else 0.0


class Clock:
    """Wall time, and what the whole machine and our own children computed meanwhile."""

    def __init__(self) -> None:
        self._wall, self._busy, self._own = time.monotonic(), _busy(), _children()

    def others(self) -> float:
        """Cores that other processes kept busy; our own children must have ended."""
        return others(_busy() - self._busy, _children() - self._own, time.monotonic() - self._wall)


def _busy() -> float:
    """Seconds that the cores computed since the start of the machine."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    columns = stat.read_text(encoding="ascii").splitlines()[0].split()[1:]
    return sum(int(columns[place]) for place in BUSY) / os.sysconf("SC_CLK_TCK")


def _children() -> float:
    """Seconds that children computed that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def wait_until_idle(patience_s: float) -> None:
    """Returns when others leave the machine alone, or when patience ends."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        clock = Clock()
        time.sleep(LOOK)
        if clock.others() < IDLE:
            return


@contextmanager
def busy_process() -> Iterator[None]:
    """One process that keeps a core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
