"""The package itself: what is generated of other files, its types, and its documents."""

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
import zipfile

import pytest
from bound import CHEST, PACKAGE, SIDE, blocks, printed
from program import ROOT

import fleming_vl
from fleming_vl import _header, _library, _table


def generator():
    """The script that is no part of the package."""
    spec = importlib.util.spec_from_file_location("generate", PACKAGE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_up_to_date():
    for path, text in generator().modules().items():
        assert path.read_text() == text, f"{path}: `make header` writes it"


def test_structs_are_those_of_compiled_programs():
    checked = 0
    for line in (ROOT / "tests" / "capi" / "abi.txt").read_text().splitlines():
        name, _, number = line.partition(" ")
        struct, _, field = name.partition(".")
        if name.startswith("FLEMING_"):
            kinds = [kind for kind in vars(_header) if name.startswith(f"{kind.upper()}_")]
            kind = getattr(_header, max(kinds, key=len))
            assert kind[name.removeprefix(f"{kind.__name__.upper()}_")] == int(number)
        elif not number:
            assert name in _header.FUNCTIONS
        elif field:
            assert getattr(getattr(_header, struct), field).offset == int(number), name
        else:
            assert ctypes.sizeof(getattr(_header, struct)) == int(number), name
        checked += 1
    assert checked > 100


def test_what_the_header_has_in_a_new_form_is_no_guess():
    script = generator()
    for line in ("#elif 1", "#if NEW", "#ifdef NEW"):
        with pytest.raises((SystemExit, KeyError)):
            script.declarations(f"{line}\n#endif\n")
    for declaration in ("typedef union new_kind { int a; } new_kind;", "extern int counter;"):
        with pytest.raises(SystemExit, match="a new kind"):
            script.header_module(declaration)


def test_every_option_has_a_type():
    named = [entry for entry in vars(_table).values() if hasattr(entry, "__total__")]
    assert {name for kind in named for name in kind.__annotations__} == set(_table.SUBJECTS)


def test_a_library_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    with pytest.raises(fleming_vl.LibraryError, match="cannot open"):
        _library.Library(tmp_path / "libfleming.so")
    monkeypatch.setitem(_header.FUNCTIONS, "fleming_of_tomorrow", (None, []))
    with pytest.raises(fleming_vl.LibraryError, match="wanted fleming_of_tomorrow of version"):
        _library.Library(_library.library().path)
    monkeypatch.setattr(_library, "_HERE", tmp_path / "a" / "b" / "c")
    monkeypatch.delenv(_library.VARIABLE)
    with pytest.raises(fleming_vl.LibraryError, match="install a wheel"):
        _library.place()


def test_the_types_hold():
    pytest.importorskip("mypy")
    config = ["--config-file", PACKAGE / "pyproject.toml"]
    command = [sys.executable, "-m", "mypy", *config, PACKAGE / "fleming_vl"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("page", ["docs/python.md", "README.md", "bindings/python/README.md"])
def test_the_programs_of_the_documents_work(page):
    programs = (block for block in blocks(page) if "import ray\n" not in block)
    program = "\n".join(programs).replace('"chest.png"', '"examples/chest.png"')
    assert "right lung" in printed(program)


def test_the_overhead_is_measured():
    script = [sys.executable, PACKAGE / "overhead.py", "3"]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    printed = subprocess.run(script, check=True, capture_output=True, text=True, env=env).stdout
    assert re.fullmatch(r"Python -?\d+\.\d{3} ms\nC +-?\d+\.\d{3} ms\nbetween -?\d+\.\d{3} ms\n", printed)


def test_a_wheel_is_whole(tmp_path):
    for tool in ("cyclonedx", "setuptools"):
        pytest.importorskip(tool)
    library = tmp_path / "libfleming.so"
    subprocess.run(["strip", "-o", library, _library.library().path], check=True)
    script = [sys.executable, ROOT / "packaging" / "wheel.py", "--library", library, "--out", tmp_path]
    subprocess.run(script, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = tmp_path.glob(f"fleming_vl-{_header.VERSION}-py3-none-manylinux_*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = f"""
import fleming_vl
from fleming_vl._library import place
print(fleming_vl.Engine(fleming_vl.DEMO, threads=1).ask({SIDE!r}, image={str(CHEST)!r}).answer)
print(place(), fleming_vl.DEMO)
"""
    env = {name: value for name, value in os.environ.items() if name != _library.VARIABLE}
    env["PYTHONPATH"] = str(tmp_path / "site")
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=tmp_path)
    package = tmp_path / "site" / "fleming_vl"
    assert ended.stdout == f"right lung\n{package / 'lib' / 'libfleming.so'} {package / 'demo'}\n"
