"""The one error the exporter raises on purpose, and what it says without stopping."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import re
import sys
from collections.abc import Callable

#: What to do about LoRA adapters: without them a package would silently be of the model they began with.
UNMERGED = "merge the adapters into the weights, save the whole model, and leave adapter files out"
_LOG = logging.getLogger("fleming_export")


class ExportError(Exception):
    """What could not be exported: the thing, what was wanted of it, what was got, and what to do about it."""

    def __init__(self, thing: str, wanted: object, got: object, hint: str = "") -> None:
        self.thing = str(thing)
        self.wanted = str(wanted)
        self.got = str(got)
        self.hint = hint
        super().__init__(
            f"{self.thing}: wanted {self.wanted}, got {self.got}" + (f" ({hint})" if hint else "")
        )


def notice(text: str) -> None:
    """Says what was decided where a checkpoint leaves a choice; by default on standard error."""
    _LOG.warning("%s", text)


def to_install(extra: str) -> str:
    """The command that installs an extra's libraries by their own names; the exporter is on no index."""
    found: list[str] = []
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found = importlib.metadata.requires("fleming-export") or []
    parts = [line.split(";") for line in found if re.search(rf"extra == ['\"]{extra}['\"]", line)]
    if not parts:  # run from its folder, or installed before the extra was there
        return f"install the extra '{extra}' of export/pyproject.toml"
    return "pip install " + " ".join(f"'{name.strip()}'" for name, *_ in parts)


def reported(program: str, run: Callable[[], int]) -> int:
    """The exit code of a command; what goes wrong in it is one line on standard error."""
    logging.basicConfig(format=f"{program}: %(message)s", level=logging.WARNING)
    try:
        return run()
    except ExportError as error:
        print(f"{program}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{program}: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
    return 1
