"""Turns an InternVL3 checkpoint (Fleming-VL) into a package that the ``fleming`` runtime opens.

    read -> build -> place -> write, and optionally verify (``fleming_export.parity``)

``pipeline`` is that story. Nothing is traced and torch is not needed: the graphs are constructed, and the
weights stream from the checkpoint into the package a block at a time, so that the memory needed does not
depend on the model's size.
"""

from .errors import ExportError
from .pipeline import export
from .recipe import PRECISIONS, TARGETS, Choices, make_recipe
from .version import VERSION as __version__

__all__ = ["PRECISIONS", "TARGETS", "Choices", "ExportError", "__version__", "export", "make_recipe"]
