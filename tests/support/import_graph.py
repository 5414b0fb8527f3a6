"""The import graph of the product, read from its source: imports, type-only imports and dynamic imports by name."""

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DYNAMIC = re.compile(r"(?:observability|pages)(?:\.[a-z_0-9]+)+(?::[A-Za-z_0-9]+)?")
"""A string constant that names a module, or a function in a module. Modules are imported by name in this way."""


def source_files(root: Path = ROOT) -> dict[str, Path]:
    """The file of every module of the product, by its dotted name: `observability`, `pages`, `sample_data` and `app`."""
    paths = [path for folder in ("observability", "pages", "sample_data") for path in sorted((root / folder).rglob("*.py"))]
    return {module_name(path, root): path for path in [*paths, root / "app.py"] if path.exists()}


def module_name(path: Path, root: Path = ROOT) -> str:
    """`observability/store/engine.py` is `observability.store.engine`."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


class ModuleNames(NamedTuple):
    """Names in the text of a module: its imports (dotted), its public top-level functions, its top-level classes."""

    imported: tuple[str, ...]
    functions: tuple[str, ...]
    classes: tuple[str, ...]


def imported_names(path: Path) -> tuple[str, ...]:
    """Dotted names that a file imports, including type-only imports and strings that name a module."""
    return module_names(path.read_text(encoding="utf-8")).imported


@cache
def module_names(text: str) -> ModuleNames:
    """The names in the text of a module; each text is parsed once."""
    found: list[str] = []
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"from {node.module}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DYNAMIC.fullmatch(node.value):
            found.append(node.value.partition(":")[0])
    functions = (each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    classes = (each.name for each in tree.body if isinstance(each, ast.ClassDef))
    return ModuleNames(tuple(found), tuple(name for name in functions if not name.startswith("_")), tuple(classes))


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Each module, with the modules of `files` that it imports. A package is listed only if something is imported from its own
    `__init__`.
    """
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        graph[name] = {home for target in imported_names(path) if (home := known_module(target, files)) is not None} - {name}
    return graph


def known_module(target: str, files: Mapping[str, Path]) -> str | None:
    """The module of `files` that contains `target`: the target itself, or the module that defines it. None for other libraries."""
    while target and target not in files:
        target = target.rpartition(".")[0]
    return target or None


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that import each other in a cycle, each sorted (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return sorted(found)


def package_of(module: str) -> str:
    """The package that a module belongs to: `observability.store.query.plan` is in `store.query`, `observability.core.window` in `core`."""
    parts = module.split(".")
    if parts[0] != "observability":
        return parts[0]
    inner = parts[1:]
    if not inner:
        return "observability"
    return ".".join(inner[:2]) if inner[0] == "store" and len(inner) > 2 else inner[0]


def package_graph(graph: Mapping[str, Iterable[str]]) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Each package with the packages that it imports, and the pairs of modules that cause each import."""
    arrows: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name, targets in graph.items():
        for target in targets:
            here, there = package_of(name), package_of(target)
            if here != there:
                arrows.setdefault(here, {}).setdefault(there, []).append((name, target))
    return arrows
