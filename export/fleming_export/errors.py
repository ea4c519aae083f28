"""The one error the exporter raises on purpose."""

from __future__ import annotations

import sys
from collections.abc import Callable

#: What to do about LoRA adapters: without them a package would silently be of the model they began with.
UNMERGED = "merge the adapters into the weights, save the whole model, and leave adapter files out"


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


def reported(program: str, run: Callable[[], int]) -> int:
    """The exit code of a command; what goes wrong in it is told in one line on standard error."""
    try:
        return run()
    except ExportError as error:
        print(f"{program}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{program}: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
    return 1
