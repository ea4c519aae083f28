"""A series of slices as a scanner stores it: DICOM files of explicit little-endian elements (PS3.5 7.1), the
pixels lossless JPEG of first-order prediction (PS3.5 A.4.2, T.81 Annex H).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
LOSSLESS_JPEG = "1.2.840.10008.1.2.4.70"
#: of ours, below the root of numbers that anybody may draw (PS3.5 B.2)
ROOT = "2.25.327412309583022674821901337524108766351"
#: value representations whose lengths have 32 bits
LONG = ("OB", "SQ", "UN")
BITS = 12
#: Hounsfield units of a stored number: steps that no eye sees
SLOPE, INTERCEPT = 10, -1100
#: centre and width of the window in Hounsfield units
WINDOW = (0, 2000)
#: bits of the code of each category of differences, 0 to 12; no code is all ones
CODE_LENGTHS = (2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)


def series(slices: np.ndarray, spacing: tuple[float, float, float]) -> Iterator[bytes]:
    """The files of ``slices`` [S, H, W], multiples of ``SLOPE`` in Hounsfield units, the uppermost first,
    anterior on top, the patient's right on the left; ``spacing`` in millimetres between slices, rows and
    columns. The middle of the volume is at 0.
    """
    depth, height, width = slices.shape
    between, rows, columns = spacing
    for number, values in enumerate(slices):
        left, top = -columns * (width - 1) / 2, -rows * (height - 1) / 2
        place = (left, top, between * ((depth - 1) / 2 - number))
        stored = (values.astype(np.int64) - INTERCEPT) // SLOPE
        yield _file(f"{ROOT}.3.{number + 1}", _elements(number + 1, stored, place, spacing))


def _file(uid: str, elements: list[tuple[int, str, str | int | bytes]]) -> bytes:
    meta = [(0x00020001, "OB", b"\0\1"), (0x00020002, "UI", CT_IMAGE), (0x00020003, "UI", uid)]
    meta += [(0x00020010, "UI", LOSSLESS_JPEG), (0x00020012, "UI", f"{ROOT}.0")]
    described = b"".join(_element(*each) for each in meta)
    length = _element(0x00020000, "UL", struct.pack("<I", len(described)))
    elements = sorted([(0x00080016, "UI", CT_IMAGE), (0x00080018, "UI", uid), *elements])
    return bytes(128) + b"DICM" + length + described + b"".join(_element(*each) for each in elements)


def _elements(number: int, stored: np.ndarray, place: tuple, spacing: tuple) -> list:
    height, width = stored.shape
    between, rows, columns = spacing
    return [
        (0x00080005, "CS", "ISO_IR 100"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080020, "DA", ""),
        (0x00080030, "TM", ""),
        (0x00080050, "SH", ""),
        (0x00080060, "CS", "CT"),
        (0x00080070, "LO", "drawn by fleming_export.demo"),
        (0x00080090, "PN", ""),
        (0x00100010, "PN", "Drawn^Nobody"),
        (0x00100020, "LO", "DRAWN"),
        (0x00100030, "DA", ""),
        (0x00100040, "CS", ""),
        (0x00180050, "DS", f"{between:g}"),
        (0x00180060, "DS", ""),
        (0x00185100, "CS", "HFS"),
        (0x0020000D, "UI", f"{ROOT}.1"),
        (0x0020000E, "UI", f"{ROOT}.2"),
        (0x00200010, "SH", ""),
        (0x00200011, "IS", "1"),
        (0x00200012, "IS", "1"),
        (0x00200013, "IS", str(number)),
        (0x00200032, "DS", "\\".join(f"{part:.6g}" for part in place)),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", f"{ROOT}.4"),
        (0x00201040, "LO", ""),
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", height),
        (0x00280011, "US", width),
        (0x00280030, "DS", f"{rows:g}\\{columns:g}"),
        (0x00280100, "US", 16),
        (0x00280101, "US", BITS),
        (0x00280102, "US", BITS - 1),
        (0x00280103, "US", 0),
        (0x00281050, "DS", str(WINDOW[0])),
        (0x00281051, "DS", str(WINDOW[1])),
        (0x00281052, "DS", str(INTERCEPT)),
        (0x00281053, "DS", str(SLOPE)),
        (0x00281054, "LO", "HU"),
        (0x7FE00010, "OB", _fragments(lossless_jpeg(stored))),
    ]


def _element(tag: int, representation: str, value: str | int | bytes) -> bytes:
    """Tag, representation, length and value; compressed pixels end with a mark in place of their length."""
    if isinstance(value, int):
        value = struct.pack("<H", value)
    if isinstance(value, str):
        value = _even(value.encode("latin-1"), b"\0" if representation == "UI" else b" ")
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, representation.encode())
    if representation not in LONG:
        return head + struct.pack("<H", len(value)) + value
    length = 0xFFFFFFFF if tag == 0x7FE00010 else len(value)
    return head + struct.pack("<HI", 0, length) + value


def _even(value: bytes, filler: bytes) -> bytes:
    return value + filler * (len(value) % 2)


def _fragments(frame: bytes) -> bytes:
    """An empty table of offsets, one fragment, and the mark of the end."""
    item = struct.Struct("<HHI")
    frame = _even(frame, b"\0")
    whole = item.pack(0xFFFE, 0xE000, 0) + item.pack(0xFFFE, 0xE000, len(frame)) + frame
    return whole + item.pack(0xFFFE, 0xE0DD, 0)


def lossless_jpeg(samples: np.ndarray) -> bytes:
    """A lossless JPEG of ``samples`` [H, W], whole numbers of at most ``BITS`` bits: each is predicted by its
    left neighbour, the first of a row by the one above it.
    """
    height, width = samples.shape
    predicted = np.empty_like(samples)
    predicted[:, 1:] = samples[:, :-1]
    predicted[1:, 0] = samples[:-1, 0]
    predicted[0, 0] = 1 << (BITS - 1)
    counts = [CODE_LENGTHS.count(length) for length in range(1, 17)]
    categories = range(len(CODE_LENGTHS))
    table = bytes([0, *counts, *categories])
    frame = struct.pack(">BHHBBBB", BITS, height, width, 1, 1, 0x11, 0)
    scan = bytes([1, 1, 0, 1, 0, 0])
    segments = [(0xC3, frame), (0xC4, table), (0xDA, scan)]
    head = b"".join(struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in segments)
    return b"\xff\xd8" + head + _coded((samples - predicted).ravel()) + b"\xff\xd9"


def _coded(differences: np.ndarray) -> bytes:
    """Each difference as the code of its category and as many bits of it (T.81 H.1.2.2, F.1.2.1)."""
    category = np.ceil(np.log2(np.abs(differences) + 1)).astype(np.int64)
    low = np.where(differences < 0, differences + (1 << category) - 1, differences)
    codes, code, before = [], 0, CODE_LENGTHS[0]
    for length in CODE_LENGTHS:
        code <<= length - before
        codes.append(code)
        code, before = code + 1, length
    lengths = np.array(CODE_LENGTHS)[category] + category
    words = (np.array(codes)[category] << category) | low
    pairs = zip(words.tolist(), lengths.tolist(), strict=True)
    bits = "".join(f"{word:0{length}b}" for word, length in pairs)
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    # A byte of ones is followed by one of zeros, so that it is no marker.
    return packed.replace(b"\xff", b"\xff\0")
