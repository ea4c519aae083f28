"""InternVL: what joins the vision tower and the language model, and the two graphs as wholes."""

from __future__ import annotations

import onnx_ir as ir

from ..config import ModelConfig
from ..contract import decoder_contract, vision_contract
from ..graph import GraphBuilder
from ..layers import cast, gelu, layer_norm, linear
from ..recipe import Recipe
from .best import best_logits
from .internvit import vision_tower
from .qwen2 import language_model

#: torch's default, which the projector uses; not the tower's layer_norm_eps
PROJECTOR_EPSILON = 1e-5


def vision_graph(config: ModelConfig, recipe: Recipe) -> GraphBuilder:
    """pixel_values [tiles, 3, S, S] -> image_embeds [tiles, T, H]."""
    g = GraphBuilder(vision_contract(config), recipe.for_tower())
    x = vision_tower(g, g.input("pixel_values"), config.vision)  # [tiles, grid * grid, C]
    x = _pixel_shuffle(g, x, config)  # [tiles * T, shuffle^2 * C]
    wide, hidden = config.shuffle**2 * config.vision.hidden, config.language.hidden
    x = layer_norm(g, x, "mlp1.0", wide, PROJECTOR_EPSILON)
    x = gelu(g, linear(g, x, "mlp1.1", wide, hidden), "mlp1.2")
    x = linear(g, x, "mlp1.3", hidden, hidden)
    x = g.op("Reshape", "image_embeds.tiles", x, g.ints(-1, config.tokens_per_tile, hidden))
    g.output("image_embeds", cast(g, x, "image_embeds.exact", "float32"))
    return g


def _pixel_shuffle(g: GraphBuilder, x: ir.Value, config: ModelConfig) -> ir.Value:
    """Version v2: [tiles, grid * grid, C] -> [tiles * T, s * s * C].

    The token at (Y, X) is the patches (sY + dy, sX + dx) one after the other, dy before dx.
    """
    side, width = config.shuffle, config.vision.hidden
    half = config.vision.grid // side
    x = g.op("Reshape", "pixel_shuffle.split", x, g.ints(-1, half, side, half, side, width))
    x = g.op("Transpose", "pixel_shuffle.gather", x, perm=[0, 1, 3, 2, 4, 5])  # [tiles, Y, X, dy, dx, C]
    return g.rows("pixel_shuffle.join", x, "image_tokens", side * side * width)


def decoder_graph(config: ModelConfig, recipe: Recipe) -> GraphBuilder:
    """input_ids, image_embeds, splice and the KV buffers -> logits [B * L, V], for cuda the largest of them,
    and the KV buffers."""
    g = GraphBuilder(decoder_contract(config, recipe), recipe)
    logits = language_model(g, config.language)
    if recipe.target == "cuda":
        g.output("best", best_logits(g, logits, config.language.vocabulary))
    g.output("logits", logits)
    return g
