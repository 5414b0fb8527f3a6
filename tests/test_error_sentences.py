"""A page begins the sentence of an error with a capital letter, so no error may begin with a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import observability
from observability.core.errors import ForbiddenError, UsageError
from observability.core.formatting import error_markdown
from observability.core.settings import checked_setting
from observability.server.access import Person, require_action
from observability.worker.model import missing_library

SOURCE = Path(observability.__file__).parent
WHOLE_SUBJECTS = ("what", "who")
"""Variables that hold the beginning of a sentence, not a name."""


def leading_values(text: str) -> Iterator[tuple[int, str]]:
    """Line and expression of each value with which the sentence of an error begins. Values in quotes (`!r`), numbers and WHOLE_SUBJECTS
    are left out.
    """
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.JoinedStr):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0].values[0]
        if not name.endswith("Error") or not isinstance(first, ast.FormattedValue) or first.conversion != -1:
            continue
        value = ast.unparse(first.value)
        number = value.startswith(("len(", "int(")) or value.endswith(".size") or value == "year"
        if not number and value not in WHOLE_SUBJECTS:
            yield node.lineno, value


def test_no_error_begins_with_a_name() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {value}" for path in SOURCE.rglob("*.py") for line, value in leading_values(path.read_text())
    ]
    assert not found, f"begin these with a noun, as `the setting {{name}} is a text`: {found}"


def test_the_search_finds_a_name_at_the_beginning() -> None:
    text = 'raise UsageError(f"{name} is a text")\nraise UsageError(f"{name!r} is a text")\nraise errors.UsageError(f"{len(rows)} are few")'
    assert list(leading_values(text)) == [(1, "name")]


def test_a_setting_a_person_and_a_library_keep_their_case_on_a_page() -> None:
    with pytest.raises(UsageError) as wrong:
        checked_setting("owner", 3, None)
    assert error_markdown(wrong.value) == r"The setting owner is a text; got 3\."
    assert error_markdown(missing_library("skops", "skops")).startswith("The library skops is not installed")
    with pytest.raises(ForbiddenError) as refused:
        require_action(Person("ann", "viewer"), "register")
    assert error_markdown(refused.value).startswith("The person ann may not")
