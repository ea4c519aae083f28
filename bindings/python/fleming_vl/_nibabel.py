"""Images of nibabel as files in memory."""

from __future__ import annotations

import sys
from typing import Any

#: Images of two files, and those of one that say the same.
PAIRS = {"Nifti1Pair": "Nifti1Image", "Nifti2Pair": "Nifti2Image"}


def is_pair(image: Any) -> bool:
    """Whether it is one of two files, which has no bytes of its own."""
    return type(image).__name__ in PAIRS


def _single(image: Any) -> Any:
    """The class of an image of one file that says the same."""
    name = PAIRS.get(type(image).__name__)
    return type(image) if name is None else getattr(sys.modules["nibabel"], name)


def file(image: Any) -> bytes:
    """A file of an image: as it was stored where it was not changed since.

    Values that a file stores scaled are written as they are stored: nibabel itself would round them anew.
    """
    kind = _single(image)
    stored = image.dataobj
    if not hasattr(stored, "get_unscaled"):
        whole = image if kind is type(image) else kind(stored, image.affine, image.header)
        return bytes(whole.to_bytes())
    values, header = stored.get_unscaled(), image.header.copy()
    header.set_data_dtype(values.dtype)
    copy = kind(values, image.affine, header)
    if hasattr(copy.header, "set_slope_inter"):
        copy.header.set_slope_inter(stored.slope, stored.inter)
    return bytes(copy.to_bytes())
