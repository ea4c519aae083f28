"""The most memory that the GPUs had in use while something ran, beyond what was in use before.

Used memory of the whole machine's GPUs, and not what the driver says of a process: in a container the
driver knows processes by other numbers. So nothing else may begin or end on the GPUs meanwhile. What the
driver keeps for a process (its context) counts, as it does for whoever has to find room.
"""

from __future__ import annotations

import ctypes
import subprocess
import threading
from collections.abc import Callable

EVERY_SECONDS = 0.02


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


def by_library() -> Callable[[], int] | None:
    """Bytes in use by the driver's own library; nothing where it is not to be had."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    count = ctypes.c_uint()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return None
    handles = [ctypes.c_void_p() for _ in range(count.value)]
    if any(nvml.nvmlDeviceGetHandleByIndex_v2(i, ctypes.byref(h)) for i, h in enumerate(handles)):
        return None

    def used() -> int:
        total, memory = 0, _Memory()
        for handle in handles:
            if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
                raise OSError("nvmlDeviceGetMemoryInfo failed")
            total += memory.used
        return total

    return used if handles else None


def by_program() -> Callable[[], int] | None:
    """The same by `nvidia-smi`, some times a second; nothing where it is not there."""

    def used() -> int:
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
        return sum(int(line) << 20 for line in text.split())

    try:
        return used if used() else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


class Watch:
    """A block during which used memory is looked at; ``found`` is what came of it."""

    def __init__(self) -> None:
        library = by_library()
        self._used = library or by_program()
        self._how = "NVML, every 20 ms" if library else "nvidia-smi"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._peak = self._before = self._samples = 0
        self.found: dict | None = None

    def __enter__(self) -> Watch:
        if self._used:
            self._before = self._peak = self._used()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._used:
            self._over.set()
            self._thread.join()
            taken = {"peak_bytes": self._peak - self._before, "before_bytes": self._before}
            self.found = {**taken, "samples": self._samples, "how": self._how}

    def _look(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            try:
                self._peak = max(self._peak, self._used())
            except (OSError, ValueError, subprocess.SubprocessError):
                continue
            self._samples += 1
