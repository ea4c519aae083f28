"""Writes what of the package is made of other files: run by `make header`, in no need of a compiler.

- `fleming_vl/_header.py` is `include/fleming.h` as ctypes. pycparser reads the declarations; of the
  preprocessor the header uses little, which `declarations` does.
- `fleming_vl/_table.py` is `options.json`, the table of options, as types.

A test compares both with what this makes of those files.
"""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pycparser import c_ast, c_parser

HEADER = Path(__file__).parents[2] / "include" / "fleming.h"
OPTIONS = Path(__file__).parent / "options.json"
PACKAGE = Path(__file__).parent / "fleming_vl"

#: What the standard headers declare of what `fleming.h` uses, and what it is in ctypes.
NUMBERS = {
    "size_t": "c_size_t",
    "int8_t": "c_int8",
    "uint8_t": "c_uint8",
    "int16_t": "c_int16",
    "uint16_t": "c_uint16",
    "int32_t": "c_int32",
    "uint32_t": "c_uint32",
    "int64_t": "c_int64",
    "uint64_t": "c_uint64",
    "int": "c_int",
    "char": "c_char",
    "float": "c_float",
    "double": "c_double",
}
#: Conditions of `#if` in the header, for a C compiler of before 2023.
CONDITIONS = {
    "defined(__cplusplus) || __STDC_VERSION__ >= 202311L": False,
    "__STDC_VERSION__ >= 202311L": False,
}
DEFINED = {"__cplusplus": False, "FLEMING_H": False}


def declarations(header: str) -> str:
    """The header without comments and without what the preprocessor takes out."""
    text = re.sub(r"//[^\n]*", "", header)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("\\\n", " ")
    kept, taken = [], []
    for line in text.splitlines():
        directive = re.match(r"\s*#\s*(\w+)\s*(.*?)\s*$", line)
        if directive is None:
            if all(taken):
                kept.append(line)
            continue
        name, rest = directive.groups()
        if name in ("ifdef", "ifndef"):
            taken.append(DEFINED[rest] == (name == "ifdef"))
        elif name == "if":
            taken.append(CONDITIONS[rest])
        elif name == "else":
            taken[-1] = not taken[-1]
        elif name == "endif":
            taken.pop()
        elif name not in ("define", "include"):
            raise SystemExit(f"fleming.h: #{name} is new to this script")
    return "\n".join(kept)


def macros(header: str) -> Iterator[tuple[str, str]]:
    """Names and values of the macros that are a number or a text."""
    for name, value in re.findall(r'^#define FLEMING_(\w+) (\d+|"[^"]*"|SIZE_MAX)$', header, re.MULTILINE):
        yield name, "c_size_t(-1).value" if value == "SIZE_MAX" else value


