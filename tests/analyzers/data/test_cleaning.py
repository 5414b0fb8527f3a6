"""A rule is named if it drops or changes an unusual share of the rows, or a larger share of one group."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from observability.analyzers.data import cleaning
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.detection import cleaning_history
from tests.support.cleaning_runs import NO_AUDITS
from tests.support.length import allowed, repeats

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
COLUMNS = ["rule", "at", "rows_in", "rows_changed", "rows_dropped", "dataset", "groups"]


def ran(rng: np.random.Generator, days: range, **fields: object) -> list[dict]:
    """One run per day: 2,000 rows, 3 % dropped, 10 % changed."""
    body = {"rule": "ages", "rows_in": 2000, "dataset": "people", "groups": None}
    return [
        body
        | {
            "at": START + timedelta(days=day, hours=3),
            "rows_dropped": int(rng.binomial(2000, 0.03)),
            "rows_changed": int(rng.binomial(2000, 0.1)),
            **fields,
        }
        for day in days
    ]


def judged(rows: list[dict], budget: float = 0.0143) -> dict[tuple[str, str], Finding]:
    """Findings by subject and metric (for groups, also by slice)."""
    frame = pd.DataFrame(rows, columns=COLUMNS).astype(
        {"at": "datetime64[us]", "rows_in": "Int64", "rows_changed": "Int64", "rows_dropped": "Int64"}
    )
    for name in ("rule", "dataset", "groups"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    window = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    context = Context(EVERY_MODEL, NO_VERSION, window, window.end, budget)
    frames = {"cleanings": frame[frame["at"] >= START], "past cleanings": frame[frame["at"] < START], "audits": NO_AUDITS}
    found = cleaning.analyze({name: each.reset_index(drop=True) for name, each in frames.items()}, context)
    assert len({each.id for each in found}) == len(found)
    return {(each.subject, each.slice or each.metric): each for each in found}


RULE = "dataset:people/rule:ages"


@pytest.fixture
def rows() -> list[dict]:
    """Eight weeks without faults, and one week to judge."""
    return ran(np.random.default_rng(3), range(-56, 7))


def test_a_cleaning_rule_that_behaves_as_before_is_ok(rows: list[dict]) -> None:
    found = judged(rows)
    assert {each.severity for each in found.values()} == {"ok"} and len(found) == 2


def test_rules_proposed_by_an_audit_are_not_counted_as_runs(rows: list[dict]) -> None:
    told = pd.DataFrame(rows)
    proposal = {**rows[-1], "rule": "audit: duplicates", "rows_dropped": 1900, "extra": {"proposed": True}}
    both = pd.DataFrame([*({**row, "extra": {"by": "hand"}} for row in rows), proposal])
    assert list(cleaning_history.applied_runs(both)["rule"]) == list(told["rule"])
    assert len(cleaning_history.applied_runs(told)) == len(told)
    assert list(cleaning_history.applied_runs(both[:0]).columns) == list(both.columns)


def test_a_rule_that_drops_more_is_named_with_the_day(rows: list[dict]) -> None:
    for each in rows[-3:]:
        each["rows_dropped"] = 240
    found = judged(rows)[RULE, "cleaning_drop_rate"]
    assert found.severity == "act" and found.value == 0.12 and found.onset == datetime(2026, 3, 6, 3, tzinfo=UTC)
    assert "`ages` on `people` drops more than before: 12 % of 2,000 rows" in found.because and "; usually it is " in found.because
    assert judged(rows)[RULE, "cleaning_change_rate"].severity == "ok"


def test_a_cleaning_rule_that_stops_changing_rows_is_a_warning(rows: list[dict]) -> None:
    for each in rows[-2:]:
        each["rows_changed"] = 0
    found = judged(rows)[RULE, "cleaning_change_rate"]
    assert found.severity == "watch" and "changes less than before: 0 %" in found.because


def test_few_cleaning_runs_are_unknown_and_state_how_many_more_are_needed() -> None:
    found = judged(ran(np.random.default_rng(4), range(-2, 1), dataset=None, rows_changed=0))
    assert set(found) == {("rule:ages", "cleaning_drop_rate")}
    only = found["rule:ages", "cleaning_drop_rate"]
    assert only.severity == "unknown" and "needs about 5 more" in only.because and only.low < only.value < only.high


def test_a_group_that_loses_more_rows_than_the_others_is_named(rows: list[dict]) -> None:
    rows[-1]["groups"] = {
        "sex": {"F": {"in": 900, "dropped": 171}, "M": {"in": 1100, "dropped": 11}},
        "region": {"n": {"in": 1000, "dropped": 30}, "s": {"in": 1000, "dropped": 30}},
    }
    found = judged(rows)
    sex, region = found[RULE, "sex=F"], found[RULE, "region=s"]
    assert (sex.severity, region.severity) == ("watch", "ok")
    assert sex.value == pytest.approx(0.19 - 0.01) and sex.low < sex.value < sex.high and sex.against == "peers"
    assert "19 % of 900 rows against 1 % of the other 1,100" in sex.because


def test_a_loss_in_a_small_group_that_may_be_chance_is_unknown(rows: list[dict]) -> None:
    rows[-1]["groups"] = {
        "sex": {"F": {"in": 40, "dropped": 4}, "M": {"in": 1960, "dropped": 60}},
        "age": {"old": {"in": 12, "dropped": 6}, "new": {"in": 1988, "dropped": 60}},
    }
    found = judged(rows)
    assert found[RULE, "sex=F"].severity == "unknown" and "more rows of it" in found[RULE, "sex=F"].because
    assert found[RULE, "sex=F"].value == pytest.approx(0.1 - 60 / 1960)
    assert found[RULE, "age=new"].severity == "unknown" and "each group needs 30 rows" in found[RULE, "age=new"].because


def test_the_group_loss_p_value_equals_fishers_exact_test() -> None:
    (one, other) = cleaning_history.groups_of([{"sex": {"F": {"in": 60, "dropped": 9}, "M": {"in": 140, "dropped": 6}}}])
    for each, table in ((one, [[9, 51], [6, 134]]), (other, [[6, 134], [9, 51]])):
        assert each.p_value == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-9)


@pytest.mark.parametrize(
    "groups",
    [
        {"sex": None},
        {"sex": {"F": 3}},
        {"sex": {"F": {"in": "many", "dropped": 2}}},
        {"sex": {"F": {"in": 2, "dropped": 3}, "M": {"in": True, "dropped": 0}}},
        {"sex": {"F": {"in": 100, "dropped": 3}}},
    ],
)
def test_malformed_group_counts_are_ignored(rows: list[dict], groups: dict) -> None:
    rows[-1]["groups"] = groups
    assert len(judged(rows)) == 2


def test_clean_weeks_rarely_raise_a_warning_and_never_a_critical_finding() -> None:
    raised, weeks = [], repeats(15, 300)
    for seed in range(weeks):
        rng = np.random.default_rng(seed)
        rows = ran(rng, range(-56, 7))
        for each in rows:
            each["rows_dropped"] = int(rng.binomial(2000, rng.beta(6, 100)))
        raised += [each.severity for each in judged(rows).values() if each.severity != "ok"]
    assert raised.count("act") == 0 and raised.count("watch") <= allowed(0.02, weeks) and raised.count("unknown") <= allowed(0.07, weeks)


def test_an_ok_run_within_past_variation_has_a_limit_above_its_value(rows: list[dict]) -> None:
    """With shares of 3 to 12 % in the past, 9 % is usual, although it is beyond twice the usual share."""
    shares = np.random.default_rng(8).permutation(np.linspace(0.005, 0.12, len(rows)) ** 1.5)
    for each, share in zip(rows, shares / shares.max() * 0.12, strict=True):
        each["rows_dropped"] = int(2000 * share)
    for each in rows[-7:]:
        each["rows_dropped"] = 80
    rows[-1]["rows_dropped"] = 180
    found = judged(rows)[RULE, "cleaning_drop_rate"]
    assert found.severity == "ok" and found.value < found.limit
    assert "is within its limits: it drops" in found.because and "given how runs differ" in found.because


def test_a_run_beyond_its_limit_that_is_not_significant_is_unknown(rows: list[dict]) -> None:
    for each in rows[-7:]:
        each["rows_in"], each["rows_dropped"] = 30, 1
    rows[-1]["rows_dropped"] = 6
    found = judged(rows, budget=1e-9)[RULE, "cleaning_drop_rate"]
    assert found.severity == "unknown" and found.value > found.limit and "a decision needs larger runs" in found.because


def weekly_runs(shares: list[float]) -> list[dict]:
    """One run of 2,186 rows per week; the last run is in the window."""
    return [
        {"rule": "ages", "dataset": "people", "groups": None, "rows_in": 2186, "rows_changed": 0, "rows_dropped": round(2186 * share)}
        | {"at": START + timedelta(days=1 - 7 * (len(shares) - 1 - place))}
        for place, share in enumerate(shares)
    ]


LANDED = [0.036, 0.006, 0.036, 0.039, 0.023, 0.007, 0.022, 0.007, 0.067, 0.028, 0.021, 0.037, 0.020]
"""Dropped shares of a rule whose runs differ a lot."""


def test_a_run_that_drops_more_rows_than_every_earlier_run_is_a_warning() -> None:
    found = judged(weekly_runs([*LANDED, 0.0915]))[RULE, "cleaning_drop_rate"]
    assert found.severity == "watch" and found.low > max(found.limit, *LANDED) and found.onset == datetime(2026, 3, 3, tzinfo=UTC)
    assert (
        "drops more than before: 9.15 % of 2,186 rows in the run of 3 Mar 2026 00:00 UTC, more than in any earlier run; usually it is 2.29 %"
        in found.because
    )
    assert "more than in any earlier run" in found.because


@pytest.mark.parametrize(("past", "share"), [(LANDED, 0.06), ([*LANDED, 0.09], 0.0915), ([*LANDED, 0.085], 0.0915)])
def test_a_run_close_to_the_highest_past_drop_rate_is_ok(past: list[float], share: float) -> None:
    assert judged(weekly_runs([*past, share]))[RULE, "cleaning_drop_rate"].severity == "ok"
