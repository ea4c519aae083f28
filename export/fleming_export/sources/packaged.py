"""An f32 package as a checkpoint: it holds every value of the checkpoint that it was made from, so that
packages of other precisions can be made where that one is not at hand."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..arch.internvl import decoder_graph, vision_graph
from ..config import read_config, settled
from ..contract import DECODER_FILE, MANIFEST_FILE, VISION_FILE
from ..errors import ExportError
from ..files import read_json
from ..graph import GraphBuilder
from ..recipe import Recipe
from .folder import Checkpoint
from .stored import StoredTensor


class PackagedCheckpoint(Checkpoint):
    """An f32 package for the target cpu, read like the checkpoint folder that it came from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = manifest = read_json(folder / MANIFEST_FILE)
        kind = f"{manifest.get('precision')} for {manifest.get('target')}"
        if kind != "f32 for cpu":
            hint = "other packages have lost something of the checkpoint"
            raise ExportError(str(folder), "a checkpoint, or an f32 package for cpu", kind, hint)
        #: what is known of the checkpoint stays the same
        self.source = manifest["source"]
        self.name, self.given = manifest["name"], self.source["checkpoint"]
        self.shards = []
        self._stored = {
            file: onnx.load(folder / file, load_external_data=False).graph.initializer
            for file in (VISION_FILE, DECODER_FILE)
        }
        shapes = {tensor.name: tuple(tensor.dims) for graph in self._stored.values() for tensor in graph}
        config = settled(read_config(self.source["config"]), shapes)
        self.tensors = {}
        for graph in (vision_graph(config, Recipe()), decoder_graph(config, Recipe())):
            self._place(graph)

    def json(self, name: str) -> dict:
        """What the package says in the words of a checkpoint's file."""
        made = self._made(name)
        return super().json(name) if made is None else made

    def optional_json(self, name: str) -> dict | None:
        made = self._made(name)
        return super().optional_json(name) if made is None else made

    def _made(self, name: str) -> dict | None:
        """A file that a checkpoint has and a package has not."""
        made = {
            "config.json": lambda: self.source["config"],
            "preprocessor_config.json": self._preprocessor,
            "tokenizer_config.json": self._tokenizer,
        }
        return made[name]() if name in made else None

    def _preprocessor(self) -> dict:
        constants, size = self._manifest["normalization"], self._manifest["vision"]["image_size"]
        tiling = self._manifest["vision"]["tiling"]
        return {
            "image_processor_type": "GotOcr2ImageProcessor",
            "min_patches": tiling["min_tiles"],
            "max_patches": tiling["max_tiles"],
            "image_mean": constants["mean"],
            "image_std": constants["std"],
            "rescale_factor": constants["rescale"],
            "resample": 3,
            "size": {"height": size, "width": size},
        }

    def _tokenizer(self) -> dict:
        tokens = self._manifest["tokens"]
        texts = {token["id"]: token["content"] for token in self.json("tokenizer.json")["added_tokens"]}
        return {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": texts[tokens["eos"]],
            "pad_token": texts[tokens["pad"]],
            "unk_token": None,
            "additional_special_tokens": [texts[number] for number in tokens["skip"]],
        }

    def _place(self, graph: GraphBuilder) -> None:
        """Finds the tensors of a graph in its data file."""
        places = {
            tensor.name: {entry.key: entry.value for entry in tensor.external_data}
            for tensor in self._stored[graph.spec.file]
        }
        path = self.folder / graph.spec.data_file
        size = path.stat().st_size
        for parameter in graph.parameters.values():
            place = places.get(parameter.name, {})
            if int(place.get("length", -1)) != parameter.bytes:
                wanted = f"{parameter.bytes} bytes of {parameter.name}"
                raise ExportError(
                    graph.spec.file, wanted, place or "none", "it was exported by another version"
                )
            start = int(place.get("offset", 0))
            if start + parameter.bytes > size:
                raise ExportError(path.name, f"{start + parameter.bytes} bytes", f"{size} bytes")
            for source in parameter.sources:
                tensor = StoredTensor(source.name, "F32", source.shape, path, start)
                self.tensors[source.name] = tensor
                start += tensor.bytes
