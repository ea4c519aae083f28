"""Questions as the library takes them, put together of what Python has."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _inputs, _options
from ._header import (
    fleming_frames,
    fleming_modality,
    fleming_pixels,
    fleming_role,
    fleming_series,
    fleming_volume,
    fleming_volume_kind,
    fleming_voxel,
)
from ._inputs import Content, File, Grid, Pictures, Series, Source
from ._library import Handle, c_path, c_text, library, made
from ._options import KINDS
from ._study import Study
from ._table import SUBJECTS, AnswerOptions, LookOptions
from .errors import InputError, RequestError

#: Earlier turns, oldest first: what was asked and what was answered.
History: TypeAlias = Sequence[tuple[str, str]]

MODALITIES = {
    "image": fleming_modality.IMAGE,
    "video": fleming_modality.VIDEO,
    "volume": fleming_modality.VOLUME,
    "dicom": fleming_modality.ANY,
    "file": fleming_modality.ANY,
}
#: By the number of channels.
PIXELS = {1: fleming_pixels.GREY, 3: fleming_pixels.RGB, 4: fleming_pixels.RGBA}
NUMBERS = {"i": "INT", "u": "UINT", "f": "FLOAT"}


A_QUESTION = "a text, or a list of texts and studies"
PARTS = 'pass a str, or parts such as ["Before: ", Study.image(…)]'


class AskOptions(LookOptions, AnswerOptions, total=False):
    """What `Engine.ask` takes next to the question."""

    image: Any
    """A picture, or a list of them: a path, bytes, a file object, a Pillow or SimpleITK image, a pydicom
    dataset; or an array: numbers of (height, width), or bytes (uint8) of (height, width, 3) or (height,
    width, 4)."""
    video: Any
    """A clip: a path, bytes, a file object; or frames, a list of pictures of one size or bytes of (count,
    height, width, 3), with `fps` or `times`."""
    volume: Any
    """A volume: a path, bytes, a file object, an image of nibabel or SimpleITK, or an array of (depth,
    height, width) of any number type."""
    dicom: Any
    """A DICOM study: a file, a folder, bytes, a pydicom dataset, or a list of files or datasets."""
    file: Any
    """An image, a video or a volume, as its content says: a path, bytes, a file object."""
    studies: Iterable[Study]
    """Inputs with options of their own, after those above."""
    times: Sequence[float]
    """The seconds of each frame of `video` from the start of the clip."""
    fps: float
    """Frames a second of `video`, in place of `times`."""
    history: History
    """Earlier turns, oldest first: pairs of what was asked and what was answered."""
    schema: Any
    """A pydantic model or TypeAdapter (of a dataclass, a TypedDict, a list), or a JSON schema as a dict or a
    text: `Reply.parsed` is the answer as such an object."""
    instruction: str
    """A text of your own to stand before the question, in place of `prompt`."""
    scope: str
    """Whose question it is: what one scope left in memory is never reused for another."""
    keep_seen: bool
    """Whether the reply keeps the pictures that the model saw, as `Reply.seen`."""


@dataclass(frozen=True)
class Prepared:
    """A study as the library takes it, with the options that it is looked at with."""

    study: Study
    source: Source
    looks: Mapping[str, Any]


#: A text, or a study that stands in its place.
Part: TypeAlias = str | Prepared
#: Who says it, and what.
Turn: TypeAlias = tuple[fleming_role, Sequence[Part]]


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


def parts(question: Iterable[str | Study], given: dict[str, Any]) -> list[Part]:
    """The parts of a question that says itself where its studies are."""
    if isinstance(question, bytes | bytearray | Mapping) or not isinstance(question, Iterable):
        raise RequestError.of("question", A_QUESTION, type(question).__qualname__, PARTS)
    pieces = list(question)
    for piece in pieces:
        if not isinstance(piece, str | Study):
            raise RequestError.of(
                "question", A_QUESTION, f"{type(piece).__qualname__} among its parts", PARTS
            )
    studies = [piece for piece in pieces if isinstance(piece, Study)]
    if any(given.get(kind) is not None for kind in (*KINDS, "studies")):
        raise RequestError.of("question", "all inputs among its parts", "others too", "put them there")
    placed = iter(prepared(given | {"studies": studies or None}))
    for name in SUBJECTS:
        if SUBJECTS[name] in MODALITIES:
            given.pop(name, None)
    return [next(placed) if isinstance(piece, Study) else piece for piece in pieces]


def asked(question: str, studies: Iterable[Prepared], given: dict[str, Any]) -> Asked:
    """A question about studies, which `<image>` in a text places, with everything else that `AskOptions`
    names.
    """
    history = turns(given.pop("history", None))
    setup, parse = _setup(given)
    request = library().make("request_new", c_text("question", question))
    for turn in history:
        said = [c_text("history", text) for text in turn]
        library().call("request_turn", request, *said)
    for study in studies:
        _add(request, study)
    return Asked(request, setup, parse)


def turns(history: Any) -> History:
    """Earlier turns, checked."""
    if history is None:
        return ()
    wanted, hint = "a list of pairs of texts", 'history=[("a question", "its answer"), …]'
    if isinstance(history, str | bytes | Mapping) or not isinstance(history, Iterable):
        raise RequestError.of("history", wanted, type(history).__qualname__, hint)
    pairs = list(history)
    for pair in pairs:
        if not isinstance(pair, list | tuple):
            raise RequestError.of("history", wanted, f"{type(pair).__qualname__} in it", hint)
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            got = f"({', '.join(type(text).__qualname__ for text in pair)}) in it"
            raise RequestError.of("history", wanted, got, hint)
    return [(asked, said) for asked, said in pairs]


def asked_in_order(turns: Iterable[Turn], given: dict[str, Any]) -> Asked:
    """Turns of parts, the last of which is answered, with everything else that `AskOptions` names."""
    if given.pop("history", None):
        raise RequestError.of("history", "a question that is a text", "parts", "use Engine.chat")
    setup, parse = _setup(given)
    request = library().make("request_new", b"")
    for role, pieces in turns:
        for piece in pieces:
            if isinstance(piece, Prepared):
                _add(request, piece)
            else:
                library().call("request_text", request, role, c_text("question", piece))
    return Asked(request, setup, parse)


def _setup(given: dict[str, Any]) -> tuple[Any, Callable[[str], Any] | None]:
    schema, parse = given.pop("schema", None), None
    if schema is not None:
        if given.get("json_schema") is not None:
            raise RequestError.of("schema", "one of schema and json_schema", "both", "leave one out")
        given["json_schema"], parse = _schema(schema)
    return _options.answer(given), parse


def _studies(given: dict[str, Any]) -> list[Study]:
    """The studies of the keywords, in the order of `KINDS`, then those of `studies`."""
    times, fps = given.pop("times", None), given.pop("fps", None)
    studies = []
    for kind in KINDS:
        data = given.pop(kind, None)
        if data is None:
            continue
        several = isinstance(data, list | tuple) and kind == "image"
        if several and not data:
            raise InputError.of(
                kind, "at least one picture", "an empty list", "leave image out to ask without one"
            )
        of_video = {"times": times, "fps": fps} if kind == "video" else {}
        studies += [Study(kind, one, **of_video) for one in (data if several else [data])]
    if (times is not None or fps is not None) and not any(study.kind == "video" for study in studies):
        raise RequestError.of("times, fps", "a video", "none", "leave times and fps out")
    return studies + _given_studies(given.pop("studies", None))


def _given_studies(given: Any) -> list[Study]:
    if given is None:
        return []
    wanted, hint = "a list of studies", "studies=[Study.image(…), …]"
    if isinstance(given, str | bytes | Mapping | Study) or not isinstance(given, Iterable):
        raise RequestError.of("studies", wanted, type(given).__qualname__, hint)
    studies = list(given)
    if not studies:
        raise RequestError.of("studies", wanted, "an empty list", "leave studies out to ask without one")
    for study in studies:
        if not isinstance(study, Study):
            raise RequestError.of("studies", wanted, f"{type(study).__qualname__} in it", hint)
    return studies


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
    if isinstance(source, Grid):
        return _add_grid(request, prepared, source)
    modality, options = MODALITIES[study.kind], _options.look(prepared.looks, study.name)
    given = ctypes.byref(options)
    if isinstance(source, File):
        library().call("request_file", request, modality, c_path(source.path, study.kind), given)
    elif isinstance(source, Series):
        library().call("request_series", request, modality, ctypes.byref(_files(source, study.kind)), given)
    else:
        data, size = source.data, len(source.data)
        content = data if isinstance(data, bytes) else data.ctypes.data
        library().call("request_bytes", request, modality, content, size, given)
    return None


def _files(series: Series, name: str) -> fleming_series:
    """Several files, as the library takes them."""
    count = len(series.files)
    paths = [c_path(file.path, name) for file in series.files if isinstance(file, File)]
    if paths:
        return made(fleming_series, files=(ctypes.c_char_p * count)(*paths), file_count=count)
    contents = [file.data for file in series.files if isinstance(file, Content)]
    pointers = [ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p) for content in contents]
    sizes = (ctypes.c_size_t * count)(*map(len, contents))
    buffers = (ctypes.c_void_p * count)(*pointers)
    return made(fleming_series, buffers=buffers, buffer_sizes=sizes, buffer_count=count)


def _add_pictures(request: Handle, prepared: Prepared, source: Pictures) -> None:
    study = prepared.study
    if prepared.looks:
        raise RequestError.of(
            next(iter(prepared.looks)),
            "a file",
            "frames, which are all looked at",
            "leave it out, and choose the frames yourself",
        )
    pixels, times = source.pixels, source.times
    count, height, width, channels = pixels.shape
    frame_bytes, first = height * width * channels, pixels.ctypes.data
    pointer = ctypes.POINTER(ctypes.c_uint8)
    frames = [ctypes.cast(first + place * frame_bytes, pointer) for place in range(count)]
    described = made(
        fleming_frames,
        name=_c_name(study),
        frames=(pointer * count)(*frames),
        count=count,
        seconds=None if times is None else (ctypes.c_double * count)(*times),
        width=width,
        height=height,
        modality=MODALITIES[study.kind],
        pixels=PIXELS[channels],
    )
    library().call("request_frames", request, ctypes.byref(described))


def _add_grid(request: Handle, prepared: Prepared, source: Grid) -> None:
    study, values, facts = prepared.study, source.values, dict(source.facts)
    number = f"{NUMBERS[values.dtype.kind]}{8 * values.dtype.itemsize}"
    depth, height, width = values.shape
    described = made(
        fleming_volume,
        name=_c_name(study),
        voxels=values.ctypes.data,
        depth=depth,
        height=height,
        width=width,
        voxel=fleming_voxel[number],
        modality=MODALITIES[study.kind],
        options=_options.look_text(prepared.looks),
    )
    if "kind" in facts:
        facts["kind"] = _options.word("kind", fleming_volume_kind, facts["kind"])
    if "directions" in facts:
        rows = _options.items("directions", facts["directions"], 3)
        facts["directions"] = tuple(_options.numbers("directions", row, 3) for row in rows)
    for name in ("spacing_mm", "origin_mm"):
        if name in facts:
            facts[name] = _options.numbers(name, facts[name], 3)
    if "bits" in facts:
        facts["bits"] = _options.whole("bits", facts["bits"], 4)
    for name, fact in facts.items():
        setattr(described, name, fact)
    library().call("request_volume", request, ctypes.byref(described))


def _c_name(study: Study) -> bytes | None:
    return None if study.name is None else c_text("name", study.name)


def _schema(schema: Any) -> tuple[str, Callable[[str], Any]]:
    """A schema as text, and what reads an answer that keeps to it."""
    if hasattr(schema, "model_json_schema"):
        return json.dumps(_closed(schema.model_json_schema)), schema.model_validate_json
    if hasattr(schema, "json_schema") and hasattr(schema, "validate_json"):
        return json.dumps(_closed(schema.json_schema)), schema.validate_json
    if isinstance(schema, str):
        return schema, json.loads
    if isinstance(schema, Mapping):
        try:
            return json.dumps(schema), json.loads
        except (TypeError, ValueError) as error:
            raise RequestError.of(
                "schema", "what JSON can say", str(error), "use lists, dicts, texts and numbers"
            ) from None
    hint = "pass the class of the model, not an object of it"
    got = type(schema).__qualname__
    if hasattr(schema, "__annotations__") or hasattr(schema, "__origin__"):
        name = getattr(schema, "__name__", "…")
        hint, got = f"pass pydantic.TypeAdapter({name})", f"the type {name}"
    raise RequestError.of("schema", "a pydantic model or TypeAdapter, a dict or a text", got, hint)


def _closed(made: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The schema that pydantic makes. Objects have no fields of other names, unless their model says so."""
    try:
        schema = made()
    except Exception as error:
        hint = "pass a JSON schema as a dict"
        raise RequestError.of(
            "schema", "a pydantic model that has a JSON schema", str(error), hint
        ) from error
    for one in (schema, *schema.get("$defs", {}).values()):
        if "properties" in one:
            one.setdefault("additionalProperties", False)
    return schema
