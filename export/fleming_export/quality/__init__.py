"""A quantised package compared with the f32 package: ``gate`` compares, the rest measures what to choose."""

from .gate import BARS, STEPS, Asked, Tally, compare, require, verify

__all__ = ["BARS", "STEPS", "Asked", "Tally", "compare", "require", "verify"]
