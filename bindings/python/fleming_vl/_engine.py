"""A loaded model."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import byref
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _answer, _facts, _log, _options, _reply, _request
from ._answer import AsyncStream, Pending, Stream
from ._aside import aside
from ._chat import Chat
from ._facts import Embeddings, EngineCounts, EngineFacts, Memory, Preview, TokenCount
from ._header import (
    fleming_buffer_facts,
    fleming_engine_facts,
    fleming_load_callback,
    fleming_memory,
    fleming_role,
    fleming_token_count,
)
from ._library import Handle, c_path, content, library, made, onnxruntime
from ._reply import Reply
from ._request import Asked, AskOptions, Prepared, Turn
from ._study import Study
from .errors import CancelledError, EngineError, RequestError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._table import SetupOptions

_HERE = Path(__file__).parent
#: The package of the demo model: inside a wheel, or in the source tree. It knows drawn pictures and nothing
#: of medicine.
DEMO = _HERE / "demo" if (_HERE / "demo").is_dir() else _HERE.parents[2] / "models" / "demo"


class Engine:
    """A loaded model: `with Engine("models/fleming-vl-8b") as engine: engine.ask(…)`.

    Many threads and tasks may use one engine at once. It belongs to the process that opened it: a child of
    `os.fork` gets an `EngineError`, so choose `spawn` for multiprocessing and open an engine in each process.
    """

    def __init__(
        self,
        package: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], object] | None = None,
        **options: Unpack[SetupOptions],
    ):
        """Loads the package in a folder. Ctrl-C ends the loading.

        Args:
            package: the folder; `fleming_vl.DEMO` is the demo model's.
            progress: called at the beginning, some ten times a second and at the end with the bytes that were
                checked, and with all (0 before they are known). It runs in another thread than the caller's;
                an exception of it ends the loading.
            options: how the engine is set up, by the names of docs/cli.md: `provider`, `slots`, `context`, …

        Raises:
            PackageError: if the package is incomplete or altered.
            RequestError: for an option that may not be.
            EngineError: without ONNX Runtime, or where the machine has no room for it.
        """
        _log.begin()
        setup = _options.engine(_with_runtime(options))
        self._handle: Handle | None = _loaded(package, setup, progress)
        #: What was loaded.
        self.facts = _facts.read(EngineFacts, self._read())

    def ask(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Reply:
        """Answers a question about any number of inputs. Ctrl-C ends the answer.

        `<image>` in a text places the next input; without it they come before the question. A question may
        also be a list of texts and studies in order: `["Before: ", Study.image(a), " After: ",
        Study.image(b)]`. Such a text is taken literally.

        Args:
            question: the question.
            options: inputs as `image`, `video`, `volume`, `dicom` and `studies`, and every option of
                docs/cli.md, docs/input.md and docs/sampling.md by its name: `max_new_tokens=64`, `slices=16`.

        Raises:
            InputError: for an input that cannot be read as asked.
            RequestError: for an option that may not be, or a prompt that does not fit into the context.
            BusyError: if too many requests wait already.
        """
        return self.submit(question, options).wait()

    def ask_all(
        self, question: str | Iterable[str | Study], answers: int, **options: Unpack[AskOptions]
    ) -> list[Reply]:
        """Several answers from one prefill: the n-th, from 0, is sampled with the seed plus n.

        With a `temperature` they differ. Other arguments are those of `ask`.
        """
        count = _options.whole("answers", answers, 4)
        if count < 1:
            raise RequestError.of("answers", "at least 1", f"{count}", "ask for one")
        asked, handle = self._asked(question, options), self._open()
        # More are refused before any is written.
        pointers = (ctypes.c_void_p * min(count, self.facts.slots + self.facts.queue))()
        library().call("engine_submit_all", handle, asked.request, byref(asked.options), count, pointers)
        free = library().functions["fleming_pending_free"]
        handles = [Handle(ctypes.c_void_p(pointer), free) for pointer in pointers]
        waiting = [self._pending(handle, asked, None) for handle in handles]
        return [pending.wait() for pending in waiting]

    def stream(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Stream:
        """The same as `ask`, as an iterator of what happens: `for event in engine.stream(…)`. See `Stream`.

        Leaving it (`close`, the end of a `with`, or dropping it) ends the answer.
        """
        return Stream(lambda hear: self.submit(question, options, hear))

    async def aask(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> Reply:
        """The same as `ask`, beside asyncio's loop. Cancelling the task ends the answer."""
        return await _answer.answered(lambda hear: self.submit(question, options, hear))

    def astream(self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]) -> AsyncStream:
        """The same as `stream` for `async for`. Cancelling the task ends the answer."""
        return AsyncStream(lambda hear: self.submit(question, options, hear))

    def chat(self, **options: Unpack[AskOptions]) -> Chat:
        """A conversation, whose questions all have these options. See `Chat`."""
        return Chat(self.submit_turns, self.facts.instruction, options)

    def count_tokens(
        self, question: str | Iterable[str | Study], **options: Unpack[AskOptions]
    ) -> TokenCount:
        """How long the prompt would be, by the headers of the inputs: nothing runs."""
        asked, count = self._asked(question, options), made(fleming_token_count)
        handle = self._open()
        aside(
            lambda: library().call(
                "engine_count_tokens", handle, asked.request, byref(asked.options), byref(count)
            )
        )
        return _facts.read(TokenCount, count)

    def preview(self, **options: Unpack[AskOptions]) -> Preview:
        """What the model sees of inputs, as pictures. No model runs."""
        asked, handle = self._asked("", options), self._open()
        make = library().make
        return aside(lambda: Preview(make("engine_preview", handle, asked.request, byref(asked.options))))

    def embed(self, **options: Unpack[AskOptions]) -> Embeddings:
        """The image embeddings of inputs, without a question."""
        asked, handle = self._asked("", options), self._open()
        make = library().make
        return aside(lambda: Embeddings(make("engine_embed", handle, asked.request, byref(asked.options))))

    def counts(self) -> EngineCounts:
        """What the engine is doing now, and has done since it was opened. It never waits for the engine."""
        return _facts.read(EngineCounts, self._read())

    def save_session(self, reply: Reply, file: str | os.PathLike[str]) -> None:
        """Writes what the conversation of a reply left in memory to a file, as confidential as its inputs.

        Raises:
            RequestError: if another request took its slot since, or the reply is of another process.
        """
        library().call("engine_save_session", self._open(), _of_this_process(reply), c_path(file, "file"))

    def session(self, reply: Reply) -> bytes:
        """The same bytes in memory."""
        handle = library().make("engine_save_session_bytes", self._open(), _of_this_process(reply))
        return _content(handle)

    def load_session(self, session: str | os.PathLike[str] | bytes | bytearray) -> None:
        """Reads a saved conversation (file or bytes): a request that begins like it runs only what is new."""
        if isinstance(session, bytes | bytearray | memoryview):
            saved = bytes(session)
            library().call("engine_load_session_bytes", self._open(), saved, len(saved))
        else:
            library().call("engine_load_session", self._open(), c_path(session, "session"))

    def close(self) -> None:
        """Frees the engine; answers under way hold what they need."""
        self._handle = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return "<Engine, closed>"
        return f"<Engine of {self.facts.package} on {self.facts.provider}, {self.facts.slots} slots>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Engine belongs to the process that opened it: open one in each process")

    def submit(
        self, question: str | Iterable[str | Study], options: Mapping[str, Any], hear: Any = None
    ) -> Pending:
        """Hands a question in and returns at once. For `ask`, and what is made like it."""
        return self._submitted(self._asked(question, options), hear)

    def submit_turns(self, turns: Sequence[Turn], options: Mapping[str, Any], hear: Any) -> Pending:
        """Hands the turns of a conversation in. For `Chat`."""
        return self._submitted(_request.asked_in_order(turns, dict(options)), hear)

    def _asked(self, question: str | Iterable[str | Study], options: Mapping[str, Any]) -> Asked:
        given = dict(options)
        if isinstance(question, str):
            studies: list[Prepared] = _request.prepared(given)
            return _request.asked(question, studies, given)
        return _request.asked_in_order([(fleming_role.USER, _request.parts(question, given))], given)

    def _submitted(self, asked: Asked, hear: Any) -> Pending:
        if hear is not None:
            asked.options.on_event = hear
        pending = library().make("engine_submit", self._open(), asked.request, byref(asked.options))
        return self._pending(pending, asked, hear)

    def _pending(self, handle: Handle, asked: Asked, hear: Any) -> Pending:
        package = (self.facts.package, self.facts.digest)
        read = _reply.Asked(package, asked.parse, bool(asked.options.keep_seen))
        return Pending(handle, lambda reply: _reply.read(reply, read), hear)

    def _open(self) -> Handle:
        if self._handle is None:
            raise EngineError.of("engine", "an open one", "one that was closed", "open it anew")
        return self._handle

    def _read(self) -> fleming_engine_facts:
        facts = made(fleming_engine_facts)
        library().call("engine_read", self._open(), byref(facts))
        return facts


