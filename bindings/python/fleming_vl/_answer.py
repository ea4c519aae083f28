"""Answers that are being made: waited for, streamed, cancelled."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
import queue
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, TypeAlias

from . import _log, _reply
from ._header import MADE, fleming_event_callback
from ._library import Handle, is_loaded, library, of_this_process
from ._reply import Event, Reply

#: Milliseconds that a call waits without a look at signals.
SLICE_MS = 50
FOR_EVER = -1

#: Puts an answer that was handed in, with what hears of it.
Submit: TypeAlias = Callable[[Any], "Pending"]
#: What is done with a whole reply.
Keep: TypeAlias = Callable[[Reply], None]


class Pending:
    """An answer that was handed in. Dropping it cancels it."""

    def __init__(self, handle: Handle, finish: Callable[[Handle], Reply], heard: object):
        self._handle, self._finish = handle, finish
        # The callback of the options lives as long as it may be called.
        self._heard = heard

    def poll(self, milliseconds: int) -> Reply | None:
        """Waits so long at most; None if it is not complete by then."""
        reply = ctypes.c_void_p()
        if not library().poll("pending_wait", self._handle, milliseconds, ctypes.byref(reply)):
            return None
        free = library().functions[f"fleming_{MADE['fleming_pending_wait']}_free"]
        return self._finish(Handle(reply, free))

    def wait(self) -> Reply:
        """Waits in the calling thread. Ctrl-C and whatever else a signal raises end the answer."""
        try:
            while True:
                if (reply := self.poll(SLICE_MS)) is not None:
                    return reply
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Ends the answer at its next step, from any thread."""
        library().call("pending_cancel", self._handle)


class Work:
    """An answer that a thread of its own waits for.

    Callbacks run in that thread. Python handles signals in its main thread: none is lost in a callback.
    """

    def __init__(
        self,
        submit: Submit,
        tell: Callable[[Event], None] | None,
        done: Callable[[Reply | BaseException], None],
    ):
        self._submit, self._tell, self._done = submit, tell, done
        self._lock, self._cancelled = threading.Lock(), False
        #: The process that the thread is in.
        self.process = os.getpid()
        self._pending: Pending | None = None
        self._thread = threading.Thread(target=self._run, name="fleming-answer", daemon=True)
        _working.add(self)
        self._thread.start()

    def _run(self) -> None:
        try:
            pending = self._submit(hearing(self._tell))
            with self._lock:
                self._pending = pending
                if self._cancelled:
                    pending.cancel()
            outcome: Reply | BaseException | None = pending.poll(FOR_EVER)
        except BaseException as error:
            outcome = error
        self._pending = None
        assert outcome is not None
        self._done(outcome)

    def cancel(self) -> None:
        """Ends the answer at its next step, from any thread. A forked child has none."""
        if self.process != os.getpid():
            return
        with self._lock:
            self._cancelled = True
            if (pending := self._pending) is not None:
                pending.cancel()

    def join(self) -> None:
        """Waits for the thread."""
        self._thread.join()


_working: weakref.WeakSet[Work] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """No thread is in the library when the interpreter goes."""
    for work in list(_working):
        work.cancel()
    for work in list(_working):
        work.join()
    if is_loaded():
        _log.end()


# Of a forked child's threads there is only the one that forked.
os.register_at_fork(after_in_child=_working.clear)


def hearing(tell: Callable[[Event], None] | None) -> Any:
    """A callback for the library that hands on copies of its events; none where nobody hears them."""
    if tell is None:
        return None

    def hear(_: Any, raw: Any) -> int:
        tell(_reply.event(raw.contents))
        return 0

    return fleming_event_callback(hear)


class Stream:
    """The events of an answer as they come: an iterator, and a context that ends the answer when it is left.

    Attributes:
        reply: the whole reply, once the iterator has ended; None before.
    """

    def __init__(self, submit: Submit, keep: Keep | None = None):
        self.reply: Reply | None = None
        self._keep = keep
        self._queue: queue.SimpleQueue[Event | Reply | BaseException] = queue.SimpleQueue()
        self._ended = False
        self._work = Work(submit, self._queue.put, self._queue.put)
        self._closing = weakref.finalize(self, self._work.cancel)

    def __repr__(self) -> str:
        return f"<Stream, {'ended' if self._ended else 'under way'}>"

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        of_this_process(self._work.process)
        try:
            item = self._queue.get()
        except BaseException:
            self.close()
            raise
        if isinstance(item, Event):
            return item
        self._ended = True
        if isinstance(item, BaseException):
            raise item
        self.reply = item
        if self._keep is not None:
            self._keep(item)
        raise StopIteration

    def close(self) -> None:
        """Ends the answer at its next step."""
        self._ended = True
        self._closing()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream:
    """The same for asyncio: `async for event in stream`. Cancelling the task that waits ends the answer.

    Attributes:
        reply: the whole reply, once the iterator has ended; None before.
    """

    def __init__(self, submit: Submit, keep: Keep | None = None):
        self.reply: Reply | None = None
        self._keep = keep
        self._queue: asyncio.Queue[Event | Reply | BaseException] = asyncio.Queue()
        self._ended = False
        loop, items = asyncio.get_running_loop(), self._queue

        # Not a method: the thread would keep the stream, which is to end when nothing else does.
        def put(item: Event | Reply | BaseException) -> None:
            soon(loop, items.put_nowait, item)

        self._work = Work(submit, put, put)
        self._closing = weakref.finalize(self, self._work.cancel)

    def __repr__(self) -> str:
        return f"<AsyncStream, {'ended' if self._ended else 'under way'}>"

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        of_this_process(self._work.process)
        try:
            item = await self._queue.get()
        except BaseException:
            await self.aclose()
            raise
        if isinstance(item, Event):
            return item
        self._ended = True
        if isinstance(item, BaseException):
            raise item
        self.reply = item
        if self._keep is not None:
            self._keep(item)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Ends the answer at its next step."""
        self._ended = True
        self._closing()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def answered(submit: Submit) -> Reply:
    """Waits for an answer beside the loop. Cancelling the task that waits ends it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Reply] = loop.create_future()

    def settle(outcome: Reply | BaseException) -> None:
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    work = Work(submit, None, lambda outcome: soon(loop, settle, outcome))
    try:
        return await future
    except BaseException:
        work.cancel()
        raise


def soon(loop: asyncio.AbstractEventLoop, call: Callable[[Any], None], item: object) -> None:
    """Calls it in the loop's thread; nothing where the loop has ended, and with it whoever waits."""
    try:
        loop.call_soon_threadsafe(call, item)
    except RuntimeError:
        if not loop.is_closed():
            raise
