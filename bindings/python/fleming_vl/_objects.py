"""What objects of other libraries are. These libraries are not imported for it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

from . import _nibabel
from .errors import InputError

#: Bytes of a pixel: grey, RGB, RGBA.
CHANNELS = (1, 3, 4)


def content_of(data: Any) -> bytes | None:
    """The content of a file of what has one, or is made into one as it is; None of anything else."""
    content = next((content for fits, content in CONTENTS if fits(data)), None)
    return None if content is None else content(data)


def _read(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes | bytearray):
        raise InputError.of("file object", "bytes", name_of(content), "open the file with 'rb'")
    return bytes(content)


def _dicom_file(dataset: Any) -> bytes:
    """The file of a dataset of pydicom."""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def pixels_of(data: Any, array: Any) -> Any:
    """Pixels `[..., height, width, channels]` of an array, bytes where they are colours; None if they are
    none.

    NumPy has channels last, PyTorch before height and width.
    """
    if array is None:
        return None
    if _is_tensor(data) and array.ndim >= 3 and array.shape[-3] in CHANNELS:
        array = sys.modules["numpy"].moveaxis(array, -3, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim < 3 or array.shape[-1] not in CHANNELS:
        return None
    if array.shape[-1] != 1 and array.dtype != "uint8":
        return None
    return without_gaps(array)


def without_gaps(array: Any) -> Any:
    """The array in the machine's byte order and row by row."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return sys.modules["numpy"].ascontiguousarray(native)


def facts_of_simpleitk(image: Any) -> dict[str, Any]:
    """How a volume of SimpleITK lies: its axes are columns, rows and slices, its patient is DICOM's."""
    if not _is_simpleitk(image) or image.GetDimension() != 3:
        return {}
    matrix = image.GetDirection()
    return {
        "spacing_mm": image.GetSpacing()[::-1],
        "directions": [[matrix[3 * row + axis] for row in range(3)] for axis in (2, 1, 0)],
        "origin_mm": image.GetOrigin(),
    }


def array_of(data: Any) -> Any:
    """An array of NumPy of an array or tensor of whatever library; None if it is none."""
    if _is_tensor(data):
        data = data.detach().cpu()
        data = (data.float() if str(data.dtype) == "torch.bfloat16" else data).numpy()
    elif _is_simpleitk(data):
        several = data.GetNumberOfComponentsPerPixel()
        if several != 1 and data.GetDimension() > 2:
            hint = "choose one of them with SimpleITK.VectorIndexSelectionCast"
            raise InputError.of("SimpleITK image", "one number for each voxel", f"{several}", hint)
        kind = data.GetPixelIDTypeAsString()
        if "label" in kind or "complex" in kind:
            # SimpleITK ends the process where it is asked for the array of a label map.
            hint = (
                "make an image of numbers: SimpleITK.LabelMapToLabel"
                if "label" in kind
                else "take its magnitude"
            )
            raise InputError.of("SimpleITK image", "numbers", f"a {kind}", hint)
        data = sys.modules[_library_of(data)].GetArrayViewFromImage(data)
    elif _has(data, "__array__") and _library_of(data) != "numpy":
        data = data.__array__()
    if _has(data, "mask", "filled", "dtype"):
        if hidden := int(sys.modules["numpy"].ma.getmaskarray(data).sum()):
            hint = "say what stands there: array.filled(value)"
            raise InputError.of("array", "numbers everywhere", f"{hidden} that are masked", hint)
        data = data.data
    return data if _has(data, "ndim", "dtype", "shape") else None


def _is_bytes(data: Any) -> bool:
    return isinstance(data, bytes | bytearray) or (isinstance(data, memoryview) and data.ndim == 1)


def _is_dataset(data: Any) -> bool:
    return _has(data, "save_as", "group_dataset")


def _is_nibabel(data: Any) -> bool:
    return _has(data, "dataobj", "affine") and (_has(data, "to_bytes") or _nibabel.is_pair(data))


def _is_simpleitk(data: Any) -> bool:
    return _has(data, "GetPixelIDTypeAsString", "GetDirection")


def _is_tensor(data: Any) -> bool:
    return _has(data, "detach", "cpu")


def is_pillow(data: Any) -> bool:
    return _has(data, "getexif", "tobytes", "mode")


def _is_open_file(data: Any) -> bool:
    return _has(data, "read") and not _has(data, "shape")


#: What is made into the content of a file, and how.
CONTENTS: tuple[tuple[Callable[[Any], bool], Callable[[Any], bytes]], ...] = (
    (_is_bytes, bytes),
    (_is_dataset, _dicom_file),
    (_is_nibabel, _nibabel.file),
    (_is_open_file, _read),
)


def _library_of(data: Any) -> str:
    """The name of the library of an object, which is loaded, as the object is there."""
    return type(data).__module__.partition(".")[0]


def _has(data: Any, *names: str) -> bool:
    return not isinstance(data, type) and all(hasattr(data, name) for name in names)


def name_of(data: Any) -> str:
    return f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
