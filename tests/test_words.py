"""Phrases that readers had to decode stay out of what people read: string literals of the product.

tests/monitoring/test_check.py reads the findings of the sample fleet.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house_report import ROOT, product_files
from tests.support.riddles import riddles_in

FORMER_TERMS = {"Fine", "Promises", "Inboxes", "Spending", "Own limit", "Held against"}
"""Former words of a status, a page or a column."""


def shown_literals(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a file by line, without docstrings but that of a page; parts of one f-string joined, with an ellipsis for each value."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shown = path.is_relative_to(ROOT / "pages") and tree.body[0]  # the help of a page
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and node is not shown]
    documents = {id(node.value) for node in statements}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents | parts:
            yield node.lineno, node.value


@pytest.mark.parametrize("folder", ["observability", "pages"])
def test_no_literal_of_the_product_is_a_riddle(folder: str) -> None:
    files = [path for path in product_files(ROOT) if path.relative_to(ROOT).parts[0] == folder]
    assert files
    literals = [(path.relative_to(ROOT), line, text) for path in files for line, text in shown_literals(path)]
    found = [f"{path}:{line}: {said}" for path, line, text in literals for said in riddles_in(text)]
    found += [f"{path}:{line}: {text!r} is a former term" for path, line, text in literals if text in FORMER_TERMS]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["3 need a person", "99 of 100 answers took at most 0.122 ms", "With it 13 findings", "The commonest score is −7.2"]
)
def test_a_riddle_is_found(text: str) -> None:
    assert riddles_in(text)
