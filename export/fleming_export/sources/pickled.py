"""The tensors of a file that ``torch.save`` wrote (``pytorch_model*.bin``), without torch, executing nothing.

Such a file is a zip archive: ``data.pkl``, a pickle that says which tensors there are, and their storages,
uncompressed. A pickle is a program. Of its instructions the few that build tables, lists and names are
carried out here, and of the functions that it may call the four that describe a tensor, as data: whatever
else stands in it is an error.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import ExportError
from ..files import refuse_pointer
from .stored import INTEGERS, ITEM_BYTES, StoredTensor

#: ``data.pkl`` of a 78B checkpoint is about 0.2 MB.
PICKLE_LIMIT = 100_000_000
#: What torch calls the types of its storages.
STORAGES = {
    "torch FloatStorage": "F32",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch IntStorage": "I32",
}
TABLE, TENSOR, PARAMETER = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
CONVERT = "load the model and save it with save_pretrained(folder, safe_serialization=True)"
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = """BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8""".split()
_MARK = object()


@dataclass(frozen=True)
class Name:
    """A name that the pickle refers to; nothing is looked up by it."""

    text: str


@dataclass(frozen=True)
class Storage:
    """What a tensor's values are part of: a record of the archive."""

    dtype: str
    key: str
    values: int


