"""The library's log, as that of Python."""

from __future__ import annotations

import _thread
import logging
from typing import Any

from ._header import fleming_log_callback
from ._header import fleming_log_level as Level
from ._library import library, text

logger = logging.getLogger("fleming_vl")

LEVELS: dict[int, int] = {
    Level.ERROR: logging.ERROR,
    Level.WARN: logging.WARNING,
    Level.INFO: logging.INFO,
    Level.DEBUG: logging.DEBUG,
    Level.TRACE: 5,
}


def begin() -> None:
    """Has the library log to the logger, as much as its level is now."""
    effective = logger.getEffectiveLevel()
    level = max((ours for ours, theirs in LEVELS.items() if theirs >= effective), default=Level.ERROR)
    library().call("log", hear, None, level)


def end() -> None:
    """Has the library log no more to Python. When it returns, no thread is in the callback."""
    library().call("log", fleming_log_callback(), None, 0)


def _hear(_: Any, level: int, message: bytes) -> None:
    """Called from any thread of the library."""
    try:
        logger.log(LEVELS.get(level, logging.ERROR), "%s", text(message))
    except KeyboardInterrupt:
        # An exception cannot leave a callback: the signal comes again, outside.
        _thread.interrupt_main()


hear = fleming_log_callback(_hear)
