"""Small files that claim much work or memory: each is read or refused, and what it costs is printed.

    python tests/bombs/run.py [PART_OF_A_NAME]...

Each is asked about in a process of its own with the demo model. Refusals are exit code 2. A file may take 8
bytes for each pixel that it may have, and 300 MB; more is exit code 1 of this script. Times are printed, and
compared with nothing.
"""

import io
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
FLEMING = Path(os.environ.get("FLEMING_BINARY", ROOT / "target" / "debug" / "fleming"))
SIDE = 13_000
Image.MAX_IMAGE_PIXELS = None


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, kind: int, depth: int, data: bytes, *others: bytes) -> bytes:
    """A PNG whose pixels are packed already."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(others) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zeros, packed."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(1 << 24, count - at))) for at in range(0, count, 1 << 24)]
    return b"".join(parts) + packer.flush()


def tiff(tags: list[tuple[int, list[int]]], data: bytes, following: int = 0) -> bytes:
    """A little-endian TIFF of LONG tags; data begin at 8."""
    at = 8 + len(data) + len(data) % 2
    body, entries = data + bytes(len(data) % 2), b""
    end = at + 2 + 12 * len(tags) + 4
    outside = b""
    for tag, values in tags:
        if len(values) == 1:
            entries += struct.pack("<HHII", tag, 4, 1, values[0])
        else:
            entries += struct.pack("<HHII", tag, 4, len(values), end + len(outside))
            outside += np.array(values, "<u4").tobytes()
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", at) + body + directory + outside


def picture(side: int, bits: int, compression: int, **others: object) -> list[tuple[int, list[int]]]:
    """The tags of a square picture in one strip of whatever length is told."""
    tags = {256: [side], 257: [side], 258: [bits], 259: [compression], 262: [1], 273: [8]}
    tags |= {277: [1], 278: [side]}
    tags |= {int(tag[1:]): values for tag, values in others.items()}
    return sorted(tags.items())


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def gif(width: int, height: int, pictures: int) -> bytes:
    """An animation of pictures that fill the screen with one colour."""
    file = io.BytesIO()
    Image.new("P", (width, height)).save(file, "GIF")
    whole = file.getvalue()
    first = whole.index(b"\x2c", 13)
    # A delay, so that equal pictures are not one.
    control = b"\x21\xf9\x04\x04\x0a\0\0\0"
    return whole[:first] + (control + whole[first:-1]) * pictures + b";"


def webp(side: int) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (9, 8, 7)).save(file, "WEBP", lossless=True, method=0)
    return file.getvalue()


def avif(side: int, claimed: int) -> bytes:
    """A picture of one colour that says another size of itself."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (9, 8, 7)).save(file, "AVIF", speed=10)
    whole = file.getvalue()
    sizes = b"ispe\0\0\0\0" + struct.pack(">II", side, side)
    return whole.replace(sizes, sizes[:8] + struct.pack(">II", claimed, claimed))


def bmp(width: int, height: int) -> bytes:
    """Run lengths of rows that end after one pixel."""
    data = b"\1\0\0\0" * height + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    first = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
    return first + header + bytes(range(256)) * 4 + data


def npy(shape: str, kind: str = "|u1") -> bytes:
    """The header of an array."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


def npz(shape: str, count: int) -> bytes:
    """An archive of an array with so many zeros."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("volume.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(shape))
        for at in range(0, count, 1 << 24):
            member.write(bytes(min(1 << 24, count - at)))
    return file.getvalue()


def shared_strips() -> bytes:
    """4000 rows that all are one strip of a megabyte that unpacks to one byte."""
    strip = b"\x80" * (1 << 20) + b"\0\7"
    tags = picture(1, 8, 32773, t257=[4000], t278=[1], t273=[8] * 4000, t279=[len(strip)] * 4000)
    return tiff(tags, strip)


