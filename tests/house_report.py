"""Prints figures about the code's structure, for this checkout or for another one to compare: `python tests/house_report.py [ROOT]`.

Packages, loose modules, import cycles, imports from higher layers, repeated names, `fmt: skip`, lines over 140 characters; then the size of
`observability` and `pages`, which has no goal (docs/decisions/0192-the-size-of-the-product.md).
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.import_graph import circles, import_graph, module_names, package_graph, source_files
from tests.support.layers import upward

LONGEST_LINE = 140
REPEATED_BY_CONTRACT = {"needs", "analyze"}
"""Names that every analyzer defines (core/analyzer.py)."""


def product_files(root: Path) -> list[Path]:
    """The Python files of `observability` and `pages`."""
    return [path for folder in ("observability", "pages") for path in sorted((root / folder).rglob("*.py"))]


def code_lines(path: Path) -> int:
    """Number of lines with code: not blank, not a comment, not part of a docstring."""
    text = path.read_text(encoding="utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.split("\n"), start=1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and number not in prose for number, line in lines)


def definitions(files: list[Path], root: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Public top-level functions and all classes by name, each with the modules that define it."""
    functions: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, list[str]] = defaultdict(list)
    for path in files:
        place = path.relative_to(root).as_posix()
        names = module_names(path.read_text(encoding="utf-8"))
        for name in names.functions:
            functions[name].append(place)
        for name in names.classes:
            classes[name].append(place)
    return functions, classes


def repeated(names: dict[str, list[str]]) -> dict[str, list[str]]:
    """Names that more than one module defines, except names of a contract."""
    return {name: places for name, places in names.items() if len(places) > 1 and name not in REPEATED_BY_CONTRACT}


def figures(root: Path) -> dict[str, float]:
    """Every figure of the structure that has a goal or describes one, by title."""
    files = product_files(root)
    functions, classes = definitions(files, root)
    graph = import_graph(source_files(root))
    packages = package_graph(graph)
    texts = [path.read_text(encoding="utf-8") for path in files]
    top = root / "observability"
    return {
        "packages": sum(path.is_dir() and (path / "__init__.py").exists() for path in top.iterdir()),
        "loose modules beside __init__ and __main__": sum(path.name not in ("__init__.py", "__main__.py") for path in top.glob("*.py")),
        "circles of modules": len(circles(graph)),
        "circles of packages": len(circles({here: set(targets) for here, targets in packages.items()})),
        "imports upward": len(upward(packages)),
        "packages that import another, by pairs": sum(map(len, packages.values())),
        "public function names": len(functions),
        "of them in more than one module": len(repeated(functions)),
        "their share in per cent": round(100 * len(repeated(functions)) / len(functions), 1),
        "class names": len(classes),
        "of them defined more than once": len(repeated(classes)),
        "fmt: skip": sum(text.count("# fmt: skip") for text in texts),
        f"lines over {LONGEST_LINE} characters": sum(len(line) > LONGEST_LINE for text in texts for line in text.split("\n")),
    }


def sizes(root: Path) -> dict[str, float]:
    """Code lines of the product: in total, per public function, and in the longest module."""
    lines = [code_lines(path) for path in product_files(root)]
    functions = sum(len(module_names(path.read_text(encoding="utf-8")).functions) for path in product_files(root))
    return {
        "code lines": sum(lines),
        "code lines per public function": round(sum(lines) / functions, 1),
        "code lines of the longest module": max(lines),
    }


def main(arguments: list[str]) -> int:
    """Print the report of a checkout."""
    root = Path(arguments[0]).resolve() if arguments else ROOT
    for title, value in {**figures(root), **sizes(root)}.items():
        print(f"{value:>10,}  {title}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
