"""Volumes of other libraries as NIfTI-1 files in memory: values as they are, and how the patient lies."""

from __future__ import annotations

import struct
import sys
from typing import Any

from .errors import InputError

HEADER_BYTES = 348
#: Where the values begin: the header, and four bytes that say that nothing else comes before them.
OFFSET = 352
MILLIMETRES = 2
#: The affine is that of a scanner.
SCANNER = 1
#: NIfTI's number of a type of values, by the kind and size of an array's.
TYPES = {
    "u1": 2,
    "i2": 4,
    "i4": 8,
    "f4": 16,
    "f8": 64,
    "i1": 256,
    "u2": 512,
    "u4": 768,
    "i8": 1024,
    "u8": 1280,
}


def from_nibabel(image: Any) -> bytes:
    """A file of an image of nibabel: as it was stored where it was not changed since.

    Values that a file stores scaled are written as they are stored: nibabel itself would round them anew.
    """
    stored = image.dataobj
    if not hasattr(stored, "get_unscaled"):
        return bytes(image.to_bytes())
    values, header = stored.get_unscaled(), image.header.copy()
    header.set_data_dtype(values.dtype)
    copy = type(image)(values, image.affine, header)
    if hasattr(copy.header, "set_slope_inter"):
        copy.header.set_slope_inter(stored.slope, stored.inter)
    return bytes(copy.to_bytes())


def from_simpleitk(image: Any) -> bytes:
    """A file of a volume of SimpleITK."""
    library = sys.modules[type(image).__module__.partition(".")[0]]
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"SimpleITK image: wanted one number for each voxel, got {image.GetNumberOfComponentsPerPixel()}",
            "choose one of them with SimpleITK.VectorIndexSelectionCast",
        )
    values = library.GetArrayViewFromImage(image)  # z, y, x: a file's order of bytes
    size, spacing = image.GetSize(), image.GetSpacing()
    if len(size) != 3:
        raise InputError(f"SimpleITK image: wanted 3 dimensions, got {len(size)}", "pass one volume of them")
    direction, origin = image.GetDirection(), image.GetOrigin()
    # ITK counts to the patient's left and back, NIfTI to the right and front.
    turn = (-1.0, -1.0, 1.0)
    rows = [
        [turn[axis] * direction[3 * axis + column] * spacing[column] for column in range(3)]
        + [turn[axis] * origin[axis]]
        for axis in range(3)
    ]
    kind = values.dtype.str.lstrip("<>=|")
    if kind not in TYPES:
        raise InputError(f"SimpleITK image: wanted integers or floating-point numbers, got {values.dtype}")
    header = bytearray(OFFSET)
    struct.pack_into("<i", header, 0, HEADER_BYTES)
    struct.pack_into("<8h", header, 40, 3, *size, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, TYPES[kind], 8 * values.dtype.itemsize)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<3f", header, 108, OFFSET, 1.0, 0.0)
    struct.pack_into("<B", header, 123, MILLIMETRES)
    struct.pack_into("<2h", header, 252, 0, SCANNER)
    for place, row in zip((280, 296, 312), rows, strict=True):
        struct.pack_into("<4f", header, place, *row)
    header[344:348] = b"n+1\0"
    content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return bytes(header) + bytes(content)
