"""Figures of groups of fewer than ten rows: they are merged or left out, and cannot be derived from the remaining figures."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket, By
from observability.core.small_groups import (
    FEWER,
    finding_without_few,
    findings_for_files,
    folded_groups,
    leaves_few,
    rows_of_finding,
    without_few,
    without_few_groups,
    without_small_levels,
)

BY_SEX = Aggregate("outcomes", keys=(By("group.sex"), By("decision"), By("label")))


def rates(**groups: dict[tuple[int, int], int]) -> pd.DataFrame:
    """The result of a query by sex, decision and label, from given counts."""
    rows = [(sex, *key, n, float(n), float(n)) for sex, counts in groups.items() for key, n in counts.items()]
    return pd.DataFrame(rows, columns=["group.sex", "decision", "label", "n", "w", "w2"])


def totals(frame: pd.DataFrame) -> dict[str, int]:
    """Rows by group."""
    return frame.groupby("group.sex")["n"].sum().to_dict()


AT = datetime(2026, 3, 3, tzinfo=UTC)
LARGE = {(0, 0): 60, (0, 1): 40, (1, 1): 90, (1, 0): 10}


def test_a_small_group_is_counted_together_with_the_next_smallest_and_totals_stay() -> None:
    frame = rates(F=LARGE, M={key: 2 * n for key, n in LARGE.items()}, X={(0, 0): 3, (1, 1): 4})
    found = folded_groups(BY_SEX, frame)
    assert totals(found) == {FEWER: 207, "M": 400}, "if only X were hidden, the total minus the others would reveal it"
    assert found[["n", "w"]].sum().tolist() == frame[["n", "w"]].sum().tolist() and list(found.columns) == list(frame.columns)
    assert not found.duplicated(["group.sex", "decision", "label"]).any()


@pytest.mark.parametrize(("rare", "folded"), [({(0, 0): 50, (1, 0): 40, (1, 1): 6}, True), ({(0, 0): 50, (1, 0): 50, (1, 1): 10}, False)])
def test_a_group_with_a_small_class_is_merged(rare: dict[tuple[int, int], int], folded: bool) -> None:
    found = totals(folded_groups(BY_SEX, rates(F=LARGE, M=LARGE, X=rare)))
    assert ("X" not in found) is folded and (FEWER in found) is folded


def test_a_group_with_a_small_day_is_merged_and_rows_without_labels_are_not_a_class() -> None:
    asked = Aggregate("predictions", keys=(Bucket("day"), By("feature.job")))
    days = pd.to_datetime(["2026-03-02", "2026-03-03"])
    counted = {"a": (50, 50), "b": (30, 30), "c": (40, 5)}
    rows = [(day, job, n) for job, counts in counted.items() for day, n in zip(days, counts)]
    frame = pd.DataFrame(rows, columns=["period", "feature.job", "n"]).assign(w=1.0, w2=1.0)
    assert set(folded_groups(asked, frame)["feature.job"]) == {"a", FEWER}
    unlabelled = rates(F=LARGE, M=LARGE | {(0, -1): 3})
    assert folded_groups(BY_SEX, unlabelled) is unlabelled


def test_a_small_group_is_left_out_if_no_other_group_can_hide_it() -> None:
    assert folded_groups(BY_SEX, rates(X={(0, 0): 3, (1, 1): 4})).empty
    replicas = Aggregate("predictions", keys=(By("replica"),))
    frame = pd.DataFrame({"replica": ["r1", "r2"], "n": [3, 500], "w": 1.0, "w2": 1.0})
    assert folded_groups(replicas, frame) is frame, "a replica is not a person"


def test_merged_groups_add_their_sums_and_keep_minimum_and_maximum() -> None:
    asked = Aggregate("outcomes", keys=(By("group.sex"),), sums=("absolute_error",))
    counts = {"n": [40, 4, 60], "w": [40.0, 4, 60], "w2": [40.0, 4, 60]}
    figures = {"total": [80.0, 40, 90], "squares": [1.0, 2, 3], "low": [0.5, 0.1, 0.2], "high": [3.0, 20, 4]}
    frame = pd.DataFrame({"group.sex": ["F", "X", "M"], "measure": "absolute_error", **counts, **figures})
    found = folded_groups(asked, frame).set_index("group.sex")
    assert found.loc[FEWER, ["n", "total", "low", "high"]].tolist() == [44, 120.0, 0.1, 20.0] and found.loc["M", "n"] == 60


def test_small_histogram_levels_are_removed_with_the_next_smallest() -> None:
    frame = pd.DataFrame({"column": ["feature.job"] * 4 + ["feature.age"] * 2, "bin": [0, 1, 2, -5, 0, 1], "n": [500, 80, 30, 4, 3, 600]})
    found = without_small_levels(frame, ["feature.job"])
    assert found[found["column"] == "feature.job"]["bin"].tolist() == [0, 1] and len(found[found["column"] == "feature.age"]) == 2
    assert without_small_levels(frame, []) is frame


@pytest.mark.parametrize(
    ("counts", "few"),
    [([9, 500], True), ([10, 500], False), ([495, 500], True), ([500, 500], False), ([0, 500], False), ([90, 500, 95], True)],
)
def test_a_slice_is_small_if_it_or_its_remainder_has_few_rows(counts: list[int], few: bool) -> None:
    assert leaves_few(counts) is few


START, END = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
ABOUT = ("trust/fairness", "loan", "1", "sex=X", "true_positive_rate")
FINDING = Finding(*ABOUT, 0.25, 4, "act", "`sex=X`: 1 of 4 found.", START, END, "level", low=0.01, high=0.8, evidence={"hits": 1})


def test_a_finding_about_few_rows_keeps_its_id_but_no_figures() -> None:
    found = finding_without_few(FINDING)
    assert rows_of_finding(found) == FEWER and rows_of_finding(FINDING) == "4"
    assert (found.id, found.value, found.low, found.high, found.evidence, found.severity) == (
        FINDING.id,
        None,
        None,
        None,
        {"suppressed": True},
        "unknown",
    )
    assert FEWER in found.because and "4" not in found.because
    assert (
        finding_without_few(replace(FINDING, n=10)).value == 0.25
        and finding_without_few(replace(FINDING, subject="replica=r1")).value == 0.25
    )


def test_a_findings_file_contains_no_figures_about_few_rows() -> None:
    whole = replace(
        FINDING, subject="sex", n=500, evidence={"groups": [{"level": level, "n": n} for level, n in (("F", 90), ("M", 50), ("X", 4))]}
    )
    device = replace(FINDING, subject="device=d1")
    found = findings_for_files([FINDING, whole, device])
    assert [(each.subject, each.evidence) for each in found] == [("sex", {"groups": [{"level": "F", "n": 90}]}), ("device=d1", {"hits": 1})]


def test_results_of_an_audit_lose_small_slices_inside_their_forms() -> None:
    slices = [{"column": "sex", "level": level, "n": n, "flips": 1} for level, n in (("F", 200), ("M", 300), ("X", 4))]
    found = without_few_groups({"forms": [{"form": "int8", "flips": 3, "slices": slices}], "rows": 504})
    assert found == {"forms": [{"form": "int8", "flips": 3, "slices": [slices[1]]}], "rows": 504}


def test_evidence_loses_the_entries_of_small_groups_and_the_next_smallest() -> None:
    levels = [{"level": level, "n": n} for level, n in (("F", 200), ("X", 4), ("M", 90), ("Y", 150))]
    curves = {"X": [{"n": 4}, {"n": 5}], "F": [{"n": 80}], "M": [{"n": 70}], "Y": [{"n": 75}]}
    whole = replace(
        FINDING, subject="sex", n=500, evidence={"groups": levels, "slices": curves, "n": 4, "lowest": "M", "by_day": [["2026-03-02", 4]]}
    )
    assert finding_without_few(whole).evidence == {
        "groups": [{"level": "F", "n": 200}, {"level": "Y", "n": 150}],
        "slices": {"F": [{"n": 80}], "Y": [{"n": 75}]},
        "n": 4,
        "lowest": "M",
        "by_day": [["2026-03-02", 4]],
    }, "of two hidden groups, neither can be computed from the total and the others"
    assert without_few([{"n": 4}, {"n": 7}, {"n": 60}]) == [{"n": 60}] and without_few([{"n": 4}]) == []
    days = replace(FINDING, n=50, evidence={"by_day": [["2026-03-02", 0.5, 4], ["2026-03-03", 0.5, 46]]})
    assert finding_without_few(days).evidence == {"by_day": [["2026-03-03", 0.5, 46]]}
    assert without_few({"share": 0.2, "rows": [1, 2, 3]}) == {"share": 0.2, "rows": [1, 2, 3]}


def test_a_day_of_a_pair_of_groups_with_few_rows_is_left_out() -> None:
    found = Finding(
        "trust/fairness", "m", "1", "sex", "equal_opportunity_difference", 0.2, 900, "ok", "Words.", AT, AT, "level",
        evidence={"pair_by_day": [["2026-03-01", 0.2, 0.1, 0.3, 40], ["2026-03-02", 0.9, 0.1, 1.7, 4]]},
    )  # fmt: skip
    assert finding_without_few(found).evidence["pair_by_day"] == [["2026-03-01", 0.2, 0.1, 0.3, 40]]