class Writer:
    """What a tree of declarations is in ctypes."""

    def __init__(self, tree: c_ast.FileAST):
        self.enums: dict[str, list[tuple[str, int]]] = {}
        self.structs: dict[str, list[tuple[str, str]]] = {}
        self.callbacks: dict[str, str] = {}
        self.functions: dict[str, tuple[str, list[str]]] = {}
        self.opaque: set[str] = set()
        self.made: dict[str, str] = {}
        for node in tree.ext:
            self.declare(node)

    def declare(self, node: c_ast.Node) -> None:
        """Takes one declaration of the file in."""
        if isinstance(node, c_ast.Typedef):
            inner = node.type.type if isinstance(node.type, c_ast.TypeDecl) else None
            if isinstance(inner, c_ast.Struct):
                self.struct(inner)
            elif isinstance(node.type, c_ast.PtrDecl) and isinstance(node.type.type, c_ast.FuncDecl):
                result, arguments = self.signature(node.type.type)
                self.callbacks[node.name] = f"CFUNCTYPE({', '.join([result, *arguments])})"
            elif node.name not in self.enums and node.name not in NUMBERS:
                raise SystemExit(f"fleming.h: a typedef of a new kind: {node.name}")
        elif isinstance(node.type, c_ast.FuncDecl):
            self.functions[node.name] = self.signature(node.type)
            self.result(node)
        elif isinstance(node.type, c_ast.Enum):
            self.enum(node.type)
        elif isinstance(node.type, c_ast.Struct):
            self.struct(node.type)
        else:
            raise SystemExit(f"fleming.h: a declaration of a new kind: {node.name}")

    def enum(self, node: c_ast.Enum) -> None:
        prefix = node.name.upper() + "_"
        entries = node.values.enumerators
        values = [(entry.name.removeprefix(prefix), int(entry.value.value)) for entry in entries]
        self.enums[node.name] = values

    def struct(self, node: c_ast.Struct) -> None:
        if node.decls is None:
            self.opaque.add(node.name)
        else:
            self.structs[node.name] = [(field.name, self.type(field.type)) for field in node.decls]

    def signature(self, node: c_ast.FuncDecl) -> tuple[str, list[str]]:
        """The result and the arguments of a function."""
        arguments = [self.type(argument.type) for argument in (node.args.params if node.args else [])]
        return self.type(node.type), [argument for argument in arguments if argument != "None"]

    def result(self, node: c_ast.Decl) -> None:
        """Keeps what kind of object a function writes to its last argument."""
        last = node.type.args.params[-1].type
        if isinstance(last, c_ast.PtrDecl) and isinstance(last.type, c_ast.PtrDecl):
            inner = last.type.type.type
            if isinstance(inner, c_ast.Struct) and inner.name in self.opaque:
                self.made[node.name] = inner.name.removeprefix("fleming_")

    def type(self, node: c_ast.Node) -> str:
        """The ctypes name of a type."""
        if isinstance(node, c_ast.ArrayDecl):
            return f"{self.type(node.type)} * {node.dim.value}"
        if isinstance(node, c_ast.PtrDecl):
            return self.pointer(self.type(node.type))
        inner = node.type
        name = inner.name if isinstance(inner, c_ast.Struct | c_ast.Enum) else " ".join(inner.names)
        if name == "void":
            return "None"
        return "c_int32" if name in self.enums else NUMBERS.get(name, name)

    def pointer(self, to: str) -> str:
        """A pointer; one to an object without fields is any pointer."""
        if to == "c_char":
            return "c_char_p"
        return "c_void_p" if to == "None" or to in self.opaque else f"POINTER({to})"

    def text(self, header: str) -> Iterator[str]:
        """The lines of the module."""
        yield f'"""include/{HEADER.name} as ctypes: made by {Path(__file__).name}, not by hand."""\n'
        yield "import enum"
        yield "from ctypes import CFUNCTYPE, POINTER, Structure"
        written = str([self.structs, self.callbacks, self.functions])
        names = [*NUMBERS.values(), "c_char_p", "c_void_p"]
        used = [name for name in names if re.search(rf"\b{name}\b", written)]
        yield f"from ctypes import {', '.join(sorted(used))}\n"
        for name, value in macros(header):
            yield f"{name} = {value}"
        for name, values in self.enums.items():
            yield f"\nclass {name}(enum.IntEnum):\n    {name!r}\n"
            yield from (f"    {entry} = {value}" for entry, value in values)
        for name in self.structs:
            yield f"\nclass {name}(Structure):\n    {name!r}\n"
        for name, callback in self.callbacks.items():
            yield f"\n{name} = {callback}"
        for name, fields in self.structs.items():
            listed = ", ".join(f"({field!r}, {kind})" for field, kind in fields)
            yield f"\n{name}._fields_ = [{listed}]"
        yield "\n#: Result and arguments of every function.\nFUNCTIONS = {"
        yield from (
            f"{name!r}: ({result}, [{', '.join(arguments)}]),"
            for name, (result, arguments) in self.functions.items()
        )
        yield "}"
        yield "\n#: What kind of object a function makes."
        yield f"MADE = {self.made!r}"


