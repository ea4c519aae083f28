"""What the library takes of an input: a file, its bytes, pictures or numbers."""

from __future__ import annotations

import io
import math
import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _options
from ._objects import array_of, content_of, facts_of_simpleitk, is_pillow, name_of, pixels_of, without_gaps
from ._options import Kind
from ._study import Study
from ._table import SUBJECTS
from .errors import InputError, RequestError

READABLE = (
    "a path, bytes, a file object, an image of Pillow, an array of NumPy, a tensor of PyTorch, "
    "a dataset of pydicom, an image of nibabel or of SimpleITK"
)
#: What to do where nothing else is known.
OF_INPUTS = "docs/python.md says what an input may be"
#: EXIF's tag of how a picture is turned, and its value for one that stands upright.
ORIENTATION, UPRIGHT = 0x0112, 1


@dataclass(frozen=True)
class File:
    """A file or folder of this machine."""

    path: str | os.PathLike[str]


@dataclass(frozen=True)
class Content:
    """The bytes of a whole file; an array of them where they were made of an array."""

    data: Any


@dataclass(frozen=True)
class Series:
    """Several files that are one study: all on disk, or all in memory."""

    files: Sequence[File] | Sequence[Content]


@dataclass(frozen=True)
class Pictures:
    """Pictures as an array `[count, height, width, channels]` of bytes, and the seconds of each."""

    pixels: Any
    times: Sequence[float] | None


@dataclass(frozen=True)
class Grid:
    """Numbers `[depth, height, width]` without gaps, of a volume or a grey picture, and what is known of
    them.
    """

    values: Any
    facts: Mapping[str, Any]


Source: TypeAlias = File | Content | Series | Pictures | Grid


def source(study: Study) -> Source:
    """What the library takes of a study."""
    timed = study.times is not None or study.fps is not None
    if timed and study.kind != "video":
        raise InputError.of("times, fps", "a video", study.kind, "leave times and fps out")
    known: Source | None = _as_file(study.data)
    if known is None and study.kind == "dicom":
        known = _series(study.data)
    if known is None:
        return MAKERS[study.kind](study)
    if timed:
        hint = "leave times and fps out"
        raise InputError.of("times, fps", "frames", "a file, which has its own", hint)
    if study.facts:
        raise InputError.of(next(iter(study.facts)), "an array", "a file, which has its own", "leave it out")
    return known


def fits(option: str, kind: Kind) -> bool:
    """Whether an option is about studies of a kind."""
    return kind in ANYTHING or SUBJECTS[option] == kind or (option in GREY and kind == "image")


#: Kinds of which the content decides.
ANYTHING = ("dicom", "file")
#: Options of volumes that are of grey pictures too.
GREY = ("window", "series")


def _as_file(data: Any) -> File | Content | None:
    """What is a file, or made into one as it is."""
    if isinstance(data, str | os.PathLike):
        return File(data)
    content = content_of(data)
    return None if content is None else Content(content)


def _series(data: Any) -> Series:
    """Several datasets or files of DICOM."""
    if not isinstance(data, list | tuple) or not data:
        raise InputError.of("dicom", f"{READABLE}, or a list of files or datasets", name_of(data), OF_INPUTS)
    items = [_as_file(item) for item in data]
    files = [item for item in items if isinstance(item, File)]
    contents = [item for item in items if isinstance(item, Content)]
    if len(files) == len(items):
        return Series(files)
    if len(contents) == len(items):
        return Series(contents)
    stray = next((item for item, known in zip(data, items, strict=True) if known is None), None)
    got = "paths among others" if stray is None else name_of(stray)
    raise InputError.of("dicom", "paths, or else datasets, bytes and file objects", got, OF_INPUTS)


def _volume(study: Study) -> Source:
    """An array as a file of NumPy's, which is what the library's rules for arrays are about; or with its
    facts.
    """
    if isinstance(study.data, list | tuple) and study.data and _as_file(study.data[0]) is not None:
        got = f"a list of {name_of(study.data[0])}"
        raise InputError.of("volume", "a file or an array", got, "give the files of a series as dicom=")
    array = array_of(study.data)
    if array is None or array.ndim not in (3, 4) or array.dtype.kind not in PLAIN:
        raise _refused("volume", "numbers of (depth, height, width)", study.data, array)
    facts = {**facts_of_simpleitk(study.data), **study.facts}
    if facts and array.ndim != 3:
        raise _refused("volume", "numbers of (depth, height, width)", study.data, array)
    if facts:
        return Grid(without_gaps(_narrow("volume", array)), facts)
    return Content(_file_of_array(array))


def _file_of_array(array: Any) -> Any:
    """The bytes of an array's file as `numpy.save` writes it, as an array. NumPy copies the numbers without
    Python's lock, so that other threads run meanwhile.
    """
    numpy, buffer = sys.modules["numpy"], io.BytesIO()
    form = numpy.lib.format
    form.write_array_header_1_0(buffer, form.header_data_from_array_1_0(array))
    start = buffer.tell()
    whole = numpy.empty(start + array.nbytes, "uint8")
    whole[:start] = numpy.frombuffer(buffer.getvalue(), "uint8")
    by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    numbers = numpy.ndarray(array.shape, array.dtype, whole, start, order="F" if by_columns else "C")
    numpy.copyto(numbers, array)
    return whole


def _picture(study: Study) -> Source:
    data = study.data
    if is_pillow(data):
        if study.facts:
            raise InputError.of(
                next(iter(study.facts)), "an array", "an image of Pillow, which has its own", "leave it out"
            )
        return _pillow(data)
    array = array_of(data)
    pixels = pixels_of(data, array)
    if pixels is None or pixels.ndim != 3:
        wanted = "numbers of (height, width), or bytes of (height, width, 3) or (height, width, 4)"
        raise _refused("image", wanted, data, array)
    if pixels.shape[-1] == 1:
        return Grid(_narrow("image", pixels[..., 0])[None], study.facts)
    if study.facts:
        raise InputError.of(next(iter(study.facts)), "an array of (height, width)", "colours", "leave it out")
    return Pictures(pixels[None], None)


