"""What there is to look at: files, and objects of other libraries, which are not imported for it."""

from __future__ import annotations

import io
import math
import operator
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _nibabel, _options
from ._options import KINDS, Kind
from ._table import SUBJECTS, LookOptions
from .errors import InputError, RequestError

if TYPE_CHECKING:
    from typing_extensions import Unpack


READABLE = (
    "a path, bytes, a file object, an image of Pillow, an array of NumPy, a tensor of PyTorch, "
    "a dataset of pydicom, an image of nibabel or of SimpleITK"
)
#: What to do where nothing else is known.
OF_INPUTS = "docs/python.md says what an input may be"
#: EXIF's tag of how a picture is turned, and its value for one that stands upright.
ORIENTATION, UPRIGHT = 0x0112, 1
#: Bytes of a pixel: grey, RGB, RGBA.
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Space:
    """How an array of (depth, height, width) lies, and what it holds.

    Attributes:
        spacing_mm: millimetres between slices, rows and columns.
        directions: unit vectors: in which directions slices, rows and columns follow one another. x rises to
            the patient's left, y to posterior, z to the head, as in DICOM. With them an array is looked at as
            a scanner's volume.
        origin_mm: with directions, the middle of the first voxel in millimetres.
        kind: with directions, what the values are: "ct" (in Hounsfield units), "mr", "pet" or "other".
    """

    spacing_mm: Sequence[float] | None = None
    directions: Sequence[Sequence[float]] | None = None
    origin_mm: Sequence[float] | None = None
    kind: Literal["ct", "mr", "pet", "other"] | None = None


@dataclass(frozen=True)
class Study:
    """An input with options of its own: `Study.volume("ct.nii.gz", window="lung", slices=16)`.

    Attributes:
        kind: "image", "video", "volume", "dicom" or "file".
        data: what `Engine.ask` takes as that keyword.
        options: options of docs/input.md, for this study alone.
        name: for messages and the reply, of an input that is no file of this machine.
        times: of a video of frames, the seconds of each from the start of the clip.
        fps: of a video of frames, frames a second, in place of times.
        facts: of an array, what a file would say of it.
    """

    kind: Kind
    data: Any
    options: LookOptions = field(default_factory=LookOptions)
    name: str | None = None
    times: Sequence[float] | None = None
    fps: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RequestError.of("kind", " or ".join(KINDS), _shown(self.kind), "choose one of them")
        if self.name is not None and not isinstance(self.name, str):
            raise RequestError.of("name", "a text", _name(self.name), "pass a str")

    def __repr__(self) -> str:
        # What it holds, its name and its path may be a patient's.
        return f"<Study: {self.kind} of {_name(self.data)}>"

    @classmethod
    def image(
        cls,
        data: Any,
        *,
        name: str | None = None,
        bits: int | None = None,
        inverse: bool = False,
        **options: Unpack[LookOptions],
    ) -> Study:
        """A picture.

        Args:
            data: what `Engine.ask` takes as `image`.
            name: for messages and the reply.
            bits: of an array of (height, width), how many bits count, such as 12 of 16.
            inverse: of such an array, whether its lowest value is white, as in DICOM's MONOCHROME1.
            options: options of docs/input.md.
        """
        facts = {"bits": bits, "inverse": inverse or None}
        return cls("image", data, options, name, facts=_given(facts))

    @classmethod
    def video(
        cls,
        data: Any,
        *,
        name: str | None = None,
        times: Sequence[float] | None = None,
        fps: float | None = None,
        **options: Unpack[LookOptions],
    ) -> Study:
        """A clip: a file, or frames with their times in seconds or `fps` of them a second."""
        return cls("video", data, options, name, times, fps)

    @classmethod
    def volume(
        cls,
        data: Any,
        *,
        name: str | None = None,
        space: Space | None = None,
        **options: Unpack[LookOptions],
    ) -> Study:
        """A volume.

        Args:
            data: what `Engine.ask` takes as `volume`.
            name: for messages and the reply.
            space: of an array, how it lies.
            options: options of docs/input.md.
        """
        if space is not None and not isinstance(space, Space):
            raise RequestError.of("space", "a Space", _name(space), "Space(spacing_mm=(2.5, 0.7, 0.7))")
        facts = {} if space is None else vars(space)
        return cls("volume", data, options, name, facts=_given(facts))

    @classmethod
    def dicom(cls, data: Any, **options: Unpack[LookOptions]) -> Study:
        """A DICOM study: whatever its files hold."""
        return cls("dicom", data, options)

    @classmethod
    def file(cls, data: Any, *, name: str | None = None, **options: Unpack[LookOptions]) -> Study:
        """A file: an image, a video or a volume, as its content says."""
        return cls("file", data, options, name)