def memory(package: str | os.PathLike[str], **options: Unpack[SetupOptions]) -> Memory:
    """The memory that an engine on a package will take with these options. Nothing is loaded."""
    facts, setup = made(fleming_memory), _options.engine(options)
    library().call("package_memory", c_path(package, "package"), byref(setup), byref(facts))
    return _facts.read(Memory, facts)


def doctor(package: str | os.PathLike[str] | None = None, **options: Unpack[SetupOptions]) -> dict[str, Any]:
    """What this machine has and lacks, as `fleming doctor --json` says it.

    A package is loaded with these options and asked its self-test: `ok` says whether it answers as exported.
    """
    setup = _options.engine(_with_runtime(options))
    folder = None if package is None else c_path(package, "package")
    report = aside(lambda: library().make("doctor", folder, byref(setup)))
    read: dict[str, Any] = json.loads(_content(report))
    return read


def _loaded(
    package: str | os.PathLike[str], setup: Any, progress: Callable[[int, int], object] | None
) -> Handle:
    """Loads a package in a thread of its own, as callbacks are not to run where signals are handled."""
    if progress is not None and not callable(progress):
        raise RequestError.of(
            "progress", "a function of two numbers", type(progress).__qualname__, "def hear(done, total)"
        )
    ended: list[BaseException] = []

    def hear(_: Any, done: int, total: int) -> int:
        try:
            if progress is not None and not ended:
                progress(done, total)
        except BaseException as error:
            ended.append(error)
        return len(ended)

    setup.on_load = fleming_load_callback(hear)
    try:
        loaded = aside(
            lambda: library().make("engine_open", c_path(package, "package"), byref(setup)), ended.append
        )
    except CancelledError:
        if not ended:
            raise
    if ended:
        raise ended[0]
    return loaded


def _of_this_process(reply: Reply) -> Handle:
    if not isinstance(reply, Reply):
        raise RequestError.of(
            "reply", "a Reply of this engine", type(reply).__qualname__, "pass what ask returned"
        )
    if reply._handle is None:
        raise RequestError.of(
            "reply", "one of this process", "one that was pickled", "save it in the process that answered"
        )
    return reply._handle


def _content(buffer: Handle) -> bytes:
    """The bytes that the library made."""
    facts = made(fleming_buffer_facts)
    library().call("buffer_read", buffer, byref(facts))
    return content(facts, "data", facts.size)


def _with_runtime(options: SetupOptions) -> dict[str, Any]:
    """Options with the ONNX Runtime of this Python, where none is named."""
    given: dict[str, Any] = dict(options)
    if given.get("onnxruntime") is None and (found := onnxruntime()):
        given["onnxruntime"] = found
    return given
