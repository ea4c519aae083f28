"""GGUF files of a checkpoint: convert.py CHECKPOINT [OUT text|projector KIND]..."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import llama_cpp
from fleming_export.quality.llama import quantise, write_gguf
from fleming_export.source import open_checkpoint
from projector import write_projector

#: llama.cpp's name of a file type -> its number.
TYPES = {
    "F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}


def main(given: str, *rest: str) -> None:
    """Writes the files that were named."""
    checkpoint = open_checkpoint(given)
    files = list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))
    for out, what, kind in files:
        if what == "projector":
            write_projector(checkpoint, Path(out), kind)
    texts = [(Path(out), kind) for out, what, kind in files if what == "text"]
    if texts:
        # beside the others: it is twice as large as the checkpoint
        with tempfile.TemporaryDirectory(dir=texts[0][0].parent) as folder:
            whole = Path(folder) / "F32.gguf"
            write_gguf(checkpoint, whole)
            for out, kind in texts:
                quantise(whole, out, TYPES[kind])


if __name__ == "__main__":
    main(*sys.argv[1:])
