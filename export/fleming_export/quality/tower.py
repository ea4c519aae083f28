"""The vision tower in 8 bits in two ways: in blocks, and by ONNX Runtime's dynamic quantisation, which has
one scale for all activations of a layer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

from ..contract import VISION_FILE
from ..package import read_manifest
from ..pipeline import export
from ..quantize import Blockwise
from ..recipe import PROJECTOR, make_recipe
from .sequences import Writer

ROUNDS = 4


def print_table(checkpoints: list[str], threads: int) -> None:
    """Markdown: least cosine of an image embedding, relative error, time as a multiple of float32's."""
    print("| checkpoint | tower | cosine | error | time |\n|---|---|---|---|---|")
    for checkpoint in checkpoints:
        with tempfile.TemporaryDirectory() as folder:
            for form, (cosine, error, ratio) in measure(checkpoint, Path(folder), threads):
                print(
                    f"| {Path(checkpoint).name} | {form} | {cosine:.4f} | {error:.4f} | {ratio:.2f} |",
                    flush=True,
                )


def measure(checkpoint: str, folder: Path, threads: int) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Each way beside the float32 graph, on the pictures of the questions written here."""
    int8 = make_recipe("cpu", "int8")
    # nothing but the head in blocks, so that columns are equalised and the tower stays float32
    equal = replace(int8, language=None, embedding=None, vision=None, head=Blockwise(8, 64), apart=())
    plain = export(checkpoint, folder / "plain")
    forms = {
        "blocks of 64": export(checkpoint, folder / "int8", recipe=int8) / VISION_FILE,
        "dynamic": dynamic(plain),
        "dynamic, columns equalised": dynamic(export(checkpoint, folder / "equal", recipe=equal)),
    }
    pixels = np.concatenate([s.pixels for s in Writer(plain, read_manifest(plain)).questions(3)])
    wanted, usual = _run(plain / VISION_FILE, pixels, threads)
    for form, path in forms.items():
        found, seconds = _run(path, pixels, threads)
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
        error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
        yield form, (float(((found * wanted).sum(1) / lengths).min()), float(error), seconds / usual)


def dynamic(package: Path) -> Path:
    """A package's vision graph by ONNX Runtime's own quantiser, but for the projector, which int8 packages
    leave in float32 too."""
    graph = onnx.load(package / VISION_FILE)
    projector = [node.name for node in graph.graph.node if node.name.startswith(PROJECTOR)]
    out = package / f"dynamic-{VISION_FILE}"
    quantize_dynamic(
        graph,
        str(out),
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=projector,
        use_external_data_format=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    return out


def _run(graph: Path, pixels: np.ndarray, threads: int) -> tuple[np.ndarray, float]:
    """Rows of embeddings, and the best time of a tile in seconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    rows, times = [], []
    for tile in np.split(pixels, len(pixels)):
        for _ in range(ROUNDS):
            started = time.perf_counter()
            found = session.run(None, {"pixel_values": tile})[0]
            times.append(time.perf_counter() - started)
        rows.append(found.reshape(-1, found.shape[-1]))
    return np.concatenate(rows), min(times)
