"""If a run of a rule states its effect on a model, the cleaning page shows this effect next to the rule."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from observability.dashboard import load
from observability.dashboard.data import cleaning
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables

END = datetime(2026, 3, 16, tzinfo=UTC)
GROUPS = "Groups of sex before and after the rule"


def run_of_rule(rule: str, days: int, **further: object) -> dict:
    """A run of a rule, the given number of days before the end."""
    run = {"kind": "cleaning", "rule": rule, "dataset": "people", "version": "7", "rows_in": 1000, "rows_changed": 0, "rows_dropped": 100}
    return {**run, "at": (END - timedelta(days=days)).isoformat(), **further}


@pytest.mark.parametrize("stated", [True, False])
def test_a_rule_shows_the_effect_stated_by_its_newest_run(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: bool
) -> None:
    newest = {"metric": "accuracy", "before": 0.75, "after": 0.8125, "low": 0.05, "high": 0.075}
    runs = [run_of_rule("adults", 3, effect={"value": -0.5}), run_of_rule("adults", 2, effect=newest), run_of_rule("adults", 1)]
    own = runs if stated else [{name: value for name, value in run.items() if name != "effect"} for run in runs]
    land(empty, [*own, run_of_rule("complete", 1)], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    table = tables(opened("cleaning", window="Everything"))["Cleaning rules and their effect"]
    assert ("effect" in {each["key"] for each in table["columns"]}) is stated
    shown = {row["cells"]["rule"]["t"]: row["cells"]["effect"] for row in table["rows"]}
    if stated:
        assert shown["adults"]["t"] == "Accuracy +0.0625"
        assert shown["adults"]["sub"] == "interval 0.0500 to 0.0750; 0.750 without it, 0.812 with it"
    assert shown["complete"]["t"] == "–"


def test_the_most_affected_group_is_stated_with_enough_digits_to_differ() -> None:
    """Regression: a share that went from 0.193 to 0.173 % was written `from 0.2 % to 0.2 %`."""
    groups = pd.DataFrame(
        {"group": ["OO", "YV"], "value": [1 / 7, 0.127], "before": [8e-5, 0.00193], "after": [7e-5, 0.00173], "enough": [False, True]}
    )
    said = cleaning.most_dropped_words("carrier", groups)
    assert said == "carrier = YV loses most: 12.7 % dropped; its share of the rows goes from 0.193 % to 0.173 %."
    few = cleaning.most_dropped_words("carrier", groups.assign(enough=False, after=float("nan")))
    assert (
        few
        == "carrier = OO loses most: 14.3 % dropped; its share of the rows goes from 0.008 % to –. All groups have too few rows to judge."
    )


def test_a_rule_shows_the_effect_measured_by_an_audit_of_the_same_rule_name() -> None:
    def record(dataset: str | None, rule: str, *, proposed: bool, change: float | None) -> dict:
        effect = {} if change is None else {"effect": {"value": change}}
        return {"dataset": dataset, "rule": rule, "extra": effect | ({"proposed": True} if proposed else {})}

    records = pd.DataFrame(
        [
            record("people", "adults", proposed=True, change=0.5),
            record("other", "adults", proposed=True, change=0.9),
            record("other", "empty", proposed=True, change=0.2),
            record("people", "none", proposed=True, change=None),
        ]
    )
    rows = pd.DataFrame([record("people", rule, proposed=False, change=None) for rule in ("adults", "empty", "none", "unmeasured")])
    found = cleaning.audited_effects(rows.assign(subject=rows["rule"]), records)
    assert {rule: effect.change for rule, effect in found.items()} == {"adults": 0.5, "empty": 0.2}


def test_the_drop_rate_of_each_group_has_wilsons_interval_and_its_gap_newcombes(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs are added up: 171 of 900 women and 11 of 1,100 men were dropped. The intervals are those of statsmodels."""
    counts = [
        {"F": {"in": 400, "dropped": 80}, "M": {"in": 600, "dropped": 5}},
        {"F": {"in": 500, "dropped": 91}, "M": {"in": 500, "dropped": 6}},
    ]
    land(empty, [run_of_rule("adults", day, groups={"sex": levels}) for day, levels in enumerate(counts, 1)], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    shown = {row["cells"]["group"]["t"]: row["cells"] for row in tables(opened("cleaning", window="Everything"))[GROUPS]["rows"]}
    dropped, rows = {"F": 171, "M": 11}, {"F": 900, "M": 1100}
    for level, other in (("F", "M"), ("M", "F")):
        cells = shown[f"sex = {level}"]
        rate, gap = dropped[level] / rows[level], dropped[level] / rows[level] - dropped[other] / rows[other]
        assert (cells["rows"]["t"], cells["dropped"]["t"]) == (f"{rows[level]:,}", str(dropped[level]))
        assert numbers(cells["rate"]["t"]) == pytest.approx([100 * rate], abs=0.051)
        low, high = proportion_confint(dropped[level], rows[level], method="wilson")
        assert numbers(cells["rate"]["sub"]) == pytest.approx([100 * low, 100 * high], abs=0.51)
        assert numbers(cells["gap"]["t"]) == pytest.approx([100 * gap], abs=0.051)
        both = dropped[level], rows[level], dropped[other], rows[other]
        low, high = confint_proportions_2indep(*both, method="newcomb", compare="diff")
        assert numbers(cells["gap"]["sub"]) == pytest.approx([100 * low, 100 * high], abs=0.51)


def numbers(text: str) -> list[float]:
    """The numbers of a cell, with their signs."""
    return [float(each.replace("\u2212", "-")) for each in re.findall(r"[-\u2212]?[\d.]+", text)]
