"""Random streams. Training, validation and test draw from disjoint parts of the seed space."""

from __future__ import annotations

import numpy as np

#: First word of every stream's entropy: no seed of one split can name a stream of another.
SPLITS = {"train": 0x7261696E, "test": 0x74657374, "validation": 0x76616C69}


def generator(split: str, seed: int, *path: int) -> np.random.Generator:
    """The stream of one sample: a function of the split, the seed and a path of indices (all 32 bits)."""
    words = (seed, *path)
    if any(not 0 <= word < 1 << 32 for word in words):
        raise ValueError(f"seeds and indices are from 0 to 2**32 - 1, not {words}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([SPLITS[split], len(words), *words])))


def choose(rng: np.random.Generator, items):
    """One of a sequence, keeping its Python type."""
    return items[int(rng.integers(len(items)))]