@dataclass(frozen=True)
class File:
    """A file or folder of this machine."""

    path: str | os.PathLike[str]


@dataclass(frozen=True)
class Content:
    """The bytes of a whole file."""

    data: bytes


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
    content = next((content for fits, content in CONTENTS if fits(data)), None)
    return None if content is None else Content(content(data))


def _read(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes | bytearray):
        raise InputError.of("file object", "bytes", _name(content), "open the file with 'rb'")
    return bytes(content)


def _dicom_file(dataset: Any) -> bytes:
    """The file of a dataset of pydicom."""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def _series(data: Any) -> Series:
    """Several datasets or files of DICOM."""
    if not isinstance(data, list | tuple) or not data:
        raise InputError.of("dicom", f"{READABLE}, or a list of files or datasets", _name(data), OF_INPUTS)
    items = [_as_file(item) for item in data]
    files = [item for item in items if isinstance(item, File)]
    contents = [item for item in items if isinstance(item, Content)]
    if len(files) == len(items):
        return Series(files)
    if len(contents) == len(items):
        return Series(contents)
    stray = next((item for item, known in zip(data, items, strict=True) if known is None), None)
    got = "paths among others" if stray is None else _name(stray)
    raise InputError.of("dicom", "paths, or else datasets, bytes and file objects", got, OF_INPUTS)


def _volume(study: Study) -> Source:
    """An array as a file of NumPy's, which is what the library's rules for arrays are about; or with its
    facts.
    """
    if isinstance(study.data, list | tuple) and study.data and _as_file(study.data[0]) is not None:
        got = f"a list of {_name(study.data[0])}"
        raise InputError.of("volume", "a file or an array", got, "give the files of a series as dicom=")
    array = _array(study.data)
    if array is None or array.ndim not in (3, 4) or array.dtype.kind not in PLAIN:
        raise _refused("volume", "numbers of (depth, height, width)", study.data, array)
    facts = {**_facts_of_simpleitk(study.data), **study.facts}
    if facts:
        return Grid(_without_gaps(_narrow("volume", array)), facts)
    buffer = io.BytesIO()
    sys.modules["numpy"].save(buffer, array, allow_pickle=False)
    return Content(buffer.getvalue())


def _picture(study: Study) -> Source:
    data = study.data
    if _is_pillow(data):
        if study.facts:
            raise InputError.of(
                next(iter(study.facts)), "an array", "an image of Pillow, which has its own", "leave it out"
            )
        return _pillow(data)
    array = _array(data)
    pixels = _pixels(data, array)
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
        frames = [_frame(one) if _is_pillow(one) else _pixels(one, _array(one)) for one in data]
        shapes = {getattr(frame, "shape", None) for frame in frames}
        if len(shapes) > 1:
            raise InputError.of(
                "video", "frames of one size", f"sizes {sorted(map(str, shapes))}", "resize them"
            )
        pixels = None if None in shapes else numpy.stack(frames)
    else:
        pixels = _pixels(data, _array(data))
    if pixels is None or pixels.ndim != 4 or pixels.dtype != "uint8":
        raise _refused("video", "frames as bytes of (count, height, width, 3)", data, _array(data))
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
    array = _array(study.data)
    raise _refused(study.kind, "a file, or image=, video= or volume= of an array", study.data, array)


MAKERS: Mapping[str, Callable[[Study], Source]] = {
    "image": _picture,
    "video": _clip,
    "volume": _volume,
    "file": _no_file,
}


def _pixels(data: Any, array: Any) -> Any:
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
    return _without_gaps(array)


def _without_gaps(array: Any) -> Any:
    """The array in the machine's byte order and row by row."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return sys.modules["numpy"].ascontiguousarray(native)


def _facts_of_simpleitk(image: Any) -> dict[str, Any]:
    """How a volume of SimpleITK lies: its axes are columns, rows and slices, its patient is DICOM's."""
    if not _is_simpleitk(image) or image.GetDimension() != 3:
        return {}
    matrix = image.GetDirection()
    return {
        "spacing_mm": image.GetSpacing()[::-1],
        "directions": [[matrix[3 * row + axis] for row in range(3)] for axis in (2, 1, 0)],
        "origin_mm": image.GetOrigin(),
    }


def _array(data: Any) -> Any:
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


def _is_pillow(data: Any) -> bool:
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


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _name(data: Any) -> str:
    return f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")


def _shown(data: Any) -> str:
    return data if isinstance(data, str) else _name(data)


def _refused(kind: str, array: str, data: Any, got: Any) -> InputError:
    """An error for what is none of the things that may be an input."""
    if got is None:
        return InputError.of(kind, READABLE, _name(data), OF_INPUTS)
    return InputError.of(kind, array, f"{got.dtype} of {tuple(got.shape)}", OF_INPUTS)
