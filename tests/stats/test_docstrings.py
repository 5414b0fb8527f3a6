"""Every public statistic has a numpydoc docstring that matches its signature, and the overview of the package names every module."""

import ast
import inspect
import pkgutil
import re
from types import FunctionType

import pytest

from observability import stats
from tests.support.docstrings import documented_parameters, public_functions, qualified, sections

COMPILED = frozenset(("binning_compiled", "counting_compiled"))
"""numba loops, called only by the wrappers in `binning` and `counting`."""
FUNCTIONS = public_functions(stats, without=COMPILED)


@pytest.mark.parametrize("function", FUNCTIONS, ids=qualified)
def test_a_statistic_documents_its_parameters_and_its_result(function: FunctionType) -> None:
    found = sections(function)
    assert found[""].split("\n\n")[0].rstrip().endswith("."), "the summary is no sentence"
    assert documented_parameters(function) == list(inspect.signature(function).parameters)
    assert "Returns" in found
    raises = any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(inspect.getsource(function))))
    assert raises == ("Raises" in found)


def test_more_than_a_hundred_statistics_are_checked() -> None:
    assert len(FUNCTIONS) > 100


def test_the_overview_names_every_module() -> None:
    named = set(re.findall(r"\w+", inspect.getdoc(stats) or ""))
    assert {module.name for module in pkgutil.iter_modules(stats.__path__)} <= named
