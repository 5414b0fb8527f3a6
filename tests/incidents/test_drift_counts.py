"""A single function counts the share of drifted columns, and states how many columns cannot be judged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.dashboard.overview.fleet import drift_cell
from observability.dashboard.serving.drift import (
    chosen_drift_finding,
    drift_ranking_frame,
    drift_summary,
    grey_bars_note,
    most_drifted_first,
)
from observability.incidents.model_state import drift_counts
from observability.review.fleet_strip import strip_cells

START = datetime(2013, 12, 26, tzinfo=UTC)
AGE = Finding("serving/drift", "loan", "1", "age", "psi", 1.9, 900, "act", "It drifted.", START, START + timedelta(days=7), "reference")
FINE = [replace(AGE, subject=name, severity="ok", value=0.01) for name in ("size", "score")]
EARLY = [replace(AGE, subject=name, severity="unknown", value=value) for name, value in (("rain", None), ("wind", 0.2))]


def test_the_drift_summary_also_counts_the_columns_that_cannot_be_judged() -> None:
    """Regression: the first page said `1 of 21 drifted`, although ten of the columns could not be judged."""
    counts = drift_counts([AGE, *FINE, *EARLY])
    assert counts.words() == "1 of 5 columns drifted, 2 cannot be judged" and counts.drifted == ("age",)
    assert drift_cell([AGE, *FINE, *EARLY]) | {"title": None} == {
        "s": "act",
        "t": "1 of 5",
        "sub": "2 unknown",
        "title": None,
    }
    assert drift_summary([AGE, *FINE, *EARLY]) == "1 of 5 columns drifted, 2 cannot be judged; age most."
    cell = strip_cells(Model(1, "loan", "binary"), [AGE, *FINE, *EARLY], [])["drift"]
    assert (cell["bad"], cell["of"], cell["undecided"]) == (1, 5, 2)


def test_stable_columns_are_not_called_all_stable_if_other_columns_cannot_be_judged() -> None:
    cell = drift_cell([*FINE, *EARLY])
    assert (cell["t"], cell["sub"]) == ("stable", "2 unknown")


def test_a_column_with_two_findings_counts_once() -> None:
    swapped = replace(AGE, metric="level_trade")
    assert (
        drift_counts([AGE, swapped, replace(AGE, subject="model"), replace(AGE, analyzer="data/quality")]).words()
        == "1 of 1 columns drifted"
    )
    assert drift_counts(FINE).words("inputs") == "0 of 2 inputs drifted"


def test_the_column_that_is_shown_is_the_one_that_the_summary_names() -> None:
    """Regression: the page showed a column that cannot be judged, below a line that named another column."""
    ahead, second = replace(EARLY[1], rank=9.0), replace(AGE, subject="rent", value=2.4)
    columns = [AGE, second, ahead, *FINE]
    assert drift_summary(columns).endswith("rent most.") and chosen_drift_finding(columns) == second
    assert chosen_drift_finding([ahead, *FINE]) == ahead


def test_the_most_drifted_column_has_the_largest_psi_whatever_its_importance() -> None:
    """The rank is PSI times importance, so a PSI of 1.9 with weight 0.01 ranks below a PSI of 0.3 with weight 0.9."""
    slight = replace(AGE, subject="zip", value=0.3, rank=3.0)
    days = [{"days": each, "value": value, "low": None, "high": None} for each, value in ((1, 5.0), (7, 0.4))]
    lately = replace(AGE, subject="rent", value=5.0, evidence={"look_days": 1, "windows": days})
    warned = replace(AGE, subject="wage", value=2.5, severity="watch", rank=9.0)
    columns = [*FINE, warned, slight, lately, AGE]
    assert drift_summary(columns).endswith("age most.") and chosen_drift_finding(columns) == AGE
    bars = drift_ranking_frame(columns, ModelSettings(importance={"zip": 0.9, "age": 0.01}))
    assert list(bars["subject"]) == ["age", "rent", "zip", "wage", "size", "score"]


def test_a_sentence_above_the_bars_states_why_columns_are_grey() -> None:
    """Regression: nine of twenty-one bars were grey, some longer than the critical ones, and only the legend said `Cannot be judged`."""

    def note(*columns: Finding) -> str | None:
        return grey_bars_note(most_drifted_first(columns))

    def grey(cause: str, *names: str) -> list[Finding]:
        return [replace(AGE, subject=name, severity="unknown", value=0.2, limit=0.1, evidence={"undecided": cause}) for name in names]

    over, few = grey("chance", "rain", "wind"), grey("few rows", "wage")
    assert note(AGE, *FINE) is None
    assert note(AGE, *over, *FINE) == "Grey: 2 columns above the limit, but not significantly. A longer window can decide."
    both = "Grey: 2 columns above the limit, but not significantly; 1 column with too few predictions. A longer window can decide."
    assert note(AGE, *over, *few) == both
    small, away = grey("small reference", "rain"), grey("beyond reference", "hour")
    past = grey("as past days", "hour")
    assert note(*past, *few).startswith("Grey: 1 column above the limit, but so were as many past days; 1 column with too few predictions.")
    assert note(*small) == "Grey: 1 column with too small a reference. A larger reference can decide."
    assert note(*away, *few).endswith("1 column largely beyond the reference. A longer window or a newer reference can decide.")
    many = grey("few rows", *(f"c{k}" for k in range(40)))
    assert note(*many).startswith("Grey: 40 columns"), "also those without a bar, as in the summary"
    assert note(*(replace(AGE, subject=f"d{k}") for k in range(25)), *many) is None, "no bar is grey"


def test_an_ok_cell_of_the_weekly_fleet_says_why_it_is_ok() -> None:
    """Regression: `unchanged` was shown above `Beyond its limit, cannot tell yet.`"""
    gap = replace(AGE, analyzer="trust/fairness", subject="sex", metric="demographic_parity_difference")
    fine = replace(gap, severity="ok", because="The groups are alike.", value=0.01)
    young = replace(gap, severity="unknown", because="Beyond its limit, cannot tell yet.", subject="race", rank=9.0)

    def cell(*findings: Finding) -> tuple[int, str, str]:
        found = strip_cells(Model(1, "loan", "binary"), findings, [])["fairness"]
        return found["bad"], found["severity"], found["because"]

    assert cell(young, fine) == (0, "ok", "The groups are alike.")
    assert cell(young) == (0, "unknown", "Beyond its limit, cannot tell yet.")
    assert cell(young, fine, gap) == (1, "act", "It drifted.")