#: Classes of options: the name, what it says, and the subjects of its options.
CLASSES = {
    "LookOptions": ("What of a study is looked at.", ["image", "video", "volume"]),
    "AnswerOptions": ("How a question is answered.", ["wording", "generation"]),
    "SetupOptions": ("How an engine is set up.", ["engine"]),
}
#: The type of a value, by the form of an option.
FORMS = {
    "whole": "int",
    "real": "float",
    "switch": "bool",
    "text": "str",
    "path": "str | os.PathLike[str]",
    "texts": "str | Sequence[str]",
    "pairs": "Mapping[Any, Any]",
    "document": "str",
}
#: Of an option that may be an object too.
TYPES = {"json_schema": "str | Mapping[str, Any]"}


def table(rows: list[dict]) -> Iterator[str]:
    """The lines of the module of options."""
    yield f'"""The table of options as types: made by {Path(__file__).name}, not by hand."""\n'
    yield "import os"
    yield "from collections.abc import Mapping, Sequence"
    yield "from typing import Any, Literal, TypedDict"
    for name, (about, subjects) in CLASSES.items():
        yield f'\nclass {name}(TypedDict, total=False):\n    """{about}"""\n'
        for row in rows:
            if row["subject"] in subjects:
                words = f"Literal[{', '.join(map(repr, row['words']))}]"
                kind = words if row["form"] == "word" else TYPES.get(row["name"], FORMS[row["form"]])
                yield f"    {row['name']}: {kind}"
                yield from told(row)
    numbers = [row for row in rows if row["form"] in ("whole", "real")]
    for name, about, facts in (
        ("SUBJECTS", "What each option is about.", {row["name"]: row["subject"] for row in rows}),
        ("RANGES", "The numbers that an option may have.", {row["name"]: row["may_be"] for row in numbers}),
        (
            "DEFAULTS",
            "What holds without it; None for nothing.",
            {row["name"]: row["default"] for row in rows},
        ),
    ):
        yield f"\n#: {about}\n{name}: dict[str, str{' | None' * (name == 'DEFAULTS')}] = {facts!r}"


def told(row: dict) -> Iterator[str]:
    """What an option does, with its values and its default, as a docstring."""
    facts = {"may be": row["may_be"], "default": row["default"]}
    told = "; ".join(f"{name} {fact}" for name, fact in facts.items() if fact)
    words = f"{row['help']}. {told[:1].upper()}{told[1:]}{'.' if told else ''}".strip()
    lines = textwrap.wrap(words, 100)
    lines[0] = f'"""{lines[0]}'
    lines[-1] += '"""'
    yield from (f"    {line}" for line in lines)


def header_module(header: str) -> str:
    """The module for a header."""
    standard = "".join(f"typedef int {name};\n" for name in NUMBERS if name.endswith("_t"))
    tree = c_parser.CParser().parse(standard + declarations(header))
    return formatted(Writer(tree).text(header), PACKAGE / "_header.py")


def table_module(rows: str) -> str:
    """The module for a table of options."""
    return formatted(table(json.loads(rows)), PACKAGE / "_table.py")


def formatted(lines: Iterator[str], path: Path) -> str:
    """The lines as this project writes Python."""
    text = "\n".join(lines) + "\n"
    for command in (["check", "--fix-only", "--select=I,F401", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"]
        text = subprocess.run(ruff, input=text, text=True, check=True, capture_output=True).stdout
    return text


def modules() -> dict[Path, str]:
    """What is to be written, and where."""
    return {
        PACKAGE / "_header.py": header_module(HEADER.read_text()),
        PACKAGE / "_table.py": table_module(OPTIONS.read_text()),
    }


if __name__ == "__main__":
    for path, text in modules().items():
        path.write_text(text)
