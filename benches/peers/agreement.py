"""Whether llama.cpp's projector file means the same model: agreement.py REQUEST.json ANSWER.json

`picture` makes the picture; after `fleming ask --trace`, `trace` compares llama.cpp's image embeddings of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from llama_side import TILE_TOKENS, Model, is_image, mtmd_cpp, noise, tokenized
from PIL import Image


def main(request: dict) -> dict:
    """The lowest and the mean cosine of the rows of both, [tokens, hidden]."""
    picture = noise(1, 1)
    if "picture" in request:
        Image.fromarray(picture).save(request["picture"])
        return {}
    ours = np.load(Path(request["trace"]) / "image_embeds.npy").reshape(TILE_TOKENS, -1)
    model = Model({"context": 512, "streams": [1], **request})
    with tokenized(model, [picture], 0) as chunks:
        model.encode(next(filter(is_image, chunks)))
        theirs = np.ctypeslib.as_array(mtmd_cpp.mtmd_get_output_embd(model.projector), ours.shape)
        products = (ours * theirs).sum(-1)
        cosines = products / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
    return {"lowest": float(cosines.min()), "mean": float(cosines.mean())}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(main(asked)), encoding="utf-8")
