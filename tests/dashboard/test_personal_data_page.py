"""The page Personal data names each column with kind, rule and number of texts, and what to do; it never shows a text."""

import pytest

from observability.core.finding import Finding
from observability.dashboard.overview import findings
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import END, START, World


def test_each_personal_data_hit_shows_its_rule_and_next_step(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(subject: str) -> Finding:
        reasons = [
            {"kind": "e-mail addresses", "why": "form name@domain", "texts": 10},
            {"kind": "national identifiers", "why": "Spain: control letter of a DNI or NIE", "texts": 4},
        ]
        evidence = {"kinds": {"e-mail addresses": 10, "national identifiers": 4}, "reasons": reasons, "texts": 400, "column": subject}
        about = {"analyzer": "data/personal_data", "model": "loan", "version": "1", "subject": subject, "metric": "personal_data_share"}
        shown = {
            "unit": "share",
            "n": 400,
            "basis": "measured",
            "severity": "watch",
            "against": "level",
            "because": f"`{subject}` holds some.",
            "value": 0.03,
        }
        return Finding(**about, **shown, start=START, end=END, evidence=evidence)

    monkeypatch.setattr(findings, "analyzer_findings", lambda *_args, **_more: [held("carrier"), held("extra.note")])
    app = opened("personal_data", model="loan")
    rows = [row["cells"] for row in tables(app)["Columns with personal data"]["rows"]]
    assert [(row["column"]["t"], row["kind"]["t"], row["why"]["t"], row["texts"]["t"]) for row in rows[:2]] == [
        ("carrier", "e-mail addresses", "form name@domain", "10"),
        ("carrier", "national identifiers", "Spain: control letter of a DNI or NIE", "4"),
    ]
    (lines,) = [code.value for code in app.code if "[protect]" in code.value]
    assert 'carrier = "hash"' in lines and "extra" not in lines
    assert "settings loan --settings" in words(app) and "Leave other fields" in words(app)
    assert "state a limit" in words(app)
