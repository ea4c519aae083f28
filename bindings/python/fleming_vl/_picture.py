"""Pictures in the library's memory, as arrays."""

from __future__ import annotations

import ctypes
from typing import Any

from ._library import Handle


class Picture:
    """A picture, `[height, width, 3]` of uint8, RGB: `numpy.asarray(picture)` copies nothing.

    Attributes:
        shape: height and width in pixels, and 3.
    """

    def __init__(self, handle: Handle, facts: Any):
        self._handle = handle
        self.shape = (facts.height, facts.width, 3)
        self.__array_interface__ = array(facts.rgb, self.shape, "|u1")

    def __repr__(self) -> str:
        return f"<Picture of {self.shape}>"


def array(pointer: Any, shape: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Memory of the library as arrays are told of it; it may not be written to."""
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    return {"version": 3, "shape": shape, "typestr": kind, "data": (address, True)}
