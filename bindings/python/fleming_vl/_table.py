"""The table of options as types: made by generate.py, not by hand."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class LookOptions(TypedDict, total=False):
    """What of a study is looked at."""

    max_frames: int
    """Video: most frames, at one frame a second. May be 1 to 4096; default 32."""
    seconds: float
    """Video: as many frames as this duration has whole seconds. May be 1 to 4096."""
    frames: int
    """Video: this many frames, evenly spaced. May be 1 to 4096."""
    start: float
    """Video: look from this second on. May be a finite number; default the clip's start."""
    end: float
    """Video: look up to this second. May be a finite number; default the clip's end."""
    slices: int
    """Volume: this many slices, evenly spaced. May be 1 to 4096; default 11."""
    range: str
    """Volume: choose from these slices, counted from 0, or from these millimetres. Default all slices."""
    form: Literal["trained", "native"]
    """Volume from DICOM or NIfTI: as the training data were prepared, or slices as they are. May be
    trained, native; default trained."""
    plane: Literal["axial", "coronal", "sagittal"]
    """Volume from DICOM or NIfTI: cut through the patient in this plane. May be axial, coronal, sagittal;
    default the plane acquired."""
    slab: Literal["none", "mean", "max"]
    """Volume from DICOM or NIfTI: make each frame of all slices of its part. May be none, mean, max;
    default none."""
    crop: Literal["none", "foreground"]
    """Volume in the form trained: cut off borders without values. May be none, foreground; default
    foreground."""
    reverse: bool
    """Volume: from the last slice to the first."""
    time: int
    """Volume with several points in time: this one, counted from 0. May be 0 to 4294967295; default 0."""
    series: str
    """DICOM: this series of the study, by its number or its UID. Default the largest."""
    echo: int
    """DICOM volume with several echoes: this one, counted from 1. May be 1 to 4294967295; default 1."""
    axis: int
    """Volume: the axis of the array that counts the slices. May be 0 to 2; default 0."""
    window: str
    """Volume: spread the values around C, over a width of W, from black to white; or lung, mediastinum,
    soft, bone, brain, liver, wide. Default each slice's own range."""


class AnswerOptions(TypedDict, total=False):
    """How a question is answered."""

    prompt: str
    """What stands before the question: reasoning (the model is asked to think first), direct (nothing) or
    @FILE. Default reasoning."""
    system: str
    """System message, instead of the package's."""
    max_new_tokens: int
    """Most tokens to generate. May be 1 to 4294967295; default the package's."""
    ignore_eos: bool
    """Do not stop at the end of the model's turn."""
    preprocessing: Literal["reference", "clinical"]
    """How inputs are prepared: clinical corrects the defects of the reference script, with a warning for
    each. May be reference, clinical; default clinical."""
    max_tiles: int
    """Cut an image into up to N tiles of its own aspect ratio, plus a thumbnail. May be 1 to 256."""
    max_thinking_tokens: int
    """Most tokens of thought; then the thought is closed and the answer opened. May be 0 to 4294967295."""
    logprobs: int
    """Report each token's log-probability and those of the N likeliest, with --json. May be 0 to 20."""
    stop: str | Sequence[str]
    """End the reply before this text; may be repeated."""
    speculation: int
    """Guess up to N tokens ahead by prompt lookup, and verify them in one run. May be 1 to 32."""
    timeout: float
    """End the reply after this many seconds, with the text so far. May be above 0, at most 1000000000."""
    temperature: float
    """Draw tokens at random, more evenly the higher it is; 0 always takes the likeliest. May be 0 to 100;
    default 0."""
    top_k: int
    """Draw only from the K likeliest tokens. May be 1 to 4294967295."""
    top_p: float
    """Draw only from the likeliest tokens that together have this probability. May be above 0, at most 1;
    default 1."""
    min_p: float
    """Draw only from tokens with at least this share of the likeliest token's probability. May be 0 to 1;
    default 0."""
    repetition_penalty: float
    """Above 1, make tokens of the prompt and the reply less likely to come again. May be above 0, at most
    100; default 1."""
    presence_penalty: float
    """Above 0, make tokens of the reply less likely to come again. May be -2 to 2; default 0."""
    frequency_penalty: float
    """Above 0, make tokens of the reply less likely each time they come. May be -2 to 2; default 0."""
    seed: int
    """Where the random numbers start: the same seed draws the same reply. May be at least 0; default 0."""
    logit_bias: Mapping[Any, Any]
    """Add this, from -100 to 100, to the logit of a token; may be repeated."""
    choice: str | Sequence[str]
    """The answer is one of these texts; repeat the option for each."""
    json_schema: str | Mapping[str, Any]
    """The answer is JSON under this schema: a file, or the schema itself, which begins with {."""
    regex: str
    """The answer is a match of this regular expression."""
    grammar: str
    """The answer is a text of the Lark grammar in this file."""


