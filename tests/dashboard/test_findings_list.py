"""The list of findings shows those that need action; unknown findings are folded, as OK findings are."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.finding import Finding
from observability.dashboard.overview import findings as findings_view
from observability.dashboard.overview.findings import FEW_UNKNOWN, findings_to_act_on
from tests.support.dashboard_pages import tables

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC)


def some(**numbers: int) -> list[Finding]:
    """The given number of findings of each severity."""
    return [
        Finding(
            analyzer="data/quality",
            model="m",
            version="1",
            subject=f"{name} {place}",
            metric="null_rate",
            value=0.5,
            n=100,
            severity=name,
            because="It is so.",
            start=START,
            end=END,
            against="reference",
        )
        for name, n in numbers.items()
        for place in range(n)
    ]


@pytest.mark.parametrize(
    ("numbers", "listed"),
    [
        ({"act": 1, "watch": 1, "unknown": FEW_UNKNOWN, "ok": 2}, 2 + FEW_UNKNOWN),
        ({"act": 1, "unknown": FEW_UNKNOWN + 1, "ok": 2}, 1),
        ({"unknown": FEW_UNKNOWN + 1, "ok": 2}, FEW_UNKNOWN + 1),
        ({"ok": 2}, 0),
    ],
)
def test_findings_that_cannot_be_judged_are_folded_if_others_need_action(numbers: dict[str, int], listed: int) -> None:
    found = some(**numbers)
    assert len(findings_to_act_on(found, ())) == listed
    assert findings_to_act_on(found, ("unknown",)) == found, "findings of the selected severity are not folded"
    assert found[-1] in findings_to_act_on(found, (), kept=found[-1])


@pytest.mark.parametrize(("severities", "said"), [(("unknown",) * 9, "Unknown"), ((), "Unknown"), (("ok", "unknown"), "OK")])
def test_findings_are_not_called_ok_if_none_could_be_judged(
    severities: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the page of the batch gate had fifteen unchecked batches and still said `OK: nothing needs attention`."""
    drawn: list[str] = []
    monkeypatch.setattr(findings_view.st, "markdown", drawn.append)
    monkeypatch.setattr(findings_view, "FEW_UNKNOWN", 0)
    monkeypatch.setattr(findings_view, "findings_table", partial(shown_state, findings_view.findings_table))
    findings_view.open_findings_tables("All", [SimpleNamespace(severity=each, needs_action=False) for each in severities], None)
    (words,) = drawn
    assert said in words, words


def shown_state(draw, key, caption, found, scope, **more) -> None:
    """The empty state that a table shows; draws nothing if the table has rows."""
    if not found:
        draw(key, caption, found, scope, **more)


def draw_section(shown: "list[str]", found: "list[Finding]") -> None:
    from observability.dashboard.overview.findings import open_findings_tables
    from observability.dashboard.scope import Scope
    from observability.dashboard.widgets import note_shown_claims

    note_shown_claims(shown)
    open_findings_tables("All", found, Scope())


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_findings_already_shown_on_a_page_are_folded_at_its_end(shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: Fairness, Training runs and Data quality showed each finding twice."""
    monkeypatch.setattr(findings_view.load, "label_unit", lambda _model: None)
    found = [replace(each, because=f"{each.subject} moved.") for each in some(act=2, ok=1)]
    app = AppTest.from_function(
        draw_section, default_timeout=300, kwargs={"shown": [each.because for each in found[:shown]], "found": found}
    )
    app.run()
    folded = [each.label for each in app.expander]
    assert folded == ([f"{shown} finding{'s' if shown > 1 else ''} shown above, with value and limit"] if shown else [])
    open_tables = [caption for caption in tables(app) if "shown above" not in caption]
    assert sum(len(tables(app)[caption]["rows"]) for caption in tables(app)) == 2, "each finding is in exactly one table"
    assert not any("nothing needs attention" in each.value for each in app.markdown)
    assert len(open_tables) == 1
