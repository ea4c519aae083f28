"""Small inputs of every kind, drawn with integer arithmetic and written without an image library.

Whatever version of NumPy runs this, the pixels in the files are the same.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

#: Colour types of PNG.
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def draw(folder: Path) -> None:
    """Writes every input of DRAWINGS."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in DRAWINGS.items():
        path, content = folder / name, drawing()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """int64, 0..65535: the same for the same shape."""
    count = np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761) + np.uint64(12345)
    mixed = (count ^ (count >> np.uint64(13))) * np.uint64(40503) >> np.uint64(7)
    return (mixed & np.uint64(0xFFFF)).astype(np.int64).reshape(shape)


def picture(height: int, width: int, phase: int = 0) -> np.ndarray:
    """[height, width, 3] uint8: ramps and curves that wrap around, which have hard edges, and noise."""
    y, x = np.mgrid[0:height, 0:width]
    x = x + phase
    waves = np.stack([x * 5 + y * 2, x * y // 7, 255 - x - y * 3], axis=2) % 256
    return np.clip(waves + noise(waves.shape) % 41 - 20, 0, 255).astype(np.uint8)


def png(
    samples: np.ndarray, colour_type: int, depth: int = 8, chunks: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """A PNG of [height, width] or [height, width, channels] samples, without filters."""
    height, width = samples.shape[:2]
    if depth < 8:
        bits = samples[:, :, None] >> np.arange(depth - 1, -1, -1) & 1
        samples = np.packbits(bits.reshape(height, -1), axis=1)
    rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def grey(height: int, width: int) -> np.ndarray:
    """[height, width] uint8."""
    return picture(height, width)[:, :, 1]


def alpha(height: int, width: int) -> np.ndarray:
    """[height, width, 1] uint8 with much that is wholly transparent or wholly opaque."""
    return np.clip(noise((height, width, 1)) // 128 - 128, 0, 255).astype(np.uint8)


def palette_png(height: int, width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A picture of 64 colours."""
    colours = (b"PLTE", picture(8, 8).tobytes())
    return png(grey(height, width) % 64, PALETTE, chunks=[colours, *chunks])


def with_alpha(samples: np.ndarray) -> np.ndarray:
    """[height, width, channels + 1]."""
    return np.concatenate([samples, alpha(*samples.shape[:2])], axis=2)


def grey16(most: int) -> np.ndarray:
    """[120, 90] of values up to `most`, which 16 bits hold."""
    return noise((120, 90)) * most // 65535


def volume(side: int) -> np.ndarray:
    """[32, side, side] int64 as of a CT: air, a body that grows, noise."""
    z, y, x = np.mgrid[0:32, 0:side, 0:side]
    body = (2 * x - side) ** 2 + (2 * y - side) ** 2 < (side - side // 4 + z) ** 2
    return np.where(body, 40 + 13 * z, -1000) + noise(body.shape) % 61


def unit(side: int = 48) -> np.ndarray:
    """The volume from 0 to 1, float64."""
    return (volume(side) + 1024) / 4095.0


def wide() -> np.ndarray:
    """int16 values whose range int16 does not hold."""
    return (noise((32, 48, 48)) - 32768).astype(np.int16)


def odd() -> np.ndarray:
    """float32 with a slice each that has a NaN, an infinity, one value only, and a range that overflows."""
    values = unit().astype(np.float32)
    values[3, 4, 5] = np.nan
    values[6, 4, 5] = np.inf
    values[9] = -0.0
    values[12, 0, :2] = 3e38, -3e38
    return values


#: Each file with what makes its bytes, or its array.
DRAWINGS: dict[str, Callable[[], bytes | np.ndarray]] = {
    "rgb.png": lambda: png(picture(301, 203), RGB),
    "exact.png": lambda: png(picture(448, 448), RGB),
    "wide.png": lambda: png(picture(50, 3000), RGB),
    "dot.png": lambda: png(picture(1, 1), RGB),
    "rgb16.png": lambda: png(noise((60, 44, 3)), RGB, depth=16),
    "grey.png": lambda: png(grey(301, 203), GREY),
    "grey4.png": lambda: png(grey(120, 91) >> 4, GREY, depth=4),
    "bilevel.png": lambda: png(grey(301, 203) >> 7, GREY, depth=1),
    "grey16.png": lambda: png(grey16(65535), GREY, depth=16),
    "grey16_low.png": lambda: png(grey16(700), GREY, depth=16),
    "grey_alpha.png": lambda: png(with_alpha(grey(120, 91)[:, :, None]), GREY_ALPHA),
    "rgba.png": lambda: png(with_alpha(picture(301, 203)), RGBA),
    "palette.png": lambda: palette_png(120, 91),
    "palette_640x480.png": lambda: palette_png(480, 640),
    "palette_transparent.png": lambda: palette_png(120, 91, (b"tRNS", bytes(range(0, 240, 4)))),
    "scene.png": lambda: png(picture(360, 560), RGB),
    "u8.npy": lambda: np.asfortranarray((volume(48) + 1000) // 9).astype(np.uint8, order="F"),
    "i16.npy": lambda: volume(256).astype(np.int16),
    "i16_big_endian.npy": lambda: volume(48).astype(">i2"),
    "i16_wide.npy": wide,
    "f16.npy": lambda: unit().astype(np.float16),
    "f32.npy": lambda: unit().astype(np.float32)[None],
    "f32_odd.npy": odd,
    "f64.npy": unit,
}
