"""A loaded model."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from . import _answer, _log, _options, _reply, _request
from ._answer import AsyncStream, Pending, Stream
from ._chat import Chat
from ._header import fleming_embeddings_facts, fleming_engine_facts, fleming_memory
from ._library import Handle, c_path, library, made, onnxruntime, text
from ._reply import Reply
from ._request import AskOptions, Prepared
from .errors import EngineError, RequestError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._table import SetupOptions

Result = TypeVar("Result")

_HERE = Path(__file__).parent
#: The package of the demo model: inside a wheel, or in the source tree. It knows drawn pictures and nothing
#: of medicine.
DEMO = next(path for path in (_HERE / "demo", _HERE.parents[2] / "models" / "demo") if path.is_dir())


@dataclass(frozen=True)
class EngineFacts:
    """What was loaded.

    Attributes:
        package: name of the package.
        digest: SHA-256 of the package, which names what answered.
        precision: of the weights: "f32", "int8", "int4".
        target: what the package was exported for: "cpu".
        onnxruntime, onnxruntime_build: file name of ONNX Runtime's library, and what that says of its build.
        tile_size: side of the square that every frame or tile is brought to, in pixels.
        memory: bytes that the engine takes.
    """

    package: str
    digest: str
    precision: str
    target: str
    onnxruntime: str
    onnxruntime_build: str
    tile_size: int
    memory: int


@dataclass(frozen=True)
class Memory:
    """Bytes of memory that an engine takes.

    Attributes:
        weights: the weights of both graphs.
        slots: keys and values of all slots.
        image_cache: the most that kept image embeddings take.
        work: the most that runs work with while they last, and ONNX Runtime itself.
        total: all of it.
    """

    weights: int
    slots: int
    image_cache: int
    work: int
    total: int


class Embeddings:
    """Image embeddings, `[tiles, tokens, hidden]` of float32: `numpy.asarray(embeddings)` copies nothing.

    Attributes:
        shape: tiles of all frames in the order of the studies, tokens of a tile, numbers of a token.
    """

    def __init__(self, handle: Handle):
        facts = made(fleming_embeddings_facts)
        library().call("embeddings_read", handle, byref(facts))
        self._handle = handle
        self.shape = (facts.tiles, facts.tokens, facts.hidden)
        address = ctypes.cast(facts.values, ctypes.c_void_p).value
        self.__array_interface__ = {
            "version": 3,
            "shape": self.shape,
            "typestr": "=f4",
            "data": (address, True),
        }


class Engine:
    """A loaded model: `with Engine("models/fleming-vl-8b") as engine: engine.ask(…)`.

    Many threads and tasks may use one engine at once. It belongs to the process that opened it: a child of
    `os.fork` gets an `EngineError`, so choose `spawn` for multiprocessing and open an engine in each process.
    """

    def __init__(self, package: str | os.PathLike[str], **options: Unpack[SetupOptions]):
        """Loads the package in a folder.

        Args:
            package: the folder; `fleming_vl.DEMO` is the demo model's.
            options: how the engine is set up, by the names of docs/cli.md: `provider`, `slots`, `context`, …

        Raises:
            PackageError: if the package is incomplete or altered.
            RequestError: for an option that may not be.
            EngineError: without ONNX Runtime, or where the machine has no room for it.
        """
        setup = _options.engine(_with_runtime(options))
        setup.log, setup.log_level = _log.hear, _log.level()
        opened = _interruptible(lambda: library().make("engine_open", c_path(package), byref(setup)))
        self._handle: Handle | None = opened
        self._package = Path(package)
        facts = made(fleming_engine_facts)
        library().call("engine_read", opened, byref(facts))
        read: dict[str, Any] = {entry.name: getattr(facts, entry.name) for entry in fields(EngineFacts)}
        words = {name: text(fact) for name, fact in read.items() if isinstance(fact, bytes)}
        #: What was loaded.
        self.facts = EngineFacts(**{**read, **words})

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """Answers a question about any number of inputs.

        `<image>` in the question places the next input; without it they come before the question. Ctrl-C ends
        the answer.

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

    def stream(self, question: str, **options: Unpack[AskOptions]) -> Stream:
        """The same as an iterator of what happens: `for event in engine.stream(…)`. See `Stream`.

        Leaving it (`close`, the end of a `with`, or dropping it) ends the answer.
        """
        return Stream(lambda hear: self.submit(question, options, hear))

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Reply:
        """The same as `ask`, beside asyncio's loop. Cancelling the task ends the answer."""
        return await _answer.answered(lambda hear: self.submit(question, options, hear))

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncStream:
        """The same as `stream` for `async for`. Cancelling the task ends the answer."""
        return AsyncStream(lambda hear: self.submit(question, options, hear))

    def chat(self, **options: Unpack[AskOptions]) -> Chat:
        """A conversation, whose questions all have these options. See `Chat`."""
        return Chat(self.submit_prepared, self._instruction, options)

    def embed(self, **options: Unpack[AskOptions]) -> Embeddings:
        """The image embeddings of inputs, without a question."""
        given: dict[str, Any] = dict(options)
        asked, handle = _request.asked("", _request.prepared(given), given), self._open()
        return _interruptible(
            lambda: Embeddings(library().make("engine_embed", handle, asked.request, byref(asked.options)))
        )

    def save_session(self, reply: Reply, file: str | os.PathLike[str]) -> None:
        """Writes what the conversation of a reply left in memory to a file, as confidential as its inputs.

        Raises:
            RequestError: if another request took its slot since, or the reply is of another process.
        """
        if reply._handle is None:
            raise RequestError("reply: wanted one of this process, got one that was pickled")
        library().call("engine_save_session", self._open(), reply._handle, c_path(file))

    def load_session(self, file: str | os.PathLike[str]) -> None:
        """Reads a saved conversation: a request that begins like it runs only what is new."""
        library().call("engine_load_session", self._open(), c_path(file))

    def _instruction(self) -> str:
        """The package's text that asks for a thought and an answer."""
        manifest = json.loads((self._package / "fleming.json").read_text(encoding="utf-8"))
        return str(manifest["prompt"]["instructions"]["reasoning"])

    def close(self) -> None:
        """Frees the engine; answers under way hold what they need."""
        self._handle = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Engine belongs to the process that opened it: open one in each process")

    def _open(self) -> Handle:
        if self._handle is None:
            raise EngineError("engine: wanted an open one, got one that was closed", "open it anew")
        return self._handle

    def submit(self, question: str, options: Mapping[str, Any], hear: Any = None) -> Pending:
        """Hands a question in and returns at once. For `ask`, and what is made like it."""
        given = dict(options)
        return self.submit_prepared(question, _request.prepared(given), given, hear)

    def submit_prepared(
        self, question: str, studies: Sequence[Prepared], options: dict[str, Any], hear: Any
    ) -> Pending:
        """Hands a question in. For `Chat`."""
        handle = self._open()
        asked = _request.asked(question, studies, options)
        if hear is not None:
            asked.options.on_event = hear
        pending = library().make("engine_submit", handle, asked.request, byref(asked.options))
        package = (self.facts.package, self.facts.digest)
        return Pending(pending, lambda reply: _reply.read(reply, package, asked.parse), hear)


def memory(package: str | os.PathLike[str], **options: Unpack[SetupOptions]) -> Memory:
    """The memory that an engine on a package will take with these options. Nothing is loaded."""
    facts, setup = made(fleming_memory), _options.engine(options)
    library().call("package_memory", c_path(package), byref(setup), byref(facts))
    return Memory(**{entry.name: getattr(facts, entry.name) for entry in fields(Memory)})


def _with_runtime(options: SetupOptions) -> dict[str, Any]:
    """Options with the ONNX Runtime of this Python, where none is named."""
    given: dict[str, Any] = dict(options)
    if given.get("onnxruntime") is None and (found := onnxruntime()):
        given["onnxruntime"] = found
    return given


def _interruptible(call: Callable[[], Result]) -> Result:
    """Calls it in a thread of its own if the calling one is the main thread, so that signals are handled."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    outcome: list[tuple[Result | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="fleming-call", daemon=True)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
