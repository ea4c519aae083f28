"""Soft-edged shapes on a float32 canvas. Coordinates run from -1 to 1, y downwards."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SIZE = 256
_AXIS = ((np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1).astype(np.float32)


@dataclass(frozen=True)
class Mark:
    """A thing in a picture: which value of which fact it shows, its centre (y, x) and its radius."""

    fact: str
    value: str
    centre: tuple[float, float]
    radius: float


@dataclass(frozen=True)
class Picture:
    """``pixels`` [256, 256] or [256, 256, 3] uint8; what was drawn: fact -> value; ``marks`` say where,
    and ``amounts`` what is shown by degrees."""

    pixels: np.ndarray
    facts: dict[str, str] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    amounts: dict[str, float] = field(default_factory=dict)

    def looked_at(self) -> list[Picture]:
        """The frames the runtime takes, as of volumes and clips: the picture itself."""
        return [self]


def blank(level: float = 0.0) -> np.ndarray:
    """[256, 256] float32."""
    return np.full((SIZE, SIZE), level, np.float32)


def _box(centre: float, radius: float) -> slice:
    low, high = np.searchsorted(_AXIS, [centre - radius, centre + radius])
    return slice(int(low), int(high))


def ellipse(canvas: np.ndarray, centre, radii, value, *, soft: float = 0.012) -> None:
    """Blends [256, 256] or [256, 256, 3] towards ``value`` inside an ellipse, all (y, x)."""
    (cy, cx), (ry, rx) = centre, radii
    rows, columns = _box(cy, ry + 2 * soft), _box(cx, rx + 2 * soft)
    y, x = (_AXIS[rows, None] - cy) / ry, (_AXIS[None, columns] - cx) / rx
    cover = np.clip((1 - np.sqrt(y * y + x * x)) * (min(ry, rx) / soft) + 0.5, 0, 1)
    _blend(canvas, (rows, columns), cover, value)


def line(canvas: np.ndarray, start, end, value, *, width: float = 0.02) -> None:
    """Blends towards ``value`` along a segment between two (y, x)."""
    (y0, x0), (y1, x1) = start, end
    rows = _box((y0 + y1) / 2, abs(y1 - y0) / 2 + 2 * width)
    columns = _box((x0 + x1) / 2, abs(x1 - x0) / 2 + 2 * width)
    y, x = _AXIS[rows, None] - y0, _AXIS[None, columns] - x0
    dy, dx = y1 - y0, x1 - x0
    along = np.clip((y * dy + x * dx) / max(dy * dy + dx * dx, 1e-9), 0, 1)
    distance = np.sqrt((y - along * dy) ** 2 + (x - along * dx) ** 2)
    _blend(canvas, (rows, columns), np.clip((width - distance) / 0.01 + 0.5, 0, 1), value)


def _blend(canvas: np.ndarray, box: tuple[slice, slice], cover: np.ndarray, value) -> None:
    part = canvas[box]
    if canvas.ndim == 3:
        cover = cover[..., None]
    part += cover * (np.asarray(value, np.float32) - part)


def waves(rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """[256, 256] a slow random field: tissue is never flat."""
    phase, pitch = rng.uniform(0, 6.28, 4), rng.uniform(2, 7, 4)
    rows = np.sin(pitch[0] * _AXIS + phase[0]) + np.sin(pitch[1] * _AXIS + phase[1])
    columns = np.sin(pitch[2] * _AXIS + phase[2]) + np.sin(pitch[3] * _AXIS + phase[3])
    return (amplitude / 4 * (rows[:, None] + columns[None, :])).astype(np.float32)


def noise(rng: np.random.Generator, amplitude: float) -> np.ndarray:
    """[256, 256] fine grain."""
    return rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32(amplitude)


def grey(canvas: np.ndarray) -> np.ndarray:
    """Float 0..1 -> uint8, the same shape."""
    return np.clip(canvas * 255, 0, 255).astype(np.uint8)
