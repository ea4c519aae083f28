"""Small inputs that the targets begin with: `python fuzz/seeds.py FOLDER` writes a folder for each target."""

import io
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models/demo"
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]

Seeds = Iterator[tuple[str, bytes]]


def picture(mode: str, size: tuple[int, int] = (19, 13)) -> Image.Image:
    """Ramps in a mode of Pillow."""
    y, x = np.mgrid[: size[1], : size[0]]
    red = np.stack([x * 13, y * 19, x * y, 255 - x], 2).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray((x * 3000 + y).astype(np.uint16))
    return Image.fromarray(red, "RGBA").convert(mode)


def saved(image: Image.Image, **options) -> bytes:
    """The file that Pillow writes; nothing if it does not take these options."""
    file = io.BytesIO()
    try:
        image.save(file, **options)
    except (OSError, ValueError, KeyError, RuntimeError):
        return b""
    return file.getvalue()


def pictures(format: str, variants: dict[str, list], modes: list[str] = MODES) -> Seeds:
    """A picture in every mode with every combination of options."""
    for mode, *values in itertools.product(modes, *variants.values()):
        options = {key: value for key, value in zip(variants, values, strict=True) if value is not None}
        name = "-".join(str(value) for value in (mode.replace(";", ""), *options.values()))
        yield name, saved(picture(mode), format=format, **options)


def frames(format: str, **options) -> bytes:
    """A picture that moves."""
    first, *others = [picture("RGB").rotate(step * 90) for step in range(3)]
    return saved(first, format=format, save_all=True, append_images=others, duration=100, **options)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def png() -> Seeds:
    yield from pictures("PNG", {"bits": [None, 1, 2, 4], "exif": [None, turned()]}, [*MODES[:-2], "I;16"])
    yield "apng", frames("PNG")
    yield "transparent", saved(picture("P"), format="PNG", transparency=3)


def jpeg() -> Seeds:
    variants = {"progressive": [None, True], "subsampling": [None, 0, 1, 2], "exif": [None, turned()]}
    yield from pictures("JPEG", variants, ["L", "RGB", "CMYK"])
    yield "restarts", saved(picture("RGB", (64, 48)), format="JPEG", restart_marker_rows=1)


def jpeg2000() -> Seeds:
    variants = {
        "irreversible": [None, True],
        "tile_size": [None, (8, 8)],
        "num_resolutions": [2],
        "no_jp2": [True],
    }
    yield from pictures("JPEG2000", variants, ["L", "LA", "RGB", "RGBA", "I;16"])
    layers = {"quality_mode": "rates", "quality_layers": [8, 2], "no_jp2": True}
    yield "layers", saved(picture("RGB", (64, 48)), format="JPEG2000", **layers)


def tiff() -> Seeds:
    kinds = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "group3", "tiff_ccitt"]
    variants = {"compression": kinds, "tiffinfo": [None, {317: 2}], "big_tiff": [None, True]}
    for name, content in pictures("TIFF", variants):
        yield name.replace("{317: 2}", "predictor"), content
    yield "float", saved(picture("L").convert("F"), format="TIFF")
    yield "whole", saved(picture("L").convert("I"), format="TIFF")
    yield "pages", frames("TIFF")
    yield "strips", saved(picture("RGB"), format="TIFF", compression="tiff_lzw", strip_size=200)


def gif() -> Seeds:
    yield from pictures("GIF", {"interlace": [0, 1]}, ["1", "L", "P", "RGB", "RGBA"])
    yield "moving", frames("GIF", disposal=2)


def webp() -> Seeds:
    yield from pictures("WEBP", {"lossless": [False, True], "exif": [None, turned()]}, ["RGB", "RGBA"])
    yield "moving", frames("WEBP")


def heif() -> Seeds:
    """AVIF; the boxes of HEIC are the same."""
    variants = {"subsampling": ["4:4:4", "4:2:0"], "exif": [None, turned()]}
    yield from pictures("AVIF", variants, ["L", "RGB", "RGBA"])
    yield "moving", frames("AVIF")


def bmp() -> Seeds:
    yield from pictures("BMP", {}, ["1", "L", "P", "RGB", "RGBA"])
    palette = b"".join(struct.pack("<BBBB", 255 - step, step, 7, 0) for step in range(4))
    for bits, kind, data in [
        (8, 1, b"\x05\x01\x00\x03\x01\x02\x03\x00\x00\x00\x00\x01"),
        (4, 2, b"\x08\x12\x00\x01"),
    ]:
        info = struct.pack("<IiiHHIIiiII", 40, 8, 2, 1, bits, kind, len(data), 0, 0, 4, 0)
        start = 14 + len(info) + len(palette)
        head = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
        yield f"runs-{bits}", head + info + palette + data


