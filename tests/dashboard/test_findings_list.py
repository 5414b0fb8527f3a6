"""The list of findings shows what needs action; what cannot be judged folds as what is OK does."""

from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest

from observability.core.finding import Finding
from observability.dashboard.overview import findings as findings_view
from observability.dashboard.overview.findings import FEW_UNKNOWN, findings_to_act_on

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC)


def some(**numbers: int) -> list[Finding]:
    """So many findings of each severity."""
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
def test_what_cannot_be_judged_folds_beside_what_needs_action(numbers: dict[str, int], listed: int) -> None:
    found = some(**numbers)
    assert len(findings_to_act_on(found, ())) == listed
    assert findings_to_act_on(found, ("unknown",)) == found, "what the reader asks for is not folded"
    assert found[-1] in findings_to_act_on(found, (), kept=found[-1])


@pytest.mark.parametrize(("severities", "said"), [(("unknown",) * 9, "Unknown"), ((), "Unknown"), (("ok", "unknown"), "OK")])
def test_where_nothing_could_be_judged_the_findings_are_not_ok(
    severities: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of the batch gate had fifteen batches that were not checked, and said `OK: nothing needs attention`."""
    drawn: list[str] = []
    monkeypatch.setattr(findings_view.st, "markdown", drawn.append)
    monkeypatch.setattr(findings_view, "FEW_UNKNOWN", 0)
    monkeypatch.setattr(findings_view, "findings_table", partial(shown_state, findings_view.findings_table))
    findings_view.open_findings_tables("All", [SimpleNamespace(severity=each, needs_action=False) for each in severities], None)
    (words,) = drawn
    assert said in words, words


def shown_state(draw, key, caption, found, scope, **more) -> None:
    """The state of an empty table; nothing of a table with rows."""
    if not found:
        draw(key, caption, found, scope, **more)
