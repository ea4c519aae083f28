"""Records what the libraries of the Fleming-VL script make of small inputs.

    python tests/golden/make_pixels.py FOLDER            draws the inputs into FOLDER
    python tests/golden/make_pixels.py FOLDER --encode   and encodes inputs/ anew (Pillow, ffmpeg)
    python tests/golden/make_pixels.py FOLDER --record   and writes pixels.json (Pillow, decord, transformers)

README.md names the versions.
"""

import argparse
import hashlib
import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
from draw import draw, picture

HERE = Path(__file__).parent
ENCODED = HERE / "inputs"
RECORD = HERE / "pixels.json"
SIZE = 448
LIBRARIES = ("pillow", "decord", "numpy", "transformers")

#: File and options of `fleming ask`; images first, then videos and volumes.
CASES: list[tuple[str, dict]] = [
    ("rgb.png", {}),
    ("exact.png", {}),
    ("wide.png", {}),
    ("dot.png", {}),
    ("rgb16.png", {}),
    ("grey.png", {}),
    ("grey4.png", {}),
    ("bilevel.png", {}),
    ("grey16.png", {}),
    ("grey16_low.png", {}),
    ("grey_alpha.png", {}),
    ("rgba.png", {}),
    ("palette.png", {}),
    ("palette_640x480.png", {}),
    ("palette_transparent.png", {}),
    ("scene.png", {"max-tiles": 6}),
    ("rgba.png", {"max-tiles": 12}),
    ("420.jpg", {}),
    ("exif.jpg", {}),
    ("cmyk.jpg", {}),
    ("h264.mp4", {"seconds": 3.9}),
    ("h264.mp4", {"frames": 32}),
    ("h264.mp4", {"frames": 5, "start": 0.5, "end": 2.5}),
    ("h264.mp4", {"frames": 4, "start": 2.5, "end": 0.5}),
    ("bt709.mp4", {"frames": 3}),
    ("full_range.mp4", {"frames": 3}),
    ("rotated.mp4", {"frames": 3}),
    ("variable.mp4", {"frames": 5, "start": 0.5, "end": 2.5}),
    ("vp9.webm", {"frames": 5}),
    ("mpeg4.avi", {"frames": 1}),
    ("u8.npy", {}),
    ("i16.npy", {}),
    ("i16_big_endian.npy", {}),
    ("i16_wide.npy", {}),
    ("f16.npy", {}),
    ("f32.npy", {}),
    ("f32_odd.npy", {}),
    ("f64.npy", {}),
]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encode", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    draw(options.folder)
    if options.encode:
        encode()
    if options.record:
        cases = [record(options.folder, file, given) for file, given in CASES]
        versions = {library: version(library) for library in LIBRARIES}
        RECORD.write_text(json.dumps({"versions": versions, "cases": cases}, indent=1) + "\n")


def find(folder: Path, file: str) -> Path:
    """A drawn input, or an encoded one."""
    return ENCODED / file if (ENCODED / file).exists() else folder / file


# ── encoding


def encode() -> None:
    """JPEG and video, whose pixels depend on the encoder: the files are kept."""
    from PIL import Image

    ENCODED.mkdir(exist_ok=True)
    image = Image.fromarray(picture(120, 90))
    orientation = Image.Exif()
    orientation[0x0112] = 6
    image.save(ENCODED / "420.jpg", quality=80)
    image.save(ENCODED / "exif.jpg", quality=80, exif=orientation)
    image.convert("CMYK").save(ENCODED / "cmyk.jpg", quality=80)
    h264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "30"]
    clip("h264.mp4", [*h264, "-bf", "3"])
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    clip("bt709.mp4", ["-vf", "scale=out_color_matrix=bt709", *h264, *tags])
    clip("full_range.mp4", ["-vf", "scale=out_range=full", *h264, "-color_range", "pc"])
    clip("variable.mp4", ["-vf", "select='gte(t,2)+not(mod(n,3))'", "-vsync", "vfr", *h264])
    clip("vp9.webm", ["-c:v", "libvpx-vp9", "-b:v", "60k"])
    clip("mpeg4.avi", ["-c:v", "mpeg4", "-q:v", "9"])
    turn = ["-i", ENCODED / "h264.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90"]
    ffmpeg(turn, ENCODED / "rotated.mp4")


