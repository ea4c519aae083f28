"""What there is to look at: files, and objects of other libraries, which are not imported for it."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _nifti
from ._table import SUBJECTS, LookOptions
from .errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Unpack

Kind: TypeAlias = Literal["image", "video", "volume", "dicom"]

READABLE = (
    "a path, bytes, a file object, an image of Pillow, an array of NumPy, a tensor of PyTorch, "
    "a dataset of pydicom, an image of nibabel or of SimpleITK"
)
#: EXIF's tag of how a picture is turned, and its value for one that stands upright.
ORIENTATION, UPRIGHT = 0x0112, 1
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Study:
    """An input with options of its own: `Study.volume("ct.nii.gz", window="lung", slices=16)`.

    Attributes:
        kind: "image", "video", "volume" or "dicom".
        data: what `Engine.ask` takes as that keyword.
        options: options of docs/input.md, for this study alone.
        name: for messages and the reply, of an input that is no file of this machine.
        times: of a video of frames, the seconds of each from the start of the clip.
        fps: of a video of frames, frames a second, in place of times.
    """

    kind: Kind
    data: Any
    options: LookOptions = field(default_factory=LookOptions)
    name: str | None = None
    times: Sequence[float] | None = None
    fps: float | None = None

    @classmethod
    def image(cls, data: Any, *, name: str | None = None, **options: Unpack[LookOptions]) -> Study:
        """A picture."""
        return cls("image", data, options, name)

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
        """A clip."""
        return cls("video", data, options, name, times, fps)

    @classmethod
    def volume(cls, data: Any, *, name: str | None = None, **options: Unpack[LookOptions]) -> Study:
        """A volume."""
        return cls("volume", data, options, name)

    @classmethod
    def dicom(cls, data: Any, *, name: str | None = None, **options: Unpack[LookOptions]) -> Study:
        """A study of DICOM files."""
        return cls("dicom", data, options, name)


@dataclass(frozen=True)
class File:
    """A file or folder of this machine."""

    path: str | os.PathLike[str]


@dataclass(frozen=True)
class Content:
    """The bytes of a whole file."""

    data: Any


@dataclass(frozen=True)
class Pictures:
    """Pictures as an array `[count, height, width, 3]` of bytes without gaps, and the seconds of each."""

    pixels: Any
    times: Sequence[float] | None


Source: TypeAlias = File | Content | Pictures


def source(study: Study) -> Source:
    """What the library takes of a study."""
    data = study.data
    timed = study.times is not None or study.fps is not None
    if timed and study.kind != "video":
        raise InputError(f"times, fps: wanted a video, got {study.kind}", "leave times and fps out")
    known = _as_file(data)
    if known is None and study.kind == "dicom":
        known = _dicom(data)
    if known is None and study.kind == "volume":
        known = _volume(data)
    if known is not None:
        if timed:
            raise InputError(
                "times, fps: wanted frames, got a file, which has its own", "leave times and fps out"
            )
        return known
    return _clip(study) if study.kind == "video" else _picture(data)


def fits(option: str, kind: Kind) -> bool:
    """Whether an option is about studies of a kind."""
    return kind in ("dicom", SUBJECTS[option])


def _as_file(data: Any) -> Source | None:
    """What is a file, or made into one as it is."""
    if isinstance(data, str | os.PathLike):
        return File(data)
    content = next((content for fits, content in CONTENTS if fits(data)), None)
    return None if content is None else Content(content(data))


def _read(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes | bytearray):
        raise InputError(f"file object: wanted bytes, got {_name(content)}", "open the file with 'rb'")
    return bytes(content)


def _dicom_file(dataset: Any) -> bytes:
    """The file of a dataset of pydicom."""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def _dicom(data: Any) -> Source:
    """Several datasets or files of DICOM as one archive in memory."""
    if not isinstance(data, list | tuple) or not data:
        raise InputError(f"dicom: wanted {READABLE}, or a list of files or datasets, got {_name(data)}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, item in enumerate(data):
            content = _as_file(item)
            if isinstance(content, File):
                archive.write(content.path, f"{place}.dcm")
            elif isinstance(content, Content):
                archive.writestr(f"{place}.dcm", content.data)
            else:
                raise InputError(f"dicom: wanted files or datasets, got {_name(item)} at place {place}")
    return Content(buffer.getvalue())


def _volume(data: Any) -> Source:
    """An array as a file of NumPy's, which is what the library's rules for arrays are about."""
    array = _array(data)
    if array is None or array.ndim not in (3, 4):
        raise _refused("volume", "an array of (depth, height, width)", data, array)
    numpy = sys.modules["numpy"]
    buffer = io.BytesIO()
    numpy.save(buffer, array, allow_pickle=False)
    return Content(buffer.getvalue())


def _picture(data: Any) -> Source:
    if _is_pillow(data):
        return _pillow(data)
    pixels = _pixels(data)
    if pixels is None or pixels.ndim != 3:
        raise _refused("image", "bytes of (height, width) or (height, width, 3)", data, _array(data))
    return Pictures(pixels[None], None)


def _pillow(image: Any) -> Source:
    """Plain colours as they are. What needs the library's rules (transparency, orientation) as a file."""
    upright = image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
    numpy = sys.modules.get("numpy")
    if numpy and upright and image.mode in ("RGB", "L") and "transparency" not in image.info:
        return Pictures(numpy.asarray(image.convert("RGB"))[None], None)
    buffer = io.BytesIO()
    form = "TIFF" if image.mode in ("F", "CMYK") else "PNG"
    image.save(buffer, form, exif=image.getexif(), **({"compress_level": 0} if form == "PNG" else {}))
    return Content(buffer.getvalue())


