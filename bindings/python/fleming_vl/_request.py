"""Questions as the library takes them, put together of what Python has."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _inputs, _options
from ._header import fleming_frames, fleming_modality
from ._inputs import File, Kind, Pictures, Source, Study
from ._library import Handle, c_path, c_text, library, made
from ._table import SUBJECTS, AnswerOptions, LookOptions
from .errors import RequestError

#: Earlier turns, oldest first: what was asked and what was answered.
History: TypeAlias = Sequence[tuple[str, str]]

KINDS: tuple[Kind, ...] = ("image", "video", "volume", "dicom")
MODALITIES = {
    "image": fleming_modality.IMAGE,
    "video": fleming_modality.VIDEO,
    "volume": fleming_modality.VOLUME,
    "dicom": fleming_modality.VOLUME,
}


class AskOptions(LookOptions, AnswerOptions, total=False):
    """What `Engine.ask` takes next to the question."""

    image: Any
    """A picture, or a list of them: a path, bytes, a file object, a Pillow or SimpleITK image, a pydicom
    dataset, or bytes (uint8) of (height, width) or (height, width, 3) as an array of NumPy; (3, height,
    width) of PyTorch."""
    video: Any
    """A clip: a path, bytes, a file object; or frames, a list of pictures of one size or bytes of (count,
    height, width, 3), with `fps` or `times`."""
    volume: Any
    """A volume: a path, bytes, a file object, an image of nibabel or SimpleITK, or an array of (depth,
    height, width) of any number type."""
    dicom: Any
    """A DICOM volume: a file, a folder, bytes, a pydicom dataset, or a list of files or datasets."""
    studies: Iterable[Study]
    """Inputs with options of their own, after those above."""
    times: Sequence[float]
    """The seconds of each frame of `video` from the start of the clip."""
    fps: float
    """Frames a second of `video`, in place of `times`."""
    history: History
    """Earlier turns, oldest first: pairs of what was asked and what was answered."""
    schema: Any
    """A pydantic model, or a JSON schema as a dict or a text: `Reply.parsed` is the answer as such an object.
    """
    instruction: str
    """A text of your own to stand before the question, in place of `prompt`."""


@dataclass(frozen=True)
class Prepared:
    """A study as the library takes it, with the options that it is looked at with."""

    study: Study
    source: Source
    looks: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request and its options, as the library takes them."""

    request: Handle
    options: Any
    parse: Callable[[str], Any] | None


def prepared(given: dict[str, Any]) -> list[Prepared]:
    """Takes the studies and their options out of what was given."""
    looks = {name: given.pop(name) for name in list(given) if SUBJECTS.get(name) in MODALITIES}
    studies = _studies(given)
    return [Prepared(study, _inputs.source(study), _looks(study, studies, looks)) for study in studies]


def asked(question: str, studies: Iterable[Prepared], given: dict[str, Any]) -> Asked:
    """A question about studies, with everything else that `AskOptions` names."""
    schema, history = given.pop("schema", None), given.pop("history", ())
    parse = None
    if schema is not None:
        if "json_schema" in given:
            raise RequestError("schema: wanted one of schema and json_schema, got both", "leave one out")
        given["json_schema"], parse = _schema(schema)
    setup = _options.answer(given)
    request = library().make("request_new", c_text("question", question))
    for turn in history:
        said = [c_text("history", text) for text in turn]
        library().call("request_turn", request, *said)
    for study in studies:
        _add(request, study)
    return Asked(request, setup, parse)


def _studies(given: dict[str, Any]) -> list[Study]:
    """The studies of the keywords, in the order of `KINDS`, then those of `studies`."""
    times, fps = given.pop("times", None), given.pop("fps", None)
    studies = []
    for kind in KINDS:
        data = given.pop(kind, None)
        if data is None:
            continue
        several = isinstance(data, list | tuple) and kind == "image"
        of_video = {"times": times, "fps": fps} if kind == "video" else {}
        studies += [Study(kind, one, **of_video) for one in (data if several else [data])]
    if (times is not None or fps is not None) and not any(study.kind == "video" for study in studies):
        raise RequestError("times, fps: wanted a video, got none", "leave times and fps out")
    return studies + list(given.pop("studies", None) or ())


def _looks(study: Study, studies: Sequence[Study], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A study's options: those of the call that are about it or (to be refused) about none, and its own."""
    fits = {
        name: value
        for name, value in shared.items()
        if value is not None
        and (_inputs.fits(name, study.kind) or not any(_inputs.fits(name, other.kind) for other in studies))
    }
    return {**fits, **study.options}


def _add(request: Handle, prepared: Prepared) -> None:
    """Adds a study; the library copies what it is."""
    study, source = prepared.study, prepared.source
    if isinstance(source, Pictures):
        return _add_pictures(request, prepared, source)
    modality, options = MODALITIES[study.kind], _options.look(prepared.looks, study.name)
    if isinstance(source, File):
        library().call("request_file", request, modality, c_path(source.path), ctypes.byref(options))
    else:
        data = source.data
        library().call("request_bytes", request, modality, data, len(data), ctypes.byref(options))
    return None


def _add_pictures(request: Handle, prepared: Prepared, source: Pictures) -> None:
    study = prepared.study
    if prepared.looks:
        raise RequestError(
            f"{next(iter(prepared.looks))}: wanted a file, got frames, which are all looked at",
            "leave it out, and choose the frames yourself",
        )
    pixels, times = source.pixels, source.times
    count, height, width, _ = pixels.shape
    frame_bytes, first = height * width * 3, pixels.ctypes.data
    pointer = ctypes.POINTER(ctypes.c_uint8)
    frames = (pointer * count)(*[ctypes.cast(first + place * frame_bytes, pointer) for place in range(count)])
    seconds = None if times is None else (ctypes.c_double * count)(*times)
    described = made(
        fleming_frames,
        name=None if study.name is None else c_text("name", study.name),
        frames=frames,
        count=count,
        seconds=seconds,
        width=width,
        height=height,
        modality=MODALITIES[study.kind],
    )
    library().call("request_frames", request, ctypes.byref(described))


def _schema(schema: Any) -> tuple[str, Callable[[str], Any]]:
    """A schema as text, and what reads an answer that keeps to it."""
    if hasattr(schema, "model_json_schema"):
        return json.dumps(schema.model_json_schema()), schema.model_validate_json
    if isinstance(schema, str):
        return schema, json.loads
    if isinstance(schema, Mapping):
        return json.dumps(schema), json.loads
    raise RequestError(
        f"schema: wanted a pydantic model, a dict or a text, got {type(schema).__qualname__}",
        "pass the class of the model, not an object of it",
    )
