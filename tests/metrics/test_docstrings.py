"""The numpydoc sections of public metrics match their signatures."""

import inspect
from types import FunctionType

import pytest

from observability import metrics
from tests.support.docstrings import documented_parameters, public_functions, qualified, sections

FUNCTIONS = public_functions(metrics)


@pytest.mark.parametrize("function", FUNCTIONS, ids=qualified)
def test_a_metric_documents_its_own_parameters(function: FunctionType) -> None:
    found = sections(function)
    assert found[""].strip()
    if "Parameters" in found:
        assert documented_parameters(function) == list(inspect.signature(function).parameters)
        assert "Returns" in found


def test_most_metrics_document_their_parameters() -> None:
    assert sum("Parameters" in sections(function) for function in FUNCTIONS) > 100