def _clip(study: Study) -> Source:
    """Frames of one size with their times."""
    data = study.data
    numpy = sys.modules.get("numpy")
    if isinstance(data, list | tuple) and data and numpy:
        frames = [numpy.asarray(one.convert("RGB")) if _is_pillow(one) else _pixels(one) for one in data]
        shapes = {getattr(frame, "shape", None) for frame in frames}
        if len(shapes) > 1:
            raise InputError(f"video: wanted frames of one size, got sizes {sorted(map(str, shapes))}")
        pixels = None if None in shapes else numpy.stack(frames)
    else:
        pixels = _pixels(data)
    if pixels is None or pixels.ndim != 4:
        raise _refused("video", "frames as bytes of (count, height, width, 3)", data, _array(data))
    times = study.times
    if study.fps is not None and times is None:
        times = [place / study.fps for place in range(len(pixels))]
    if times is None or len(times) != len(pixels) or (study.fps is not None and study.times is not None):
        got = "none" if times is None else f"{len(times)} times for {len(pixels)} frames"
        hint = "give fps= or times= (in seconds)"
        raise InputError(f"video: wanted the time of each frame, got {got}", hint)
    return Pictures(pixels, [float(time) for time in times])


def _pixels(data: Any) -> Any:
    """Bytes `[..., height, width, 3]` of an array of bytes; None if it is none.

    NumPy has channels last, PyTorch before height and width.
    """
    array = _array(data)
    if array is None or array.dtype.kind != "u" or array.dtype.itemsize != 1:
        return None
    numpy = sys.modules["numpy"]
    channels_first = _is_tensor(data) and array.ndim >= 3 and array.shape[-3] in CHANNELS
    if channels_first:
        array = numpy.moveaxis(array, -3, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim < 3 or array.shape[-1] not in CHANNELS:
        return None
    if array.shape[-1] == 1:
        array = numpy.repeat(array, 3, axis=-1)
    return numpy.ascontiguousarray(array)


def _array(data: Any) -> Any:
    """An array of NumPy of an array or tensor of whatever library; None if it is none."""
    if _is_tensor(data):
        data = data.detach().cpu()
        data = (data.float() if str(data.dtype) == "torch.bfloat16" else data).numpy()
    elif _is_simpleitk(data):
        data = sys.modules[_library_of(data)].GetArrayViewFromImage(data)
    elif _has(data, "__array__") and _library_of(data) != "numpy":
        data = data.__array__()
    return data if _has(data, "ndim", "dtype", "shape") else None


def _is_bytes(data: Any) -> bool:
    return isinstance(data, bytes | bytearray) or (isinstance(data, memoryview) and data.ndim == 1)


def _is_dataset(data: Any) -> bool:
    return _has(data, "save_as", "group_dataset")


def _is_nibabel(data: Any) -> bool:
    return _has(data, "dataobj", "affine", "to_bytes")


def _is_simpleitk(data: Any) -> bool:
    return _has(data, "GetPixelIDTypeAsString", "GetDirection")


def _is_volume_of_simpleitk(data: Any) -> bool:
    return _is_simpleitk(data) and data.GetDimension() > 2


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
    (_is_nibabel, _nifti.from_nibabel),
    (_is_volume_of_simpleitk, _nifti.from_simpleitk),
    (_is_open_file, _read),
)


def _library_of(data: Any) -> str:
    """The name of the library of an object, which is loaded, as the object is there."""
    return type(data).__module__.partition(".")[0]


def _has(data: Any, *names: str) -> bool:
    return not isinstance(data, type) and all(hasattr(data, name) for name in names)


def _name(data: Any) -> str:
    return f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")


def _refused(kind: str, array: str, data: Any, got: Any) -> InputError:
    """An error for what is none of the things that may be an input."""
    if got is None:
        return InputError(f"{kind}: wanted {READABLE}, got {_name(data)}")
    return InputError(f"{kind}: wanted {array}, got {got.dtype} of {tuple(got.shape)}")
