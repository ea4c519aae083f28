"""``pytorch_model.bin``: what torch.save writes is read without torch, and a pickle executes nothing."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from checkpoints import read_tensors
from test_prequantized import KINDS, write_packed

from fleming_export import ExportError, export, make_recipe
from fleming_export.sources.folder import Checkpoint
from fleming_export.sources.pickled import Machine, read_pickled

STORAGE = {"<u2": "BFloat16Storage", "<f2": "HalfStorage", "<f4": "FloatStorage", "<i4": "IntStorage"}


class Program:
    """The few instructions of which torch's pickles are made, written out one by one."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")

    def text(self, text: str) -> None:
        raw = text.encode()
        self.out += b"X" + struct.pack("<I", len(raw)) + raw

    def number(self, value: int) -> None:
        self.out += b"J" + struct.pack("<i", value)

    def numbers(self, values) -> None:
        self.out += b"("
        for value in values:
            self.number(value)
        self.out += b"t"

    def name(self, module: str, name: str) -> None:
        self.out += f"c{module}\n{name}\n".encode()

    def empty_table(self) -> None:
        self.name("collections", "OrderedDict")
        self.out += b")R"

    def tensor(self, storage: tuple[str, str, int], view: tuple) -> None:
        """``view``: the start, the shape and the strides, in items."""
        kind, key, count = storage
        start, shape, strides = view
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self.text("storage")
        self.name("torch", kind)
        self.text(key)
        self.text("cpu")
        self.number(count)
        self.out += b"tQ"
        self.number(start)
        self.numbers(shape)
        self.numbers(strides)
        self.out += b"\x89"
        self.empty_table()
        self.out += b"tR"


def row_major(shape) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def save_pickled(path, tensors: dict[str, np.ndarray], views: dict[str, tuple] | None = None) -> None:
    """A file as torch.save writes it; ``views`` has other parts of a tensor's storage than all of it."""
    program = Program()
    program.empty_table()
    program.out += b"("
    for number, (name, values) in enumerate(tensors.items()):
        kind = STORAGE[values.dtype.newbyteorder("<").str.replace("|", "<")]
        whole = (0, values.shape, row_major(values.shape))
        program.text(name)
        program.tensor((kind, str(number), values.size), (views or {}).get(name, whole))
    program.out += b"u."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", bytes(program.out))
        archive.writestr("archive/byteorder", "little")
        for number, values in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{number}", values.tobytes())
        archive.writestr("archive/version", "3\n")


@pytest.fixture
def pickled(damaged):
    """``damaged`` with its weights in pytorch_model.bin."""
    save_pickled(damaged / "pytorch_model.bin", read_tensors(damaged))
    (damaged / "model.safetensors").unlink()
    return damaged


def test_the_same_package(pickled, plain, tmp_path):
    got, wanted = export(str(pickled), tmp_path / "got"), export(str(plain), tmp_path / "wanted")
    for name in ("vision.onnx.data", "decoder.onnx.data"):
        assert (got / name).read_bytes() == (wanted / name).read_bytes()


def test_safetensors_come_first(pickled, plain):
    (pickled / "model.safetensors").write_bytes((plain / "model.safetensors").read_bytes())
    assert Checkpoint(pickled, "name", "name").shards == ["model.safetensors"]


def test_packed_weights(plain, tmp_path):
    """AWQ as lmdeploy saves it: words and scales in a pickle."""
    packed, _ = write_packed(plain, tmp_path, KINDS[0])
    recipe = make_recipe("cpu", "int4")
    wanted = export(str(packed), tmp_path / "wanted", recipe=recipe)
    kinds = {"I32": "<i4", "F16": "<f2", "BF16": "<u2"}
    tensors = {}
    for name, place in Checkpoint(packed, "name", "name").tensors.items():
        values = np.fromfile(place.file, kinds[place.dtype], place.values, offset=place.offset)
        tensors[name] = values.reshape(place.shape)
    save_pickled(packed / "pytorch_model.bin", tensors)
    (packed / "model.safetensors").unlink()
    got = export(str(packed), tmp_path / "got", recipe=recipe)
    assert (got / "decoder.onnx.data").read_bytes() == (wanted / "decoder.onnx.data").read_bytes()


def test_parts_and_other_orders_of_a_storage(tmp_path, monkeypatch):
    """A slice, and a transposed tensor, a few rows at a time."""
    monkeypatch.setattr("fleming_export.sources.stored.BLOCK_VALUES", 8)
    values = np.arange(24, dtype="<f4").reshape(4, 6)
    views = {"rows": (6, (2, 6), (6, 1)), "turned": (0, (6, 4), (1, 6)), "corner": (1, (2, 3), (6, 1))}
    save_pickled(tmp_path / "x.bin", dict.fromkeys(views, values), views)
    read = {tensor.name: np.concatenate(list(tensor.blocks())) for tensor in read_pickled(tmp_path / "x.bin")}
    assert np.array_equal(read["rows"], values[1:3].ravel())
    assert np.array_equal(read["turned"], values.T.ravel())
    assert np.array_equal(read["corner"], values[:2, 1:4].ravel())