def npy() -> Seeds:
    kinds = ["<u1", "<i2", ">i2", "<u2", "<i4", "<u8", "<f2", "<f4", ">f8", "|b1"]
    for kind, fortran in itertools.product(kinds, [False, True]):
        file = io.BytesIO()
        cube = np.arange(3 * 5 * 7).reshape(3, 5, 7).astype(kind)
        np.save(file, np.asfortranarray(cube) if fortran else cube)
        yield f"{kind[1:]}-{'big' if kind[0] == '>' else 'little'}-{fortran}", file.getvalue()
    for version in [(2, 0), (3, 0)]:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.zeros((2, 3, 4), np.float32), version)
        yield f"version-{version[0]}", file.getvalue()


def npz() -> Seeds:
    cube = np.arange(3 * 5 * 7, dtype=np.int16).reshape(3, 5, 7)
    for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
        file = io.BytesIO()
        save(file, volume=cube)
        yield name, file.getvalue()
        file = io.BytesIO()
        save(file, image=cube, mask=cube > 9, spacing=np.ones(3))
        yield f"{name}-several", file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "no array")
    yield "other", file.getvalue()


def dicom() -> Seeds:
    """Explicit little-endian: the tags that a picture needs, and its pixels, plain or coded."""

    def element(group: int, number: int, kind: str, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        long = kind in ("OB", "OW", "SQ", "UN", "UT")
        # Fragments end with a mark of their own.
        size = 0xFFFFFFFF if kind == "OB" else len(value)
        length = b"\0\0" + struct.pack("<I", size) if long else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + kind.encode() + length + value

    def short(number: int) -> bytes:
        return struct.pack("<H", number)

    def item(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0xFFFE, number, len(value)) + value

    def file(bits: int, samples: int, frames: int, coded: tuple[bytes, bytes] = (b"1", b"")) -> bytes:
        kind, stream = coded
        syntax = element(2, 0x10, "UI", b"1.2.840.10008.1.2." + kind)
        meta = element(2, 0, "UL", struct.pack("<I", len(syntax))) + syntax
        size = 6 * 5 * samples * frames * bits // 8
        pixels = element(0x7FE0, 0x10, "OW", bytes(step * 7 % 256 for step in range(size)))
        if stream:
            fragments = item(0xE000, b"") + item(0xE000, stream) + item(0xE0DD, b"")
            pixels = element(0x7FE0, 0x10, "OB", fragments)
        data = [
            element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2"),
            element(8, 0x60, "CS", b"CT"),
            element(0x28, 2, "US", short(samples)),
            element(0x28, 4, "CS", b"RGB" if samples == 3 else b"MONOCHROME2"),
            element(0x28, 8, "IS", str(frames).encode()),
            element(0x28, 0x10, "US", short(5)),
            element(0x28, 0x11, "US", short(6)),
            element(0x28, 0x100, "US", short(bits)),
            element(0x28, 0x101, "US", short(bits)),
            element(0x28, 0x102, "US", short(bits - 1)),
            element(0x28, 0x103, "US", short(0)),
            element(0x28, 0x1050, "DS", b"40"),
            element(0x28, 0x1051, "DS", b"400"),
            element(0x28, 0x1052, "DS", b"-1024"),
            element(0x28, 0x1053, "DS", b"1"),
            pixels,
        ]
        return bytes(128) + b"DICM" + meta + b"".join(data)

    for bits, samples, frames in [(8, 1, 1), (16, 1, 1), (8, 3, 1), (16, 1, 3)]:
        yield f"{bits}-{samples}-{frames}", file(bits, samples, frames)
    # One segment of run lengths; nothing but zeros as JPEG-LS.
    runs = struct.pack("<16I", 1, 64, *[0] * 14) + b"\xe3\x05"
    zeros = bytes.fromhex("ffd8fff7000b080005000601011100ffda0008010100000000ff7effd9")
    yield "rle", file(8, 1, 1, (b"5", runs))
    yield "jpeg-ls", file(8, 1, 1, (b"4.80", zeros))
    for kind, format, options in [(b"4.50", "JPEG", {}), (b"4.90", "JPEG2000", {"no_jp2": True})]:
        for samples, mode in [(1, "L"), (3, "RGB")]:
            stream = saved(picture(mode, (6, 5)), format=format, **options)
            yield f"{format}-{samples}", file(8, samples, 1, (kind, stream))


def nifti() -> Seeds:
    """Version 1, alone in a file, in both byte orders and the usual types."""
    for order, (code, bits) in itertools.product("<>", [(2, 8), (4, 16), (8, 32), (16, 32), (64, 64)]):
        head = bytearray(352)
        struct.pack_into(f"{order}i", head, 0, 348)
        struct.pack_into(f"{order}8h", head, 40, 3, 5, 4, 3, 1, 1, 1, 1)
        struct.pack_into(f"{order}2h", head, 70, code, bits)
        struct.pack_into(f"{order}8f", head, 76, 1, 1, 1, 2, 0, 0, 0, 0)
        struct.pack_into(f"{order}3f", head, 108, 352, 1, 0)
        head[344:348] = b"n+1\0"
        yield f"{code}-{'little' if order == '<' else 'big'}", bytes(head) + bytes(5 * 4 * 3 * bits // 8)


def clip() -> Seeds:
    """Six frames in every container and in the codecs that this FFmpeg writes."""
    source = ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=6:duration=1"]
    kinds = [
        ("mp4", ["-c:v", "libx264"]),
        ("mp4", ["-c:v", "mpeg4"]),
        ("mp4", ["-c:v", "libx265"]),
        ("mov", ["-c:v", "mjpeg"]),
        ("mkv", ["-c:v", "libvpx-vp9"]),
        ("webm", ["-c:v", "libvpx"]),
        ("avi", ["-c:v", "mpeg4"]),
        ("avi", ["-c:v", "rawvideo"]),
        ("flv", ["-c:v", "flv1"]),
        ("wmv", ["-c:v", "wmv2"]),
        ("ogv", ["-c:v", "libtheora"]),
        ("mpg", ["-c:v", "mpeg1video"]),
        ("ts", ["-c:v", "mpeg2video"]),
    ]
    for number, (ending, codec) in enumerate(kinds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"clip.{ending}")
            command = ["ffmpeg", "-loglevel", "quiet", *source, *codec, "-threads", "1", str(path)]
            made = subprocess.run(command, check=False).returncode == 0
            yield f"{number}.{ending}", path.read_bytes() if made else b""


def manifest() -> Seeds:
    yield "demo", (DEMO / "fleming.json").read_bytes()


def tokenizer() -> Seeds:
    """The demo model's, and one with little in it."""
    whole = json.loads((DEMO / "tokenizer.json").read_text())
    yield "demo", json.dumps(whole).encode()
    vocabulary = whole["model"]["vocab"]
    whole["model"]["merges"] = whole["model"]["merges"][:20]
    whole["model"]["vocab"] = dict(itertools.islice(vocabulary.items(), 300))
    yield "small", json.dumps(whole).encode()


def graph() -> Seeds:
    for name in ("decoder.onnx", "vision.onnx"):
        yield name, (DEMO / name).read_bytes()


def session() -> Seeds:
    """What follows the head: tokens of each kind, and as many values as they have."""
    kv = json.loads((DEMO / "fleming.json").read_text())["kv"]
    each = 2 * kv["layers"] * kv["heads"] * kv["head_dim"] * 4
    text, scoped = b"\0" + struct.pack("<I", 5), b"\2" + struct.pack("<I", 6) + bytes(32)
    picture = b"\1" + struct.pack("<I", 0) + bytes(range(32))
    for name, tokens in [("none", []), ("text", [text] * 3), ("mixed", [text, scoped, picture])]:
        values = bytes(each * len(tokens))
        parts = [struct.pack("<Q", len(tokens)), *tokens, struct.pack("<Q", len(values)), values]
        yield name, b"".join(parts)


def text() -> Seeds:
    yield "plain", "What is shown? Größe: 3 × 4 µm.\n".encode()
    yield "marked", "\ufefftext after a mark\r\nsecond line".encode()
    yield "utf16", "text".encode("utf-16")
    yield "tags", b"<image>\n<|im_start|>system <IMG_CONTEXT> <think>x</think>"


def case() -> Seeds:
    for number, line in enumerate((ROOT / "examples/cases.jsonl").read_bytes().splitlines()):
        yield str(number), line
    studies = [
        {"volume": "a.npz", "slices": 4, "range": "1-5", "window": "40/400"},
        {"video": "b.mp4", "frames": 3},
    ]
    options = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop_strings": ["x"], "logit_bias": {"5": 1.5}}
    form = {"json_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
    history = [["<image> q", "a"], [[{"text": "q"}, "study"], "a"]]
    whole = {"question": "Why?", "studies": studies, "history": history, "system": "S", **options, **form}
    yield "whole", json.dumps(whole).encode()


def transcript() -> Seeds:
    pairs = [["<image>q", "a"], [[{"text": "<image>"}, "study"], [{"text": "b"}]]]
    yield "pairs", json.dumps(pairs).encode()
    whole = {"history": pairs, "studies": [{"image": "a.png"}, {"file": "b", "shared": True}], "system": "S"}
    yield "whole", json.dumps(whole).encode()


TARGETS = [
    bmp, case, clip, dicom, gif, graph, heif, jpeg, jpeg2000, manifest, nifti, npy, npz, png, session, text,
    tiff, tokenizer, transcript, webp,
]  # fmt: skip


def main() -> None:
    for target in TARGETS:
        folder = Path(sys.argv[1]) / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for name, content in target():
            if content:
                (folder / name).write_bytes(content)
                count += 1
        if not count:
            sys.exit(f"no seeds for {target.__name__}")
        print(f"{target.__name__}: {count}")


if __name__ == "__main__":
    main()
