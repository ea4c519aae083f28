"""The image processor's files: what happens to pixels, and how many tiles the native processor cuts.

A folder may have none: upstream's trainer leaves it out, and the authors' own script copies it in from
elsewhere. The whole family has one, ``PROCESSOR``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from ..errors import ExportError, notice
from .model import ModelConfig, Normalization
from .section import Section

FILE, JOINT_FILE, VIDEO_FILE = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
#: As published with InternViT-300M and -6B and with every InternVL2.5 and InternVL3.
PROCESSOR = {
    "crop_size": 448,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "size": 448,
}
CLIP, NATIVE = ("CLIPFeatureExtractor", "CLIPImageProcessor"), ("GotOcr2ImageProcessor",)


class Files(Protocol):
    """Where the files are read from."""

    def optional_json(self, name: str) -> dict | None:
        """A JSON file that may be absent."""
        ...


def read_processor(files: Files, config: ModelConfig) -> tuple[ModelConfig, Normalization]:
    """The constants of the pixels, and the model with the tiling that the files say, if they do."""
    joint = files.optional_json(JOINT_FILE) or {}
    found = {FILE: files.optional_json(FILE), f"{JOINT_FILE}.image_processor": joint.get("image_processor")}
    read = {}
    for where, content in found.items():
        if content is not None:
            read[where] = _image_processor(Section(where, content), config)
    if not read:
        notice(f"there is no {FILE}: the family's is taken, which all of its checkpoints share")
        return config, _image_processor(Section(FILE, PROCESSOR), config)[1]
    first, result = next(iter(read.items()))
    for where, other in read.items():
        if other != result:
            raise ExportError(where, f"what {first} says", "other values", "remove the stale one")
    videos = {VIDEO_FILE: files.optional_json(VIDEO_FILE)}
    videos[f"{JOINT_FILE}.video_processor"] = joint.get("video_processor")
    for where, content in videos.items():
        if content is not None and _constants(Section(where, content)) != result[1]:
            raise ExportError(where, f"the mean and deviation of {first}", "others", "one graph sees both")
    return result


def _image_processor(section: Section, config: ModelConfig) -> tuple[ModelConfig, Normalization]:
    kind = section.get("feature_extractor_type") or section.get("image_processor_type") or CLIP[0]
    plain = kind.removesuffix("Fast").removesuffix("Pil") if isinstance(kind, str) else kind
    if plain not in CLIP + NATIVE:
        raise section.error("image_processor_type", " or ".join(CLIP + NATIVE), kind)
    size = config.vision.image_size
    both = {"height": size, "width": size}
    # absent keys take the class's own defaults, all true
    for key in ("do_resize", "do_normalize", "do_rescale", "do_convert_rgb"):
        section.optional(key, True)
    section.one_of("resample", 3)  # bicubic
    for key in ("do_pad", "pad_size"):
        section.optional(key, None, False)
    if plain in CLIP:
        section.optional("do_center_crop", True)
        section.one_of("size", size, {"shortest_edge": size}, both)
        section.one_of("crop_size", size, {"shortest_edge": size}, both)
        return config, _constants(section)
    section.optional("do_center_crop", None, False)
    section.one_of("size", both)
    tiles = [
        section.positive(key) if key in section.content else given
        for key, given in (("min_patches", config.min_tiles), ("max_patches", config.max_tiles))
    ]
    if config.image_token is None and tiles != [config.min_tiles, config.max_tiles]:
        raise section.error("max_patches", f"{config.max_tiles}, as config.json says", tiles[1])
    if tiles[0] > tiles[1]:
        raise section.error("max_patches", f"at least min_patches {tiles[0]}", tiles[1])
    return replace(config, min_tiles=tiles[0], max_tiles=tiles[1]), _constants(section)


def _constants(section: Section) -> Normalization:
    rescale = section.number("rescale_factor") if "rescale_factor" in section.content else 1 / 255
    return Normalization(rescale, _triple(section, "image_mean"), _triple(section, "image_std"))


def _triple(section: Section, key: str) -> tuple[float, ...]:
    values = section.value(key)
    if not isinstance(values, list) or len(values) != 3 or not all(type(v) in (int, float) for v in values):
        raise section.error(key, "three numbers", values)
    if key == "image_std" and not all(value > 0 for value in values):
        raise section.error(key, "three positive numbers", values)
    return tuple(float(value) for value in values)
