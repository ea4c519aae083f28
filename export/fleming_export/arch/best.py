"""The largest logits, found where the logits are: of a vocabulary of numbers a few go to the host.

ONNX Runtime's TopK gives a row of any length to one block of threads, which takes longer for a whole
vocabulary than to copy it. So the largest of short stretches are found first, all stretches at once, and
then the largest of those.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ..contract import BEST
from ..graph import GraphBuilder

#: As many values as the CUDA provider's fastest way of sorting takes.
STRETCH = 256


def best_logits(g: GraphBuilder, logits: ir.Value, vocabulary: int) -> ir.Value:
    """logits [L, V] -> [L, 2 * BEST + 1]: the largest, their ids as numbers, and the sum of all logits, which
    is finite only if all of them are."""
    parts = [_stretches(g, logits, vocabulary), _rest(g, logits, vocabulary)]
    values, ids = zip(*filter(None, parts), strict=True)
    if len(values) == 2:
        values = [g.op("Concat", "best.candidates", *values, axis=1)]
        ids = [g.op("Concat", "best.candidate_ids", *ids, axis=1)]
    largest, where = _top(g, values[0], "best.all")
    found = g.op("GatherElements", "best.ids", ids[0], where, axis=1)
    total = g.op("ReduceSum", "best.sum", logits, g.ints(1), keepdims=1)
    # every id is below 2^24, where float32 has all whole numbers
    numbers = g.op("Cast", "best.numbers", found, to=ir.DataType.FLOAT)
    return g.op("Concat", "best", largest, numbers, total, axis=1)


def _stretches(g: GraphBuilder, logits: ir.Value, vocabulary: int) -> tuple[ir.Value, ir.Value] | None:
    """The largest of each whole stretch: values and ids, [L, stretches * BEST]."""
    count = vocabulary // STRETCH
    if count == 0:
        return None
    whole = g.op("Slice", "best.whole", logits, g.ints(0), g.ints(count * STRETCH), g.ints(1))
    whole = g.op("Reshape", "best.stretches", whole, g.ints(-1, count, STRETCH))
    values, places = _top(g, whole, "best.each")  # [L, stretches, BEST]
    firsts = g.constant(STRETCH * np.arange(count, dtype=np.int64)[:, None])
    ids = g.op("Add", "best.each_id", places, firsts)
    flat = g.ints(-1, count * BEST)
    values = g.op("Reshape", "best.each_value_flat", values, flat)
    return values, g.op("Reshape", "best.each_id_flat", ids, flat)


def _rest(g: GraphBuilder, logits: ir.Value, vocabulary: int) -> tuple[ir.Value, ir.Value] | None:
    """The largest of what is left after the whole stretches."""
    start = vocabulary // STRETCH * STRETCH
    if start == vocabulary:
        return None
    rest = g.op("Slice", "best.rest", logits, g.ints(start), g.ints(vocabulary), g.ints(1))
    values, places = _top(g, rest, "best.last", min(BEST, vocabulary - start))
    return values, g.op("Add", "best.last_id", places, g.scalar(start))


def _top(g: GraphBuilder, x: ir.Value, name: str, count: int = BEST) -> tuple[ir.Value, ir.Value]:
    outputs = [f"{name}_values", f"{name}_places"]
    values, places = g.multi("TopK", name, [x, g.ints(count)], outputs, {"axis": -1})
    return values, places