def _pillow(image: Any) -> Source:
    """Plain colours as they are. What needs the library's rules (transparency, orientation) as a file."""
    if image.mode in MEANT:
        exif, image = image.getexif(), image.convert(MEANT[image.mode])
        image.getexif().update(exif)
    upright = image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
    numpy = sys.modules.get("numpy")
    if numpy and upright and image.mode in ("RGB", "L") and "transparency" not in image.info:
        return Pictures(numpy.asarray(image.convert("RGB"))[None], None)
    buffer = io.BytesIO()
    form = "TIFF" if image.mode in ("F", "I", "CMYK") else "PNG"
    try:
        image.save(buffer, form, exif=image.getexif(), **({"compress_level": 0} if form == "PNG" else {}))
    except (OSError, KeyError, ValueError) as error:
        hint = "convert it, such as image.convert('RGB')"
        raise InputError.of(
            "image", "a mode that a file has", f"the mode {image.mode}: {error}", hint
        ) from None
    return Content(buffer.getvalue())


#: Modes of Pillow that no file has, and those of the same meaning.
MEANT = {"YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
#: Kinds of NumPy's types that files of arrays have: truth values and numbers.
PLAIN = "biufc"


def _narrow(kind: str, array: Any) -> Any:
    """Numbers `[..., height, width]` of a type that the library takes, of the same values."""
    numpy, given = sys.modules["numpy"], array.dtype
    if given.kind == "b" and kind == "image":
        return array.astype("uint8") * 255
    if given.kind == "f" and given.itemsize == 2:
        array = array.astype("float32")
    if given.kind in "iu" and given.itemsize == 8 and array.size:
        low, high = int(array.min()), int(array.max())
        fits = [name for name in ("int32", "uint32") if _within(numpy.iinfo(name), low, high)]
        if not fits:
            hint = "scale them, or convert them to floating-point numbers"
            raise InputError.of(kind, "whole numbers of 32 bits", f"{given} from {low} to {high}", hint)
        array = array.astype(fits[0])
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        wanted = "8-, 16- or 32-bit integers, or floating-point numbers of 32 or 64 bits"
        raise InputError.of(kind, wanted, f"{given} of {tuple(array.shape)}", "convert it with .astype(…)")
    if kind == "image" and array.dtype.kind == "f" and not (finite := numpy.isfinite(array)).all():
        row, column = (int(place) for place in numpy.argwhere(~finite)[0])
        got = f"{array[row, column]} in row {row}, column {column}"
        raise InputError.of(kind, "finite numbers", got, "replace it, such as by numpy.nan_to_num")
    return array


def _within(info: Any, low: int, high: int) -> bool:
    return bool(info.min <= low and high <= info.max)


def _clip(study: Study) -> Source:
    """Frames of one size with their times."""
    data, numpy = study.data, sys.modules.get("numpy")
    if isinstance(data, list | tuple) and data and numpy:
        frames = [_frame(one) if is_pillow(one) else pixels_of(one, array_of(one)) for one in data]
        shapes = {getattr(frame, "shape", None) for frame in frames}
        if len(shapes) > 1:
            raise InputError.of(
                "video", "frames of one size", f"sizes {sorted(map(str, shapes))}", "resize them"
            )
        pixels = None if None in shapes else numpy.stack(frames)
    else:
        pixels = pixels_of(data, array_of(data))
    if pixels is None or pixels.ndim != 4 or pixels.dtype != "uint8":
        raise _refused("video", "frames as bytes of (count, height, width, 3)", data, array_of(data))
    times = study.times
    if study.fps is not None and times is None:
        if not 0 < (fps := _options.number("fps", study.fps)) < math.inf:
            raise RequestError.of("fps", "above 0 and finite", f"{study.fps}", "give frames a second")
        times = [place / fps for place in range(len(pixels))]
    if times is not None:
        times = _options.numbers("times", times)
        if any(time < 0 for time in times) or any(map(operator.ge, times, times[1:])):
            got = "a negative one" if min(times) < 0 else "one that is not above the one before"
            raise RequestError.of("times", "seconds from 0 on, in ascending order", got, "sort the frames")
    if times is None or len(times) != len(pixels) or (study.fps is not None and study.times is not None):
        got = "none" if times is None else f"{len(times)} times for {len(pixels)} frames"
        hint = "give fps= or times= (in seconds)"
        raise InputError.of("video", "the time of each frame", got, hint)
    return Pictures(pixels, times)


def _frame(image: Any) -> Any:
    """The colours of a frame of Pillow."""
    if image.mode[0] in "IF":
        hint = "scale it to 8 bits yourself"
        raise InputError.of("video", "frames of 8 bits", f"a frame of the mode {image.mode}", hint)
    return sys.modules["numpy"].asarray(image.convert("RGB"))


def _no_file(study: Study) -> Source:
    array = array_of(study.data)
    raise _refused(study.kind, "a file, or image=, video= or volume= of an array", study.data, array)


MAKERS: Mapping[str, Callable[[Study], Source]] = {
    "image": _picture,
    "video": _clip,
    "volume": _volume,
    "file": _no_file,
}


def _refused(kind: str, array: str, data: Any, got: Any) -> InputError:
    """An error for what is none of the things that may be an input."""
    if got is None:
        return InputError.of(kind, READABLE, name_of(data), OF_INPUTS)
    return InputError.of(kind, array, f"{got.dtype} of {tuple(got.shape)}", OF_INPUTS)
