"""An input with options of its own, and how an array lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ._objects import name_of
from ._options import KINDS, Kind
from ._table import LookOptions
from .errors import RequestError

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True, eq=False)
class Space:
    """How an array of (depth, height, width) lies, and what it holds.

    It may hold arrays, which have no equality of their own: it equals itself alone.

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


@dataclass(frozen=True, eq=False)
class Study:
    """An input with options of its own: `Study.volume("ct.nii.gz", window="lung", slices=16)`.

    Whatever it holds, a study equals itself alone, and may be a key of a dict.

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
            raise RequestError.of("name", "a text", name_of(self.name), "pass a str")

    def __repr__(self) -> str:
        # What it holds, its name and its path may be a patient's.
        return f"<Study: {self.kind} of {name_of(self.data)}>"

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
            raise RequestError.of("space", "a Space", name_of(space), "Space(spacing_mm=(2.5, 0.7, 0.7))")
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


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _shown(data: Any) -> str:
    return data if isinstance(data, str) else name_of(data)
