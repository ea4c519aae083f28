"""The C library: where it is, and calls of it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from . import _header
from ._header import fleming_status as Status
from ._names import ours
from .errors import KINDS, ArgumentError, EngineError, FlemingError, LibraryError, RequestError

Struct = TypeVar("Struct", bound=ctypes.Structure)

#: Names a libfleming.so to use in place of the one inside this package.
VARIABLE = "FLEMING_LIBRARY"
#: Names an ONNX Runtime; the library reads it too.
RUNTIME_VARIABLE = "ORT_DYLIB_PATH"
NAME = "libfleming.so"
RUNTIME = "libonnxruntime.so"

_HERE = Path(__file__).parent
_lock = threading.Lock()


class Library:
    """The loaded library, with the functions of `_header.FUNCTIONS` as far as it has them."""

    def __init__(self, path: Path):
        self.path, self.process = path, os.getpid()
        try:
            self._loaded = ctypes.CDLL(str(path))
        except OSError as error:
            raise LibraryError(f"{path}: {error}", "install fleming-vl for this machine") from error
        self.functions: dict[str, Callable[..., Any]] = {}
        for name, (result, arguments) in _header.FUNCTIONS.items():
            function = getattr(self._loaded, name, None)
            if function is None:
                version = getattr(self._loaded, "fleming_version", None)
                if version is None:
                    raise LibraryError.of(
                        str(path), NAME, "another library", f"set {VARIABLE} to a {NAME}, or unset it"
                    )
                version.restype = ctypes.c_char_p
                got = f"version {version().decode()} without it"
                raise LibraryError(
                    f"{path}: wanted {name} of version {_header.VERSION}, got {got}",
                    f"install the library of this version, or unset {VARIABLE}",
                )
            function.restype, function.argtypes = result, arguments
            self.functions[name] = function

    def call(self, name: str, *arguments: object) -> None:
        """Calls `fleming_NAME`; a failure is an exception."""
        status = self._status(name, arguments)
        if status != Status.OK:
            raise self.failure(status)

    def poll(self, name: str, *arguments: object) -> bool:
        """The same; whether it is complete."""
        status = self._status(name, arguments)
        if status not in (Status.OK, Status.PENDING):
            raise self.failure(status)
        return bool(status == Status.OK)

    def make(self, name: str, *arguments: object) -> Handle:
        """Calls a function whose last argument is a place for an object; `fleming_KIND_free` frees that."""
        kind = _header.MADE[f"fleming_{name}"]
        pointer = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(pointer))
        return Handle(pointer, self.functions[f"fleming_{kind}_free"])

    def _status(self, name: str, arguments: Sequence[object]) -> int:
        for argument in arguments:
            if isinstance(argument, Handle):
                of_this_process(argument.process)
        return int(self.functions[f"fleming_{name}"](*arguments))

    def failure(self, status: int) -> FlemingError:
        """What went wrong in the last call of this thread."""
        facts = made(_header.fleming_error_facts)
        self.functions["fleming_last_error_read"](ctypes.byref(facts))
        told = {name: text(getattr(facts, name)) for name in ("thing", "wanted", "got")}
        message, hint = text(facts.message), text(facts.hint)
        if status == Status.REQUEST:
            # What it is about is an option, at the beginning of the message.
            thing, hint = told["thing"], ours(hint)
            told["thing"] = ours(thing)
            message = told["thing"] + message.removeprefix(thing) if message.startswith(thing) else message
        return KINDS.get(status, FlemingError)(message, hint, **told)

    def word(self, name: str) -> str:
        """The result of a function that returns a text."""
        return text(self.functions[f"fleming_{name}"]())


class Handle:
    """An object of the library. It is freed when nothing refers to it any more."""

    __slots__ = ("_free", "pointer", "process")

    def __init__(self, pointer: ctypes.c_void_p, free: Callable[[ctypes.c_void_p], None]):
        self.pointer, self._free, self.process = pointer, free, os.getpid()

    def __del__(self) -> None:
        # One that was half made has nothing to free.
        if (free := getattr(self, "_free", None)) is not None:
            free(self.pointer)

    def __deepcopy__(self, _: object) -> Handle:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("memory of the library belongs to its process: pickle numpy.asarray(…) of it instead")

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        return self.pointer


_loaded: list[Library] = []


def library() -> Library:
    """The library of this process, loaded at the first call."""
    if not _loaded:
        with _lock:
            if not _loaded:
                _loaded.append(Library(place()))
    return _loaded[0]


def of_this_process(process: int) -> None:
    """Refuses what a process made before it was forked: the threads that work on it are not in the child."""
    if process != os.getpid():
        raise EngineError.of(
            "engine",
            "a call in the process that opened it",
            "one in a child of it",
            "open an engine in each process; with multiprocessing choose 'spawn'",
        )


def is_loaded() -> bool:
    """Whether this process has loaded the library, and did not inherit it by a fork."""
    return bool(_loaded) and _loaded[0].process == os.getpid()


def place() -> Path:
    """Where it is: named by FLEMING_LIBRARY, inside this package, or the newest build of a source tree."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    inside = _HERE / "lib" / NAME
    if inside.is_file():
        return inside
    tree = _HERE.parents[2]
    builds = [tree / "target" / profile / NAME for profile in ("release", "debug")]
    built = [build for build in builds if build.is_file() and (tree / "include" / "fleming.h").is_file()]
    if not built:
        raise LibraryError(
            f"{NAME}: wanted inside {_HERE}, got none",
            f"install a wheel of fleming-vl, or set {VARIABLE} to the path of a {NAME}",
        )
    return max(built, key=lambda build: build.stat().st_mtime)


