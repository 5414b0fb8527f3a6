"""Does the package's docstring name what its files offer?"""

import importlib
import inspect
import re

import pytest

from observability import stats

FILES = re.findall(r"^(\w+): ", inspect.getdoc(stats) or "", re.MULTILINE)


def test_every_file_is_there() -> None:
    assert len(FILES) >= 9


@pytest.mark.parametrize("name", FILES)
def test_signatures_in_the_docstring_are_those_of_the_code(name: str) -> None:
    module = importlib.import_module(f"observability.stats.{name}")
    section = re.split(rf"^{name}: ", inspect.getdoc(stats) or "", flags=re.MULTILINE)[1].split("\n\n")[0]
    offered = re.findall(r"^  (\w+)(?:\(([^>]*?)\)(?: -> | with |\n|$))?", section, re.MULTILINE)
    assert len(offered) >= 2
    for label, listed in offered:
        thing = getattr(module, label)
        if callable(thing):
            names = [each.split("=")[0].strip() for each in re.sub(r"\s+", " ", listed).split(",")]
            assert [each for each in names if each != "*"] == list(inspect.signature(thing).parameters), label