class SetupOptions(TypedDict, total=False):
    """How an engine is set up."""

    provider: str
    """What runs the model: cpu, cuda, tensorrt; cuda:1 is the second GPU. Default cpu."""
    provider_option: Mapping[Any, Any]
    """An option of the provider, by ONNX Runtime's name of it; may be repeated."""
    threads: int
    """Threads inside an operator. May be 1 to 1024; default one for each physical core."""
    context: int
    """Most tokens in the conversation. May be 1 to 16777216; default the model's limit."""
    slots: int
    """Conversations in memory, each of --context tokens; the most that are answered at once. May be 1 to
    1024; default as many as are asked at once."""
    queue: int
    """Questions that may wait for a slot; more are refused. May be 1 to 65536; default 64."""
    chunk: int
    """Prompt tokens that run together; other answers go on in between. May be 4 to 1048576; default 512."""
    image_cache: int
    """Most bytes of image embeddings that are kept for a picture that is asked about again. May be 0 to
    1099511627776; default 268435456."""
    engine_cache: str | os.PathLike[str]
    """Folder for the plans that TensorRT builds. Default fleming in the user's cache folder."""
    onnxruntime: str | os.PathLike[str]
    """The ONNX Runtime library. Default searched for."""
    max_input_bytes: int
    """Most bytes of a file that is read as a whole, as pictures are. May be 1 to 1099511627776; default
    2147483648."""
    max_pixels: int
    """Most pixels of one picture, frame or slice. May be 1 to 1099511627776; default 178956970."""
    max_unpacked_bytes: int
    """Most bytes of all frames of a study, and of what is unpacked on the way to them. May be 1 to
    1099511627776; default 4294967296."""
    max_declared_frames: int
    """Most frames, slices or pictures that a file may say it holds. May be 1 to 1099511627776; default
    16777216."""


#: What each option is about.
SUBJECTS: dict[str, str] = {
    "max_frames": "video",
    "seconds": "video",
    "frames": "video",
    "start": "video",
    "end": "video",
    "slices": "volume",
    "range": "volume",
    "form": "volume",
    "plane": "volume",
    "slab": "volume",
    "crop": "volume",
    "reverse": "volume",
    "time": "volume",
    "series": "volume",
    "echo": "volume",
    "axis": "volume",
    "window": "volume",
    "prompt": "wording",
    "system": "wording",
    "max_new_tokens": "generation",
    "ignore_eos": "generation",
    "preprocessing": "generation",
    "max_tiles": "generation",
    "max_thinking_tokens": "generation",
    "logprobs": "generation",
    "stop": "generation",
    "speculation": "generation",
    "timeout": "generation",
    "temperature": "generation",
    "top_k": "generation",
    "top_p": "generation",
    "min_p": "generation",
    "repetition_penalty": "generation",
    "presence_penalty": "generation",
    "frequency_penalty": "generation",
    "seed": "generation",
    "logit_bias": "generation",
    "choice": "generation",
    "json_schema": "generation",
    "regex": "generation",
    "grammar": "generation",
    "provider": "engine",
    "provider_option": "engine",
    "threads": "engine",
    "context": "engine",
    "slots": "engine",
    "queue": "engine",
    "chunk": "engine",
    "image_cache": "engine",
    "engine_cache": "engine",
    "onnxruntime": "engine",
    "max_input_bytes": "engine",
    "max_pixels": "engine",
    "max_unpacked_bytes": "engine",
    "max_declared_frames": "engine",
}

#: The numbers that an option may have.
RANGES: dict[str, str] = {
    "max_frames": "1 to 4096",
    "seconds": "1 to 4096",
    "frames": "1 to 4096",
    "start": "a finite number",
    "end": "a finite number",
    "slices": "1 to 4096",
    "time": "0 to 4294967295",
    "echo": "1 to 4294967295",
    "axis": "0 to 2",
    "max_new_tokens": "1 to 4294967295",
    "max_tiles": "1 to 256",
    "max_thinking_tokens": "0 to 4294967295",
    "logprobs": "0 to 20",
    "speculation": "1 to 32",
    "timeout": "above 0, at most 1000000000",
    "temperature": "0 to 100",
    "top_k": "1 to 4294967295",
    "top_p": "above 0, at most 1",
    "min_p": "0 to 1",
    "repetition_penalty": "above 0, at most 100",
    "presence_penalty": "-2 to 2",
    "frequency_penalty": "-2 to 2",
    "seed": "at least 0",
    "threads": "1 to 1024",
    "context": "1 to 16777216",
    "slots": "1 to 1024",
    "queue": "1 to 65536",
    "chunk": "4 to 1048576",
    "image_cache": "0 to 1099511627776",
    "max_input_bytes": "1 to 1099511627776",
    "max_pixels": "1 to 1099511627776",
    "max_unpacked_bytes": "1 to 1099511627776",
    "max_declared_frames": "1 to 1099511627776",
}

#: What holds without it; None for nothing.
DEFAULTS: dict[str, str | None] = {
    "max_frames": "32",
    "seconds": None,
    "frames": None,
    "start": "the clip's start",
    "end": "the clip's end",
    "slices": "11",
    "range": "all slices",
    "form": "trained",
    "plane": "the plane acquired",
    "slab": "none",
    "crop": "foreground",
    "reverse": None,
    "time": "0",
    "series": "the largest",
    "echo": "1",
    "axis": "0",
    "window": "each slice's own range",
    "prompt": "reasoning",
    "system": None,
    "max_new_tokens": "the package's",
    "ignore_eos": None,
    "preprocessing": "clinical",
    "max_tiles": None,
    "max_thinking_tokens": None,
    "logprobs": None,
    "stop": None,
    "speculation": None,
    "timeout": None,
    "temperature": "0",
    "top_k": None,
    "top_p": "1",
    "min_p": "0",
    "repetition_penalty": "1",
    "presence_penalty": "0",
    "frequency_penalty": "0",
    "seed": "0",
    "logit_bias": None,
    "choice": None,
    "json_schema": None,
    "regex": None,
    "grammar": None,
    "provider": "cpu",
    "provider_option": None,
    "threads": "one for each physical core",
    "context": "the model's limit",
    "slots": "as many as are asked at once",
    "queue": "64",
    "chunk": "512",
    "image_cache": "268435456",
    "engine_cache": "fleming in the user's cache folder",
    "onnxruntime": "searched for",
    "max_input_bytes": "2147483648",
    "max_pixels": "178956970",
    "max_unpacked_bytes": "4294967296",
    "max_declared_frames": "16777216",
}
