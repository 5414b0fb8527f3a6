"""A case whose version has no model file says so once."""

from types import SimpleNamespace
from typing import Any

import pytest

from observability.core.errors import UsageError
from observability.dashboard.case import explanation


@pytest.mark.parametrize("artifact", [None, "artifacts/1/1/lightgbm-0.txt"])
def test_a_missing_model_file_is_stated_once(artifact: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(explanation, "unavailable_note", lambda why: drawn.append(str(why)))
    monkeypatch.setattr(explanation.st, "caption", drawn.append)

    def ask(_: Any) -> None:
        raise UsageError("no model file can be read")

    here: Any = SimpleNamespace(row=SimpleNamespace(version=SimpleNamespace(artifact=artifact)))
    assert explanation.computed_with_progress(here, ask) is None
    assert len(drawn) == 1 and "model file" in drawn[0]