def onnxruntime() -> Path | None:
    """The library of this Python's package `onnxruntime` or `onnxruntime-gpu`, which is not imported.

    None leaves the search to the library: where ORT_DYLIB_PATH names one or one lies beside the library, and
    where this Python has no such package.
    """
    if os.environ.get(RUNTIME_VARIABLE) or list(library().path.parent.glob(f"{RUNTIME}*")):
        return None
    try:
        found = importlib.util.find_spec("onnxruntime")
    except ValueError:  # a module that stands in for it, in a test
        return None
    folders = (found.submodule_search_locations if found else None) or []
    libraries = [path for folder in folders for path in sorted(Path(folder, "capi").glob(f"{RUNTIME}*"))]
    return libraries[0] if libraries else None


def text(raw: bytes | None) -> str:
    """A text of the library; NULL is an empty one."""
    return (raw or b"").decode("utf-8", "replace")


def content(struct: ctypes.Structure, pointer: str, size: int) -> bytes:
    """The bytes that a field of a struct points to. ctypes itself would end those of a text at a NUL."""
    place = getattr(type(struct), pointer).offset
    address = ctypes.c_void_p.from_buffer(struct, place).value
    return ctypes.string_at(address, size) if address else b""


def c_text(name: str, value: str) -> bytes:
    """A text for the library."""
    if not isinstance(value, str):
        raise RequestError.of(name, "a text", type(value).__qualname__, "pass a str")
    return _without_nul(name, value.encode("utf-8", "surrogatepass"))


def _without_nul(name: str, raw: bytes) -> bytes:
    """What C may read up to the NUL at its end."""
    if b"\0" in raw:
        raise ArgumentError.of(name, "a text without the character NUL", "the character NUL", "take it out")
    return raw


def c_texts(name: str, values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    """Texts for the library."""
    return (ctypes.c_char_p * len(values))(*[c_text(name, value) for value in values])


def c_path(path: str | os.PathLike[str], name: str = "path") -> bytes:
    """A path for the library."""
    try:
        raw = os.fsencode(path)
    except TypeError:
        raise RequestError.of(name, "a path", type(path).__qualname__, "pass a str or a Path") from None
    if not raw:
        raise ArgumentError.of(name, "a path", "an empty text", "name a file or a folder")
    return _without_nul(name, raw)


def made(kind: type[Struct], **fields: object) -> Struct:
    """A struct with its size and these fields."""
    return kind(struct_size=ctypes.sizeof(kind), **fields)
