"""Pictures to ask about, drawn: a chest phantom, a volume with a ball in it, and a clip of a beating disc."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np

from ..errors import ExportError, to_install

#: (width, height), frames per second and seconds of the clip
CLIP_SIZE, CLIP_RATE, CLIP_SECONDS = (320, 240), 8, 6


def write_inputs(out: Path) -> list[Path]:
    """Writes a PNG, two volumes and, where ffmpeg is installed, a clip; returns what was written."""
    try:
        from PIL import Image
    except ImportError:
        hint = to_install("synthetic")
        raise ExportError("Pillow", "the library, to write a PNG", "not installed", hint) from None
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(chest(520, 480)).save(out / "chest.png")
    values = volume()
    np.save(out / "volume_f32.npy", values)
    np.save(out / "volume_i16.npy", np.round(values).astype(np.int16))
    written = [out / name for name in ("chest.png", "volume_f32.npy", "volume_i16.npy")]
    if shutil.which("ffmpeg"):
        write_clip(out / "clip.mp4")
        written.append(out / "clip.mp4")
    return written


def _ellipse(
    grid: tuple[np.ndarray, np.ndarray], centre: tuple[float, float], radii: tuple[float, float]
) -> np.ndarray:
    """Soft-edged ellipse, 0..1, in coordinates from -1 to 1."""
    y, x = grid
    distance = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2
    return 1 / (1 + np.exp(np.clip(18 * (distance - 1), -60, 60)))


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    return y[:, None], x[None, :]


def chest(height: int, width: int) -> np.ndarray:
    """[height, width, 3] uint8: body, two lungs, heart, spine, ribs and a nodule; noise from a fixed seed."""
    grid = _grid(height, width)
    y, x = grid
    image = 0.75 * _ellipse(grid, (0.15, 0), (1.05, 0.92))
    lungs = _ellipse(grid, (0.0, -0.42), (0.68, 0.3)) + _ellipse(grid, (0.0, 0.42), (0.68, 0.3))
    image -= 0.5 * np.clip(lungs, 0, 1)
    image += 0.14 * lungs * (np.cos(22 * (y + 0.35 * x**2)) > 0.55)  # ribs
    image += 0.3 * _ellipse(grid, (0.3, 0.14), (0.34, 0.27))  # heart
    image += 0.22 * _ellipse(grid, (0, 0), (1.1, 0.07))  # spine
    image += 0.25 * _ellipse(grid, (-0.25, -0.5), (0.06, 0.055))  # nodule
    image += np.random.default_rng(1).normal(0, 0.015, image.shape)
    grey = np.clip(image * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def volume() -> np.ndarray:
    """[32, 256, 256] float32 in Hounsfield units: air, a body, two lungs, a spine and a lesion."""
    grid = _grid(256, 256)
    generator = np.random.default_rng(2)
    slices = []
    for z in np.linspace(-1, 1, 32):
        shrink = np.sqrt(max(1 - 0.35 * z * z, 0.1))
        slice_ = -1000 + 1040 * _ellipse(grid, (0, 0), (0.7 * shrink, 0.9 * shrink))
        for side in (-0.4, 0.4):
            slice_ -= 820 * _ellipse(grid, (-0.05, side), (0.42 * shrink, 0.26 * shrink))
        slice_ += 600 * _ellipse(grid, (0.45, 0), (0.12, 0.1))
        lesion = 0.12 * np.sqrt(max(1 - ((z - 0.1) / 0.4) ** 2, 0)) + 1e-3
        slice_ += 850 * _ellipse(grid, (0.02, -0.42), (lesion, lesion)) * (lesion > 0.01)
        slices.append(slice_ + generator.normal(0, 12, slice_.shape))
    return np.stack(slices).astype(np.float32)


def clip_frames() -> np.ndarray:
    """[48, 240, 320, 3] uint8: a sector as of ultrasound, with a chamber that beats once a second."""
    width, height = CLIP_SIZE
    grid = _grid(height, width)
    y, x = grid
    angle, depth = np.arctan2(x, y + 1.05), np.hypot(x, y + 1.05)
    sector = (np.abs(angle) < 0.7) & (depth < 1.95) & (depth > 0.15)
    generator = np.random.default_rng(3)
    speckle = generator.gamma(2.0, 0.12, (height, width))
    frames = []
    for number in range(CLIP_RATE * CLIP_SECONDS):
        beat = 0.5 + 0.5 * np.cos(2 * np.pi * number / CLIP_RATE)
        chamber = _ellipse(grid, (0.1, 0.0), (0.3 + 0.1 * beat, 0.2 + 0.08 * beat))
        wall = _ellipse(grid, (0.1, 0.0), (0.42 + 0.08 * beat, 0.32 + 0.06 * beat)) - chamber
        image = sector * (speckle * (1 - 0.85 * chamber) + 0.45 * wall * (0.6 + speckle))
        grey = np.clip(image * 255, 0, 255).astype(np.uint8)
        frames.append(np.repeat(grey[:, :, None], 3, axis=2))
    return np.stack(frames)


def small_clip(count: int = 16) -> np.ndarray:
    """[count, 48, 64, 3] uint8: two beats of a smooth disc in false colour, which compresses to little."""
    grid = _grid(48, 64)
    frames = []
    for number in range(count):
        beat = 0.5 + 0.5 * np.cos(4 * np.pi * number / count)
        disc = _ellipse(grid, (0.1, 0.2 * beat), (0.4 + 0.3 * beat, 0.3 + 0.2 * beat))
        colours = np.stack([disc, disc * beat, np.full_like(disc, number / count)], axis=2)
        frames.append((colours * 255).astype(np.uint8))
    return np.stack(frames)


def write_clip(path: Path) -> None:
    """The clip of ``clip_frames``."""
    encode_clip(path, clip_frames(), CLIP_RATE)


def encode_clip(path: Path, frames: np.ndarray, rate: int) -> None:
    """[frames, height, width, 3] uint8 to H.264 in MP4 through the ffmpeg program; one thread and no time
    stamps: the same bytes each time."""
    height, width = frames.shape[1:3]
    size = f"{width}x{height}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(rate), "-i", "-"]
    codec = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1", "-fflags", "+bitexact"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *codec, str(path)]
    done = subprocess.run(command, input=frames.tobytes(), capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise ExportError("ffmpeg", "a clip in H.264", lines[-1])