def clip(name: str, codec: list[str]) -> None:
    """Four seconds of a moving picture."""
    frames = np.stack([picture(64, 96, phase=2 * number) for number in range(40)])
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", "10", "-i", "-"]
    smooth = ["-vf", "boxblur=2"] if "-vf" not in codec else []
    ffmpeg([*raw, *smooth, *codec], ENCODED / name, frames.tobytes())


def ffmpeg(arguments: list, out: Path, given: bytes = b"") -> None:
    """One run; the same bytes each time."""
    exact = ["-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, *exact, out], input=given, check=True)


# ── recording


def record(folder: Path, file: str, given: dict) -> dict:
    """A case with the frames that the script picks and the digests of what its processor makes of them."""
    path = find(folder, file)
    read = {".npy": volume, ".mp4": video, ".webm": video, ".avi": video}.get(path.suffix, image)
    pictures, indices = read(path, given)
    digests = {"pixels_u8": digest(bare()(pictures)), "pixel_values": digest(processor()(pictures))}
    return {"file": file, "options": given, "indices": indices, "sha256": digests}


def digest(output: dict) -> str:
    """SHA-256 of the NCHW bytes."""
    pixels = np.stack(output["pixel_values"])
    wanted = "<f4" if np.issubdtype(pixels.dtype, np.floating) else "u1"
    return hashlib.sha256(np.ascontiguousarray(pixels, wanted).tobytes()).hexdigest()


def processor(**options: object):
    """The image processor as the published preprocessor_config.json sets it."""
    from transformers import CLIPImageProcessor

    options |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    return CLIPImageProcessor(size=SIZE, crop_size=SIZE, resample=3, **options)


def bare():
    """The processor without arithmetic: 8-bit pixels."""
    return processor(do_rescale=False, do_normalize=False)


def image(path: Path, given: dict) -> tuple[list, None]:
    """Resized in the file's own mode; or in tiles, for which it is made RGB first."""
    from PIL import Image

    opened = Image.open(path)
    if "max-tiles" not in given:
        return [opened.resize((SIZE, SIZE))], None
    opened = opened.convert("RGB")
    columns, rows = grid(*opened.size, given["max-tiles"])
    whole = opened.resize((columns * SIZE, rows * SIZE))
    corners = [(SIZE * x, SIZE * y) for y in range(rows) for x in range(columns)]
    return [whole.crop((x, y, x + SIZE, y + SIZE)) for x, y in corners] + [opened.resize((SIZE, SIZE))], None


def grid(width: int, height: int, most: int) -> tuple[int, int]:
    """Columns and rows: of the nearest ratios the first, or a larger one that the picture would half fill."""
    grids = [(c, r) for c in range(1, most + 1) for r in range(1, most // c + 1)]
    best, least = (1, 1), float("inf")
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        distance = abs(width / height - columns / rows)
        fills = width * height > 0.5 * SIZE * SIZE * columns * rows
        if distance < least or (distance == least and fills):
            best, least = (columns, rows), distance
    return best


def video(path: Path, given: dict) -> tuple[list, list[int]]:
    """Frames in the middle of equal parts of the clip, or of the seconds from start to end."""
    from decord import VideoReader, cpu
    from PIL import Image

    reader = VideoReader(str(path), ctx=cpu(0), num_threads=1)
    fps, count = reader.get_avg_fps(), given.get("frames", int(given.get("seconds", 0)))
    first = max(0, round(given.get("start", -100000) * fps))
    last = min(round(given.get("end", 100000) * fps), len(reader) - 1)
    part = (last - first) / count
    indices = [int(first + part / 2 + np.round(part * number)) for number in range(count)]
    frames = [Image.fromarray(reader[index].asnumpy()).convert("RGB") for index in indices]
    return [frame.resize((SIZE, SIZE)) for frame in frames], indices


def volume(path: Path, _given: dict) -> tuple[list, list[int]]:
    """Slices, each stretched to its own range. The script itself takes no size but 32 x 256 x 256."""
    from PIL import Image

    slices = np.load(path)
    slices = slices[0] if slices.ndim == 4 else slices
    indices = np.linspace(0, len(slices) - 1, 11, dtype=int).tolist()
    with np.errstate(all="ignore"):
        windowed = [window(slices[index]) for index in indices]
    return [Image.fromarray(np.stack([grey] * 3, axis=2)) for grey in windowed], indices


def window(values: np.ndarray) -> np.ndarray:
    """uint8; every step in the type of the values."""
    least, most = values.min(), values.max()
    if most - least == 0:
        return np.zeros(values.shape, np.uint8)
    return ((values - least) / (most - least) * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
