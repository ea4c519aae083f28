"""A package compared with the model in torch: ``gate`` compares, ``goldens`` writes files to compare with."""

from .gate import TOLERANCES, verify
from .prompts import require

__all__ = ["TOLERANCES", "require", "verify"]
