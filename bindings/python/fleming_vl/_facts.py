"""What the library says of engines, requests and inputs."""

from __future__ import annotations

import ctypes
from ctypes import byref
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from . import _reply
from ._header import fleming_embeddings_facts, fleming_frame_facts, fleming_picture, fleming_preview_facts
from ._library import Handle, content, library, made, text
from ._picture import Picture, array
from ._reply import Frame

Facts = TypeVar("Facts")


def read(kind: type[Facts], struct: ctypes.Structure) -> Facts:
    """The facts of a struct that have the names of its fields."""
    facts: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        fact = getattr(struct, entry.name)
        facts[entry.name] = (
            text(fact) if isinstance(fact, bytes) else bool(fact) if entry.type == "bool" else fact
        )
    return kind(**facts)


@dataclass(frozen=True)
class EngineFacts:
    """What was loaded, and how.

    Attributes:
        package: name of the package.
        digest: SHA-256 of the package, which names what answered.
        precision: of the weights: "f32", "int8", "int4".
        target: what the package was exported for: "cpu".
        onnxruntime, onnxruntime_build: file name of ONNX Runtime's library, and what that says of its build.
        provider: what runs the model, and its device: "cpu", "cuda:1".
        tile_size: side of the square that every frame or tile is brought to, in pixels.
        memory: bytes that the engine takes.
        context: most tokens in a conversation, prompt and reply together.
        slots, queue, chunk, threads: as the options of these names; 0 threads are ONNX Runtime's choice.
        tokens_per_tile: tokens of a tile.
        most_tiles: the most tiles that fit into the context.
        instruction: what stands before a question unless `prompt` or `instruction` says otherwise.
    """

    package: str
    digest: str
    precision: str
    target: str
    onnxruntime: str
    onnxruntime_build: str
    provider: str
    tile_size: int
    memory: int
    context: int
    slots: int
    queue: int
    chunk: int
    threads: int
    tokens_per_tile: int
    most_tiles: int
    instruction: str


@dataclass(frozen=True)
class EngineCounts:
    """What an engine is doing, and has done since it was opened.

    Attributes:
        preparing: answers whose inputs are being read or wait for that.
        waiting: answers that are ready and wait for a slot.
        active: answers that have one.
        held_tokens: tokens that these hold.
        steps, failed_steps: steps of the decoder, each for all answers under way.
        prefilled_tokens: prompt tokens that ran.
        image_hits, image_misses: pictures whose embeddings were in memory, and that had to be encoded.
        drafted_tokens, accepted_tokens: tokens guessed ahead, and right ones.
        image_bytes: bytes of image embeddings that are kept.
        alive: whether it can answer; not after it broke down.
    """

    preparing: int
    waiting: int
    active: int
    held_tokens: int
    steps: int
    failed_steps: int
    prefilled_tokens: int
    image_hits: int
    image_misses: int
    drafted_tokens: int
    accepted_tokens: int
    image_bytes: int
    alive: bool


@dataclass(frozen=True)
class TokenCount:
    """How long a prompt would be.

    Attributes:
        prompt_tokens: all tokens of the prompt.
        image_tokens: of those, tokens of pictures.
        frames: frames that would be looked at.
        context: most tokens in a conversation, prompt and reply together.
        fits: whether the prompt leaves room for a reply.
    """

    prompt_tokens: int
    image_tokens: int
    frames: int
    context: int
    fits: bool


@dataclass(frozen=True)
class Memory:
    """Bytes of memory that an engine takes.

    Attributes:
        weights: the weights of both graphs.
        slots: keys and values of all slots.
        image_cache: the most that kept image embeddings take.
        work: the most that runs work with while they last, and ONNX Runtime itself.
        total: all of it.
    """

    weights: int
    slots: int
    image_cache: int
    work: int
    total: int


class Embeddings:
    """Image embeddings, `[tiles, tokens, hidden]` of float32: `numpy.asarray(embeddings)` copies nothing.

    Attributes:
        shape: tiles of all frames in the order of the studies, tokens of a tile, numbers of a token.
    """

    def __init__(self, handle: Handle):
        facts = made(fleming_embeddings_facts)
        library().call("embeddings_read", handle, byref(facts))
        self._handle = handle
        self.shape = (facts.tiles, facts.tokens, facts.hidden)
        self.__array_interface__ = array(facts.values, self.shape, "=f4")

    def __repr__(self) -> str:
        return f"<Embeddings of {self.shape}>"


class Preview:
    """What the model sees of inputs. As confidential as they are; no text in it names a file or a patient.

    Attributes:
        png: a file: all frames side by side, each with its place and range of values. A notebook shows it.
        sheet: the same as a picture.
        frames: what the model sees, in order.
        pictures: each frame as the model sees it; tiles one below the other.
        warnings: what was changed in the inputs, or is unusual about them.
    """

    def __init__(self, handle: Handle):
        facts = made(fleming_preview_facts)
        library().call("preview_read", handle, byref(facts))
        self.png = content(facts, "png", facts.png_size)
        self.sheet = Picture(handle, facts)
        warnings = text(facts.warnings)
        self.warnings = tuple(warnings.split("\n")) if warnings else ()
        frames: list[Frame] = []
        pictures: list[Picture] = []
        for place in range(facts.frame_count):
            frame, picture = made(fleming_frame_facts), made(fleming_picture)
            library().call("preview_frame", handle, place, byref(frame), byref(picture))
            frames.append(_reply.frame(frame))
            pictures.append(Picture(handle, picture))
        self.frames, self.pictures = tuple(frames), tuple(pictures)

    def __repr__(self) -> str:
        return f"<Preview of {len(self.frames)} frames>"

    def _repr_png_(self) -> bytes:
        return self.png