@pytest.mark.parametrize(
    "view",
    [(1, (4, 6), (6, 1)), (0, (4, 6), (7, 1)), (30, (1,), (1,)), (0, (1 << 30,), (1 << 30,)), (0, (5,), ())],
)
def test_a_tensor_beyond_its_storage(tmp_path, view):
    save_pickled(tmp_path / "x.bin", {"a": np.zeros((4, 6), "<f4")}, {"a": view})
    with pytest.raises(ExportError):
        read_pickled(tmp_path / "x.bin")


class Hostile:
    """Something whose pickle runs a program when it is loaded."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(tmp_path) -> dict[str, bytes]:
    """Pickles that would leave a file behind, in every protocol and by every instruction that calls."""
    mark = str(tmp_path / "executed")
    objects = {
        "os.system": Hostile(os.system, f"touch {mark}"),
        "eval": Hostile(eval, f"open({mark!r}, 'w')"),
        "open": Hostile(open, mark, "w"),
        "inner": {"weight": Hostile(os.mkdir, mark)},
        "partial": Hostile(__import__("functools").partial, os.mkdir, mark),
        "import": Hostile(__import__, "os"),
    }
    programs = {
        f"{name} {protocol}": pickle.dumps(each, protocol)
        for name, each in objects.items()
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    }
    text = f"S'touch {mark}'\n".encode()
    programs |= {
        "INST": b"(" + text + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + text + b"o.",
        "NEWOBJ": b"\x80\x02cos\nsystem\n(" + text + b"t\x81.",
        "EXT1": b"\x80\x02\x82\x01)R.",
        "PERSID": b"Pstorage\n.",
        "a torch name": b"ctorch.hub\nload\n(" + text + b"tR.",
        "a dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x0eOrderedDict.x\x93)R.",
        "BUILD of a name": b"ctorch\nFloatStorage\n}b.",
    }
    return programs


def test_nothing_is_executed(tmp_path):
    for name, program in hostile(tmp_path).items():
        path = tmp_path / "pytorch_model.bin"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", program)
        with pytest.raises(ExportError):
            read_pickled(path)
        assert not (tmp_path / "executed").exists(), name


def test_the_programs_are_hostile(tmp_path):
    """The test above would see it."""
    pickle.loads(hostile(tmp_path)["open 4"]).close()
    assert (tmp_path / "executed").exists()


DAMAGED = [
    b"",
    b".",
    b"}",
    b"\x80\x02u.",
    b"h\x05.",
    b"(((.",
    b"]a.",
    b"}(\x5d\x5du.",
    b"\x85.",
    b"t.",
    b"}}s.",
]
DAMAGED += [b"\x80\x02" + b")\x85" * 100_000 + b"}\x8c\x01as.", b"J\x00.", b"X\xff\xff\xff\x7fab.", b"\xfe."]


@pytest.mark.parametrize("program", DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_pickles(program):
    with pytest.raises(ExportError):
        if not isinstance(Machine("x.bin").run(program), list | int):
            raise ExportError("x.bin", "a table", "something else")
        raise ExportError("x.bin", "a table", "a list")


def test_every_cut_is_an_error(tmp_path):
    save_pickled(tmp_path / "whole.bin", {"a": np.zeros((4, 6), "<f4")})
    whole = (tmp_path / "whole.bin").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "x.bin").write_bytes(whole[:length])
        with pytest.raises(ExportError):
            read_pickled(tmp_path / "x.bin")


@pytest.mark.parametrize("change", ["deflated", "old", "big", "missing", "short", "pointer", "nested"])
def test_what_is_no_table_of_tensors(tmp_path, change):
    path = tmp_path / "pytorch_model.bin"
    save_pickled(path, {"a": np.zeros((4, 6), "<f4")})
    with zipfile.ZipFile(path) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    kind = zipfile.ZIP_DEFLATED if change == "deflated" else zipfile.ZIP_STORED
    if change == "big":
        records["archive/byteorder"] = b"big"
    elif change == "missing":
        del records["archive/data/0"]
    elif change == "short":
        records["archive/data/0"] = bytes(4)
    elif change == "nested":
        records["archive/data.pkl"] = pickle.dumps({"module": {"a": 3}}, 2)
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    if change == "old":
        path.write_bytes(pickle.dumps(119547037146038801333356, 2))
    elif change == "pointer":
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ExportError) as caught:
        read_pickled(path)
    assert ("git lfs pull" in caught.value.hint) == (change == "pointer")


def test_what_torch_writes(pickled, plain, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the verify extra")
    tensors = {
        name: torch.from_numpy(bits.view(np.int16).copy()).view(torch.bfloat16)
        for name, bits in read_tensors(plain).items()
    }
    tensors["mlp1.1.weight"] = torch.nn.Parameter(
        tensors["mlp1.1.weight"].T.contiguous().T, requires_grad=False
    )
    torch.save(tensors, pickled / "pytorch_model.bin")
    got, wanted = export(str(pickled), tmp_path / "got"), export(str(plain), tmp_path / "wanted")
    for name in ("vision.onnx.data", "decoder.onnx.data"):
        assert (got / name).read_bytes() == (wanted / name).read_bytes()
    module = torch.nn.Linear(3, 2)  # a state_dict has the versions of its modules with it
    torch.save(module.state_dict(), tmp_path / "x.bin")
    read = {tensor.name: np.concatenate(list(tensor.blocks())) for tensor in read_pickled(tmp_path / "x.bin")}
    assert np.array_equal(read["weight"], module.weight.detach().numpy().ravel())
