"""Block-wise weights: a row is cut into blocks, each with its own scale, as MatMulNBits wants them.

Nothing is calibrated: a scale is the one, of those tried, that leaves the least squared error of its block.
For given levels ``d`` of a block ``w`` the best scale is ``<w, d> / <d, d>``, and the error it leaves is
``<w, w> - <w, d>^2 / <d, d>``; so a candidate is judged by the last term alone.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

#: Values a thread works on at a time: few enough for its cache, and so many that threads seldom wait for the
#: interpreter.
PIECE_VALUES = 1 << 18
#: Where the largest value of a block may fall, in levels: beyond the last level it is cut off. Symmetric
#: levels are -8..7, so that a block may turn either side towards the longer one.
SYMMETRIC = tuple(sign * level for sign in (-1, 1) for level in (6.4, 6.8, 7.2, 7.6, 8.0, 8.4))
#: Part of the range from smallest to largest value that the levels 0..15 span.
SHRINK = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76)


@dataclass(frozen=True)
class Blockwise:
    """How a weight is stored: bits of a value, values of a block, and whether zero has its own level."""

    bits: int
    block: int
    zero_points: bool = False
    search: bool = True
    #: numpy type that the scales are rounded to before the levels are chosen
    scale_type: str = "float32"

    @property
    def middle(self) -> int:
        """The level that stands for zero where no zero points are stored."""
        return 1 << (self.bits - 1)

    def as_json(self) -> dict:
        return {"bits": self.bits, "block": self.block, "zero_points": self.zero_points}

    def blocks(self, inputs: int) -> int:
        """Blocks of a row; the last is filled up with zeros."""
        return -(-inputs // self.block)

    def packed_shape(self, outputs: int, inputs: int) -> tuple[int, int, int]:
        return outputs, self.blocks(inputs), self.block * self.bits // 8

    def zeros_shape(self, outputs: int, inputs: int) -> tuple[int, int]:
        return outputs, -(-self.blocks(inputs) * self.bits // 8)


@dataclass(frozen=True)
class Encoded:
    """Rows of a weight: levels packed [rows, blocks, bytes], scales and zero levels [rows, blocks]."""

    packed: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray

    def packed_zeros(self, scheme: Blockwise) -> np.ndarray:
        return pack(self.zeros, scheme.bits)

    def decoded(self, scheme: Blockwise, inputs: int) -> np.ndarray:
        """The values that the levels stand for, [rows, inputs]."""
        levels = self.packed
        if scheme.bits == 4:
            levels = np.stack([levels & 15, levels >> 4], axis=-1).reshape(*levels.shape[:2], -1)
        values = (levels.astype(np.float32) - self.zeros[..., None]) * self.scales[..., None]
        return values.reshape(len(values), -1)[:, :inputs]


def encode(rows: np.ndarray, scheme: Blockwise) -> Encoded:
    """[rows, inputs] float32 -> levels and scales, on all cores."""
    count, inputs = rows.shape
    blocks = scheme.blocks(inputs)
    encoded = Encoded(
        np.empty(scheme.packed_shape(count, inputs), np.uint8),
        np.empty((count, blocks), np.float32),
        np.empty((count, blocks), np.uint8),
    )
    step = max(1, PIECE_VALUES // inputs)

    def piece(start: int) -> None:
        part = slice(start, min(start + step, count))
        padded = np.zeros((part.stop - start, blocks * scheme.block), np.float32)
        padded[:, :inputs] = rows[part]
        w = padded.reshape(-1, blocks, scheme.block)
        scales, zeros = _asymmetric(w, scheme) if scheme.zero_points else _symmetric(w, scheme)
        scales = round_to(scales, scheme.scale_type)
        levels = _levels(w, _inverse(scales), zeros - scheme.middle, scheme.middle) + scheme.middle
        encoded.packed[part] = pack(levels.astype(np.uint8), scheme.bits)
        encoded.scales[part], encoded.zeros[part] = scales, zeros

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(piece, range(0, count, step)))
    return encoded


def round_to(values: np.ndarray, kind: str) -> np.ndarray:
    """float32 values that ``kind`` (float32, float16, bfloat16) can hold."""
    if kind == "float32":
        return values
    if kind == "float16":
        return values.astype(np.float16).astype(np.float32)
    return (bfloat16_bits(values).astype(np.uint32) << 16).view(np.float32)


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Bit patterns of finite float32 values rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")


def _symmetric(w: np.ndarray, scheme: Blockwise) -> tuple[np.ndarray, np.ndarray]:
    """[rows, blocks, block] -> scales and zero levels."""
    place = np.abs(w).argmax(-1)[..., None]
    largest = np.take_along_axis(w, place, -1)[..., 0]
    zeros = np.full(largest.shape, float(scheme.middle), np.float32)
    last = scheme.middle - 1
    if not scheme.search or scheme.bits == 8:
        # the largest value falls on the lowest level, which the other side does not have
        top = -float(scheme.middle) if scheme.bits == 4 else float(last)
        return largest / np.float32(top), zeros
    candidates = (np.float32(top) * _inverse(largest) for top in SYMMETRIC)
    return _best(w, ((inverse, zeros - scheme.middle) for inverse in candidates), scheme), zeros


def _asymmetric(w: np.ndarray, scheme: Blockwise) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.minimum(w.min(-1), 0), np.maximum(w.max(-1), 0)
    top = np.float32(2 * scheme.middle - 1)
    shrinks = SHRINK if scheme.search and scheme.bits == 4 else SHRINK[:1]
    tried = []
    for shrink in shrinks:
        inverse = top * _inverse((high - low) * np.float32(shrink))
        # the part that is cut off is shared out between both ends
        middle = (high + low) / 2
        lowest = middle - (high - low) * np.float32(shrink / 2)
        zero = np.clip(np.rint(-lowest * inverse), 0, top)
        tried.append((inverse, zero - scheme.middle))
    zeros = np.empty_like(low)
    scales = _best(w, tried, scheme, zeros)
    return scales, zeros + scheme.middle


def _best(w: np.ndarray, candidates, scheme: Blockwise, zeros: np.ndarray | None = None) -> np.ndarray:
    """Scales of the candidate (inverse scale, zero level less the middle) that leaves the least error."""
    best = np.full(w.shape[:2], -1.0, np.float32)
    scales = np.zeros(w.shape[:2], np.float32)
    for inverse, zero in candidates:
        d = _levels(w, inverse, zero, scheme.middle)
        d -= zero[..., None]
        product, square = np.einsum("rbk,rbk->rb", w, d), np.einsum("rbk,rbk->rb", d, d)
        scale = product * _inverse(square)
        gain = product * scale
        better = gain > best
        best[better], scales[better] = gain[better], scale[better]
        if zeros is not None:
            zeros[better] = zero[better]
    return scales


def _levels(w: np.ndarray, inverse: np.ndarray, zero: np.ndarray, middle: int) -> np.ndarray:
    """Levels of the values, counted from the middle."""
    levels = w * inverse[..., None]
    if zero.any():
        levels += zero[..., None]
    np.rint(levels, out=levels)
    return np.clip(levels, -middle, middle - 1, out=levels)


def _inverse(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 where that is not a finite number."""
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.float32(1) / values
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def pack(levels: np.ndarray, bits: int) -> np.ndarray:
    """[.., n] levels -> bytes; of two 4-bit levels the first takes the lower half."""
    if bits == 8:
        return levels
    if levels.shape[-1] % 2:
        levels = np.concatenate([levels, np.zeros((*levels.shape[:-1], 1), np.uint8)], axis=-1)
    return levels[..., ::2] | (levels[..., 1::2] << 4)
