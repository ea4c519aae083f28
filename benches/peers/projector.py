"""The vision tower and the projector of a checkpoint as llama.cpp's GGUF file, by PyPI's `gguf`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from fleming_export.config import read_config
from fleming_export.sources.folder import Checkpoint
from gguf import GGMLQuantizationType as Type

#: Name of a type -> gguf's for matrices, and for the patches', which llama.cpp's converter never quantises.
TYPES = {"f32": (Type.F32, Type.F32), "f16": (Type.F16, Type.F16), "q8_0": (Type.Q8_0, Type.F32)}
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
#: Our name of a layer's part -> GGUF's.
PARTS = {
    "attn.proj": "attn_out",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "norm1": "ln1",
    "norm2": "ln2",
}
PATCHES, POSITIONS = "v.patch_embd.weight", "v.position_embd.weight"
LAYERS, EMBEDDINGS = "vision_model.encoder.layers.", "vision_model.embeddings."


def write_projector(checkpoint: Checkpoint, path: Path, kind: str) -> None:
    """Writes the GGUF file with its matrices in ``kind``: f32, f16 or q8_0."""
    writer = gguf.GGUFWriter(path, "clip", use_temp_file=False)
    add_facts(writer, checkpoint, kind)
    for name, values in tensors(checkpoint):
        stored = type_of(name, values, kind)
        data = gguf.quants.quantize(values, stored)
        writer.add_tensor(name, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_facts(writer: gguf.GGUFWriter, checkpoint: Checkpoint, kind: str) -> None:
    """What llama.cpp reads of the model beside its tensors."""
    content = checkpoint.json("config.json")
    config, processor = read_config(content), checkpoint.json("preprocessor_config.json")
    vision = content["vision_config"]
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.INTERNVL)
    writer.add_vision_projection_dim(config.language.hidden)
    writer.add_vision_image_size(vision["image_size"])
    writer.add_vision_patch_size(vision["patch_size"])
    writer.add_vision_embedding_length(vision["hidden_size"])
    writer.add_vision_feed_forward_length(vision["intermediate_size"])
    writer.add_vision_block_count(vision["num_hidden_layers"])
    writer.add_vision_head_count(vision["num_attention_heads"])
    writer.add_vision_attention_layernorm_eps(vision["layer_norm_eps"])
    writer.add_vision_image_mean(processor["image_mean"])
    writer.add_vision_image_std(processor["image_std"])
    writer.add_vision_use_gelu(True)
    writer.add_vision_projector_scale_factor(round(1 / content["downsample_ratio"]))


def type_of(name: str, values: np.ndarray, kind: str) -> Type:
    """The type that a tensor is stored in, as llama.cpp's converter chooses it."""
    matrices, patches = TYPES[kind]
    if name == PATCHES:
        return patches
    if values.ndim < 2 or name == POSITIONS:
        return Type.F32
    return matrices


def tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values for GGUF, in float32."""
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(("vision_model.", "mlp1.")):
            values = np.concatenate(list(checkpoint.blocks(name))).reshape(tensor.shape)
            yield from converted(name, values)


def converted(name: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What a tensor of the checkpoint becomes."""
    if name.startswith("mlp1."):
        yield f"mm.model.mlp.{name.removeprefix('mlp1.')}", values
    elif name.startswith(EMBEDDINGS):
        yield embedding(name.removeprefix(EMBEDDINGS), values)
    else:
        layer, _, part = name.removeprefix(LAYERS).partition(".")
        yield from of_layer(f"v.blk.{layer}.", part, values)


def embedding(part: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """The patches, the class token and the positions."""
    if part == "class_embedding":
        return "v.class_embd", values.reshape(-1)
    if part == "position_embedding":
        # llama.cpp appends the class token, which comes first in the checkpoint.
        rows = values.reshape(values.shape[1:])
        return POSITIONS, np.roll(rows, -1, axis=0)
    return part.replace("patch_embedding", "v.patch_embd"), values


def of_layer(prefix: str, part: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A tensor of a layer; q, k and v are three."""
    stem, _, kind = part.rpartition(".")
    if stem == "attn.qkv":
        for letter, third in zip("qkv", np.split(values, 3), strict=True):
            yield f"{prefix}attn_{letter}.{kind}", third
    elif not stem:
        yield f"{prefix}{kind}.weight", values
    else:
        yield f"{prefix}{PARTS[stem]}.{kind}", values
