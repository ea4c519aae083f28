"""A volume as a scanner's software writes it: NIfTI-1, packed. The layout is nifti1.h's."""

from __future__ import annotations

import gzip
import struct

import numpy as np

#: bytes of the header and of the four that say that no extension follows
HEADER = 352
INT16 = 4
MILLIMETRES = 2
SCANNER = 1


def encode(slices: np.ndarray, spacing: tuple[float, float, float]) -> bytes:
    """``slices`` [S, H, W] int16, the uppermost first, anterior on top, the patient's right on the left;
    ``spacing`` in millimetres between slices, rows and columns. The file's axes rise to the left, to
    posterior and to the head.
    """
    depth, height, width = slices.shape
    between, rows, columns = spacing
    header = bytearray(HEADER)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, width, height, depth, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, INT16, 16)
    struct.pack_into("<8f", header, 76, 1, columns, rows, between, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, HEADER, 1, 0)  # the first voxel, slope, intercept
    struct.pack_into("<B", header, 123, MILLIMETRES)
    struct.pack_into("<2h", header, 252, 0, SCANNER)
    # Places rise to the right, to anterior and to the head; the middle of the volume is at 0.
    affine = np.diag([-columns, -rows, between])
    corner = -affine @ (np.array([width, height, depth]) - 1) / 2
    struct.pack_into("<12f", header, 280, *np.column_stack([affine, corner]).ravel())
    struct.pack_into("<4s", header, 344, b"n+1")
    voxels = slices[::-1].astype("<i2").tobytes()
    return gzip.compress(bytes(header) + voxels, 9, mtime=0)
