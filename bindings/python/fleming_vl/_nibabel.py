"""Images of nibabel as files in memory."""

from __future__ import annotations

from typing import Any


def file(image: Any) -> bytes:
    """A file of an image: as it was stored where it was not changed since.

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
