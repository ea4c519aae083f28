"""Calls that take long, beside the thread in which Python handles signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def aside(call: Callable[[], Result], end: Callable[[BaseException], object] | None = None) -> Result:
    """Calls it, in a thread of its own if this is the main thread, and waits.

    What a signal raises meanwhile, such as Ctrl-C, is raised: at once, or when `end` has ended the call.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="fleming-call", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException as error:
        if end is not None:
            end(error)
            thread.join()
        raise
    if errors:
        raise errors[0]
    return results[0]
