"""Phrases that readers have to work out do not appear in texts that people read: string literals of the product, its scripts and its
templates.

tests/monitoring/test_check.py checks the findings of the sample fleet for them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house_report import ROOT, product_files
from tests.support.riddles import riddles_in

FORMER_TERMS = {"Fine", "Promises", "Inboxes", "Spending", "Own limit", "Held against", "Act", "Watch", "Keep"}
"""Former names of a status, a page, a column or a button, if they stand alone."""
CHOICES = {
    ("observability/dashboard/training/augmentation_decisions.py", "Keep"): "the verdict of an audit, beside Drop and Hold",
    (
        "observability/dashboard/data/device_actions.py",
        "Keep",
    ): "the decision to keep a device, beside Quarantine; stored texts begin with it",
}
"""Former terms that mean something else in one file, where they are allowed."""
SCRIPT_LITERAL = re.compile(r"""\"((?:[^"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`""")
TEMPLATE_TEXT = re.compile(r"""[>}]([^<>{}]+)[<{]|\"([^"<>{}]*)\"|'([^'<>{}]*)'""")
COMMENT = re.compile(r"(?m)(?:^|\s)//.*$|\{#.*?#\}|<!--.*?-->")


def shown_literals(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a file, with their lines. Of docstrings only that of a page is included. Parts of an f-string are joined, with
    an ellipsis for each value.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shown = path.is_relative_to(ROOT / "pages") and tree.body[0]  # the help text of a page
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Expr | ast.JoinedStr | ast.Constant)]
    documents = {id(node.value) for node in nodes if isinstance(node, ast.Expr) and node is not shown}
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents | parts:
            yield node.lineno, node.value


def script_texts(text: str, *, template: bool) -> list[str]:
    """The string literals of a script. Of a template: the texts between its tags, and those in quotes."""
    found = (TEMPLATE_TEXT if template else SCRIPT_LITERAL).findall(COMMENT.sub("", text))
    return [part.strip() for groups in found for part in groups if part.strip()]


def test_scripts_and_templates_contain_no_riddle_or_former_term() -> None:
    files = sorted(path for kind in ("js", "html") for path in (ROOT / "observability").rglob(f"*.{kind}"))
    texts = [
        (path.relative_to(ROOT), said)
        for path in files
        for said in script_texts(path.read_text(encoding="utf-8"), template=path.suffix == ".html")
    ]
    assert {"Keyboard shortcuts", "Filter rows"} <= {said for _, said in texts}, "texts of scripts are read"
    found = [f"{path}: {each}" for path, said in texts for each in riddles_in(said)]
    assert not found + [f"{path}: {said!r} is a former term" for path, said in texts if said in FORMER_TERMS]


def test_former_terms_of_scripts_and_templates_are_found() -> None:
    script = "// it's the reader's\nconst title = `no news`, label = button('act', \"Act\")"
    assert script_texts(script, template=False) == ["no news", "act", "Act"]
    template = "<h2>Keep</h2>{% if x %}<th title='Held against'>Watch</th>{% else %}Fine{% endif %}"
    assert FORMER_TERMS & {*script_texts(template, template=True)} == {"Keep", "Held against", "Watch", "Fine"}


@pytest.mark.parametrize("folder", ["observability", "pages"])
def test_no_literal_of_the_product_is_a_riddle(folder: str) -> None:
    files = [path for path in product_files(ROOT) if path.relative_to(ROOT).parts[0] == folder]
    assert files
    literals = [(path.relative_to(ROOT), line, text) for path in files for line, text in shown_literals(path)]
    riddles = {text: riddles_in(text) for text in {text for _, _, text in literals}}
    found = [f"{path}:{line}: {said}" for path, line, text in literals for said in riddles[text]]
    former = [(str(path), line, text) for path, line, text in literals if text in FORMER_TERMS]
    found += [f"{path}:{line}: {text!r} is a former term" for path, line, text in former if (path, text) not in CHOICES]
    unused = {choice for choice in CHOICES if choice[0].startswith(f"{folder}/")} - {(path, text) for path, _, text in former}
    found += [f"{path}: {text!r} is no longer said" for path, text in unused]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["3 need a person", "99 of 100 answers took at most 0.122 ms", "With it 13 findings", "The commonest score is −7.2"]
)
def test_riddles_are_detected(text: str) -> None:
    assert riddles_in(text)
