"""The walls of the house: no circle of imports, and files and functions of a size that is read at once."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fleming_export

ROOT = Path(fleming_export.__file__).parent
FILES = {path.relative_to(ROOT.parent): path for path in sorted(ROOT.rglob("*.py"))}
MOST_LINES, MOST_OF_A_FUNCTION, MOST_PARAMETERS = 400, 60, 5


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(name): path for name, path in FILES.items()}


def imported(module: str, tree: ast.AST) -> set[str]:
    """The modules of the package that a file names in an import, wherever in the file it stands."""
    package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            # ``from . import x`` is of the file x, or else of what __init__.py has
            found |= {name if name in MODULES else base for name in inner}
    return (found & MODULES.keys()) - {module}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_file_imports_itself_in_a_circle():
    """Imports within functions and for type checkers count like all others."""
    graph = {name: imported(name, ast.parse(path.read_text())) for name, path in MODULES.items()}
    assert circle(graph) == []


def test_a_circle_would_be_found():
    tree = ast.parse("def f():\n    from ..source import open_checkpoint\n    from .. import export")
    found = imported("fleming_export.sources.stored", tree)
    assert found == {"fleming_export.source", "fleming_export"}
    assert circle({"a": {"b"}, "b": {"a"}})


def test_init_files_are_maps():
    """Imports, ``__all__`` and a docstring; no logic."""
    for name, path in FILES.items():
        if path.name != "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            plain = isinstance(node, ast.ImportFrom | ast.Assign)
            assert plain or isinstance(node, ast.Expr), f"{name}: {ast.unparse(node)[:60]}"


@pytest.mark.parametrize("name", FILES, ids=str)
def test_sizes(name):
    text = FILES[name].read_text()
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= MOST_OF_A_FUNCTION, node.name
            check_parameters(node)


def check_parameters(node: ast.FunctionDef) -> None:
    by_position = [
        each for each in [*node.args.posonlyargs, *node.args.args] if each.arg not in ("self", "cls")
    ]
    assert len(by_position) + len(node.args.kwonlyargs) <= MOST_PARAMETERS, node.name
    for each in by_position:
        assert each.annotation is None or ast.unparse(each.annotation) != "bool", f"{node.name}: {each.arg}"