def shared_tiles() -> bytes:
    """Tiles of 16 × 16 that all are the same one."""
    tile = zlib.compress(bytes(256))
    count = (-(-SIDE // 16)) ** 2
    tags = picture(SIDE, 8, 8, t322=[16], t323=[16], t324=[8] * count, t325=[len(tile)] * count)
    return tiff([tag for tag in tags if tag[0] not in (273, 278)], tile)


def stored(bits: int, samples: int, form: int) -> bytes:
    """A deflated picture of one strip."""
    data = zeros(SIDE * SIDE * samples * bits // 8)
    tags = picture(SIDE, bits, 8, t258=[bits] * samples, t262=[2 if samples == 3 else 1], t277=[samples])
    return tiff([*tags, (279, [len(data)]), (339, [form] * samples)], data)


def noted(name: bytes, begin: bytes) -> bytes:
    """A PNG of 2 × 2 pixels with a chunk that unpacks to a gigabyte."""
    return png(2, 2, 2, 8, zlib.compress(bytes(14)), chunk(name, begin + zeros(1 << 30)))


#: Name, whether it is asked about as a video, pixels that it may have, and what makes it.
BOMBS = [
    ("plain.png", "image", 4, lambda: png(2, 2, 2, 8, zlib.compress(bytes(14)))),
    ("large.png", "image", SIDE**2, lambda: png(SIDE, SIDE, 2, 8, zeros((3 * SIDE + 1) * SIDE))),
    ("wide.png", "image", SIDE**2, lambda: png(SIDE, SIDE, 6, 16, zeros((8 * SIDE + 1) * SIDE))),
    ("huge.png", "image", 0, lambda: png(1 << 30, 1 << 30, 2, 8, b"")),
    ("column.png", "image", 0, lambda: png(1, 170_000_000, 2, 8, zeros(4 * 170_000_000))),
    ("idat.png", "image", 4, lambda: png(2, 2, 2, 8, zeros(1 << 30))),
    ("ztxt.png", "image", 4, lambda: noted(b"zTXt", b"Raw profile type exif\0\0")),
    ("itxt.png", "image", 4, lambda: noted(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")),
    ("iccp.png", "image", 4, lambda: noted(b"iCCP", b"icc\0\0")),
    ("scans-small.jpg", "image", 1000**2, lambda: scans(1000, 500)),
    ("scans.jpg", "image", 0, lambda: scans(8000, 500)),
    ("scans-few.jpg", "image", SIDE**2, lambda: scans(SIDE, 2)),
    ("first.gif", "image", SIDE**2, lambda: gif(SIDE, SIDE, 2)),
    ("many.gif", "video", SIDE**2, lambda: gif(SIDE, SIDE, 100)),
    ("long.gif", "video", 1000**2, lambda: gif(1000, 1000, 5000)),
    ("large.webp", "image", SIDE**2, lambda: webp(SIDE)),
    ("large.avif", "image", 8000**2, lambda: avif(8000, 8000)),
    ("claims.avif", "image", 8000**2, lambda: avif(8000, 2)),
    ("claims-more.avif", "image", 0, lambda: avif(16, 1 << 30)),
    ("rows.bmp", "image", SIDE**2, lambda: bmp(SIDE, SIDE)),
    ("shared-strips.tif", "image", 4000, shared_strips),
    ("shared-tiles.tif", "image", SIDE**2, shared_tiles),
    ("floats.tif", "image", SIDE**2, lambda: stored(32, 1, 3)),
    ("colour-floats.tif", "image", SIDE**2, lambda: stored(32, 3, 3)),
    ("loop.tif", "image", 4, lambda: tiff(picture(2, 8, 1, t279=[4]), bytes(4), 8 + 4)),
    ("2-to-60.npy", "volume", 0, lambda: npy("(1152921504606846976, 1, 1)") + bytes(64)),
    ("2-to-60.npz", "volume", 0, lambda: npz("(1048576, 1048576, 1048576)", 1 << 20)),
    ("swells.npz", "volume", 11 * 10**6, lambda: npz("(4000, 1000, 1000)", 4 * 10**9)),
    ("swells-more.npz", "volume", 0, lambda: npz("(9000, 1000, 1000)", 9 * 10**9)),
]


def ask(path: Path, kind: str) -> tuple[int, float, int, str]:
    """Exit code, seconds of the processor, bytes at most, the last line on stderr."""
    command = [FLEMING, "ask", f"--{kind}", path, "-q", "What is seen?", "--max-new-tokens", "1"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, cwd=ROOT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines() or [""]
    return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, lines[-1]


def write(name: str, path: str) -> int:
    """Writes a bomb. In a process of its own: what one has taken counts as taken by those that it starts."""
    make = next(make for known, _, _, make in BOMBS if known == name)
    Path(path).write_bytes(make())
    return 0


def main() -> int:
    """Runs the bombs whose names hold one of the arguments, or all."""
    wanted, worst, usual = sys.argv[1:], 0, None
    if wanted[:1] == ["--write"]:
        return write(*wanted[1:])
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, pixels, _ in BOMBS:
            if usual is not None and wanted and not any(part in name for part in wanted):
                continue
            path = Path(folder) / name
            subprocess.run([sys.executable, __file__, "--write", name, path], check=True)
            code, seconds, memory, line = ask(path, kind)
            if usual is None:
                usual = (seconds, memory)
            seconds, memory = seconds - usual[0], memory - usual[1]
            over = memory > 8 * pixels + 300_000_000
            worst |= over or code not in (0, 2)
            may = (8 * pixels + 300_000_000) / 1e6
            took = f"{seconds:6.1f} s {memory / 1e6:6.0f} MB of {may:5.0f}{' OVER' if over else ''}"
            print(f"{name:18} {path.stat().st_size:>9} bytes {took} exit {code} {line if code else ''}")
            path.unlink()
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