@dataclass(frozen=True)
class View:
    """A tensor: which part of a storage, in items."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickled(path: Path) -> list[StoredTensor]:
    """Every tensor of one file, checked against the archive."""
    with path.open("rb") as file:
        beginning = file.read(100)
    refuse_pointer(path, beginning)
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            table = _table(path, archive, records)
            return [_placed(path, name, view, records) for name, view in table.items()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise ExportError(path.name, "a zip archive, as torch.save writes it", error, CONVERT) from None


def _table(path: Path, archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo]) -> dict[str, View]:
    """Name -> tensor, as ``data.pkl`` says."""
    program = records.get("data.pkl")
    if program is None or program.file_size > PICKLE_LIMIT or program.compress_type != zipfile.ZIP_STORED:
        raise ExportError(path.name, "data.pkl, stored as it is", "none", CONVERT)
    order = records.get("byteorder")
    if order is not None and archive.read(order)[:16] != b"little":
        raise ExportError(path.name, "values with the lowest byte first", "another order", CONVERT)
    table = Machine(path.name).run(archive.read(program))
    if not isinstance(table, dict) or not table:
        raise ExportError(path.name, "a table of tensors", type(table).__name__, CONVERT)
    for name, view in table.items():
        if not isinstance(name, str) or not isinstance(view, View):
            raise ExportError(f"{name} in {path.name}", "a tensor", type(view).__name__, CONVERT)
    return table


def _placed(path: Path, name: str, view: View, records: dict[str, zipfile.ZipInfo]) -> StoredTensor:
    """Where a tensor lies in the file."""
    where, storage = f"{name} in {path.name}", view.storage
    item = {**ITEM_BYTES, **INTEGERS}[storage.dtype]
    record = records.get(f"data/{storage.key}")
    if record is None or record.compress_type != zipfile.ZIP_STORED:
        raise ExportError(where, f"the record data/{storage.key}, stored as it is", "none", CONVERT)
    if record.file_size != storage.values * item:
        raise ExportError(where, f"{storage.values * item} bytes of storage", f"{record.file_size} bytes")
    steps = [n - 1 for n in view.shape]
    last = view.start + sum(n * step for n, step in zip(steps, view.strides, strict=True))
    if math.prod(view.shape) and last >= storage.values:
        raise ExportError(where, f"values within its storage of {storage.values}", f"value {last}")
    offset = _data_offset(path, record) + view.start * item
    strides = None if view.strides == _row_major(view.shape) or not math.prod(view.shape) else view.strides
    return StoredTensor(name, storage.dtype, view.shape, path, offset, strides=strides)


def _data_offset(path: Path, record: zipfile.ZipInfo) -> int:
    """Where the bytes of a record begin: after its own header, whose length the directory does not say."""
    with path.open("rb") as file:
        file.seek(record.header_offset)
        header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise ExportError(
            path.name, f"a record at byte {record.header_offset}", "none", "the file is damaged"
        )
    start = record.header_offset + 30 + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    if start + record.file_size > path.stat().st_size:
        raise ExportError(path.name, f"{start + record.file_size} bytes", f"{path.stat().st_size} bytes")
    return start


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


class Machine:
    """Carries out a pickle's instructions on data alone."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def run(self, program: bytes) -> object:
        """What the pickle stands for."""
        try:
            for opcode, argument, _ in pickletools.genops(io.BytesIO(program)):
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._refused(f"a damaged pickle: {error}") from None
        raise self._refused("a pickle without an end")

    def _step(self, name: str, argument: object) -> None:
        stack = self._stack
        if name in LITERALS:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in ("GLOBAL", "BINPERSID", "REDUCE", "STACK_GLOBAL"):
            self._name(name, argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name not in ("PROTO", "FRAME"):
            self._build(name)

    def _build(self, name: str) -> None:
        """Tuples, lists and tables."""
        stack = self._stack
        if name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            items = self._since_mark() if name == "TUPLE" else self._last(int(name[-1]))
            stack.append(tuple(items))
        elif name in ("SETITEM", "SETITEMS"):
            items = self._last(2) if name == "SETITEM" else self._since_mark()
            if not all(isinstance(key, str | int) for key in items[::2]):
                raise TypeError("a key that is no text")
            self._top(dict).update(zip(items[::2], items[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            self._top(list).extend(self._last(1) if name == "APPEND" else self._since_mark())
        elif name == "BUILD":  # the versions of modules, which a table of tensors carries
            stack.pop()
            self._top(dict)
        else:
            raise self._refused(f"the instruction {name}")

    def _name(self, kind: str, argument: object) -> None:
        """Names, storages, and what is said of tensors."""
        if kind == "GLOBAL":
            self._stack.append(self._allowed(str(argument)))
        elif kind == "STACK_GLOBAL":
            self._stack.append(self._allowed(" ".join(map(str, self._last(2)))))
        elif kind == "BINPERSID":
            what, storage, key, _, values = self._stack.pop()
            if what != "storage" or not isinstance(storage, Name) or storage.text not in STORAGES:
                raise self._refused(f"values of the type {getattr(storage, 'text', storage)}")
            if not isinstance(key, str) or type(values) is not int:
                raise ValueError("a storage without its name or size")
            self._stack.append(Storage(STORAGES[storage.text], key, values))
        else:
            function, arguments = self._last(2)
            self._stack.append(self._described(function, arguments))

    def _described(self, function: object, arguments: tuple) -> object:
        """What a call would give, as data."""
        called = function.text if isinstance(function, Name) else None
        if called == TABLE and arguments == ():
            return {}
        if called == PARAMETER and isinstance(arguments[0], View):
            return arguments[0]
        if called == TENSOR and isinstance(arguments[0], Storage):
            storage, start, shape, strides = arguments[:4]
            numbers = [start, *shape, *strides]
            if len(shape) == len(strides) and all(type(n) is int and n >= 0 for n in numbers):
                return View(storage, start, tuple(shape), tuple(strides))
        raise self._refused(f"a call of {called}")

    def _allowed(self, name: str) -> Name:
        if name not in STORAGES and name not in (TABLE, TENSOR, PARAMETER):
            raise self._refused(f"the name {name.replace(' ', '.', 1)}")
        return Name(name)

    def _top(self, kind: type) -> dict | list:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"{kind.__name__} expected")
        return self._stack[-1]

    def _last(self, count: int) -> list:
        if len(self._stack) < count:
            raise IndexError("an empty stack")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("no mark")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def _refused(self, got: str) -> ExportError:
        return ExportError(self._where, "a pickle of tensors and nothing else", got, CONVERT)
