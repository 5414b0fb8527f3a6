"""Augmentations are judged by their effect on accuracy, classes, groups and labels."""

import numpy as np
import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.metrics.augmentation import augmentation_audits, augmentation_results
from tests.support.augmentation_audits import audit_row, augmentation_findings, numeric_predictions, predictions, simulated_audit
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit


def by_metric(row: dict) -> dict[str, Finding]:
    return {each.metric.removeprefix("augmentation_"): each for each in augmentation_findings([row])}


def test_augmentation_counts_affinity_and_diversity_match_their_definitions() -> None:
    table = predictions(np.random.default_rng(3), rows=400, seeds=4, gain=0.1)
    results = augmentation_results(table, "jitter", ("region",))
    (audit,) = augmentation_audits(pd.DataFrame([audit_row(results)]))
    right, right_with = table["without"] == table["label"], table["with"] == table["label"]
    change = audit.whole.change
    assert change is not None and change.value == pytest.approx(right_with.mean() - right.mean())
    south = table["region"] == "south"
    part = next(each for each in audit.slices if each.level == "south")
    assert part.change is not None and part.change.value == pytest.approx(right_with[south].mean() - right[south].mean())
    assert part.n == south.sum() / 4 and {each.column for each in audit.slices} == {"class", "region"}
    affinity, diversity = audit.affinity, audit.diversity
    assert affinity is not None and affinity.value == pytest.approx((table["copy"] == table["label"]).mean() / right.mean())
    assert diversity is not None and diversity.value == pytest.approx(table["loss_with"].mean() / table["loss_without"].mean())
    by_row = (right_with.astype(int) - right).groupby(table["row"]).mean()
    assert results["row_variance"] == pytest.approx(by_row.var())


def numeric_audit(seed: int, **effects: float) -> dict:
    table = numeric_predictions(np.random.default_rng(seed), **effects)
    return audit_row(augmentation_results(table, "jitter", ("region",), regression=True))


def test_the_gain_of_a_regression_is_the_relative_fall_of_its_mean_absolute_error() -> None:
    table = numeric_predictions(np.random.default_rng(3), rows=400, seeds=4, gain=0.1)
    (audit,) = augmentation_audits(pd.DataFrame([audit_row(augmentation_results(table, "jitter", ("region",), regression=True))]))
    without, with_it, copied = ((table[name] - table["label"]).abs() for name in ("without", "with", "copy"))
    assert audit.whole.change.value == pytest.approx(1 - with_it.mean() / without.mean())
    south = table["region"] == "south"
    part = next(each for each in audit.slices if each.level == "south")
    assert part.change.value == pytest.approx(1 - with_it[south].mean() / without[south].mean()) and {
        each.column for each in audit.slices
    } == {"region"}
    assert audit.affinity.value == pytest.approx(without.mean() / copied.mean()) and audit.consensus is None
    by_row = ((without - with_it) / without.mean()).groupby(table["row"]).mean()
    assert audit.whole.row_variance == pytest.approx(by_row.var())


def test_effects_of_an_augmentation_on_a_regression_are_stated_as_error_changes() -> None:
    helped = by_metric(numeric_audit(1, gain=0.05))
    assert helped["gain"].evidence["effect"] == "helps" and helped["gain"].evidence["verdict"] == "keep"
    assert helped["gain"].because.startswith("Augmentation `jitter` lowers the error: −4.")
    assert "the error on the original rows is 0.8" in helped["affinity"].because
    harmed = by_metric(numeric_audit(2, gain=0.05, harm=0.3))
    assert (harmed["slice_gain"].severity, harmed["slice_gain"].slice) == ("act", "region=south")
    assert "raises the error in region `south`" in harmed["slice_gain"].because and ": +2" in harmed["slice_gain"].because
    assert harmed["gain"].evidence["why"] == "it raises the error"


def test_clean_augmentations_of_regressions_raise_nothing() -> None:
    raised = [
        found for seed in range(repeats(8, 300)) for found in augmentation_findings([numeric_audit(100 + seed)]) if found.needs_action
    ]
    assert raised == []


def test_an_augmentation_that_helps_is_ok_and_says_by_how_much() -> None:
    found = by_metric(simulated_audit(1, gain=0.1))
    assert found["gain"].severity == "ok" and found["gain"].evidence["effect"] == "helps"
    assert found["gain"].because.startswith("Augmentation `jitter` raises accuracy: +1.") and "8 seeds, 2,000 rows" in found["gain"].because
    assert found["affinity"].value == pytest.approx(0.97, abs=0.01) and found["diversity"].value == pytest.approx(1.2, abs=0.03)


def test_an_augmentation_without_an_effect_claims_none() -> None:
    found = by_metric(simulated_audit(2))
    assert {name: each.severity for name, each in found.items() if each.severity != "ok"} == {"affinity": "unknown", "diversity": "unknown"}
    assert found["affinity"].because.endswith("; no level set: set `training/studies/augmentation_affinity`.")
    assert "has no significant effect on accuracy" in found["gain"].because and found["gain"].evidence["effect"] == "none"


def test_a_significant_effect_below_one_point_is_described_as_small() -> None:
    counts = {"rows": 20_000, "gained": [300, 310, 305, 296], "lost": [400, 405, 410, 398], "slices": []}
    found = by_metric(audit_row({"augmentation": "jitter", **counts}))["gain"]
    assert (found.severity, found.evidence["effect"]) == ("ok", "small")
    assert "changes accuracy by less than 1 point: −0.5 points (" in found.because


def test_a_harmed_group_is_named_although_the_whole_gains() -> None:
    found = by_metric(simulated_audit(3, gain=0.15, harm=0.12))
    harmed = found["slice_gain"]
    assert found["gain"].severity == "ok" and (harmed.severity, harmed.slice) == ("act", "region=south")
    assert harmed.value is not None and harmed.value < -0.05 and "lowers accuracy in region `south`" in harmed.because


def test_label_changes_are_suspected_from_all_seeds_and_confirmed_by_people() -> None:
    row = simulated_audit(4, changed=0.15)
    suspected = by_metric(row)["label_changes"]
    assert suspected.severity == "watch" and "let people check copies" in suspected.because
    told = by_metric(audit_row(row["results"], checked={"n": 200, "changed": 30}))["label_changes"]
    assert told.severity == "act" and told.value == 0.15 and "30 of 200" in told.because
    fine = by_metric(audit_row(row["results"], checked={"n": 200, "changed": 1}))["label_changes"]
    assert fine.severity == "ok", "checks by people count more than the comparison of seeds"
    few = by_metric(audit_row(row["results"], checked={"n": 9, "changed": 3}))["label_changes"]
    assert few.severity == "unknown" and few.value is None


def test_harm_of_an_augmentation_not_in_use_is_reported_without_an_alarm_and_not_as_ok() -> None:
    row = simulated_audit(5, harm=0.5, changed=0.3)
    found = by_metric(audit_row(row["results"], in_use=False))
    harmful = [found[name] for name in ("gain", "slice_gain", "label_changes")]
    assert all(map(beyond_limit, harmful)) and found["gain"].evidence["effect"] == "harms"
    for each in (*harmful, found["affinity"]):
        assert each.severity == "unknown" and each.because.endswith("; the augmentation is not in use, so it is not judged.")
    helps = by_metric(audit_row(simulated_audit(1, gain=0.1)["results"], in_use=False))
    assert helps["gain"].severity == helps["slice_gain"].severity == "ok"


def test_a_gain_beyond_its_limit_that_may_be_chance_is_unknown_and_the_least_gain_is_stated() -> None:
    few = {"column": "region", "level": "south", "n": 100, "gained": [5, 9, 4, 8], "lost": [12, 8, 9, 10]}
    many = {"column": "region", "level": "north", "n": 20_000, "gained": [100, 104, 99, 97], "lost": [160, 159, 163, 158]}
    counts = {"rows": 20_100, "gained": [5, 9, 4, 8], "lost": [300, 305, 110, 98], "slices": [few, many]}
    consensus = {"n": 300, "changed": 18}
    found = by_metric(audit_row({"augmentation": "jitter", **counts, "consensus": consensus}))
    assert found["slice_gain"].value == pytest.approx(-0.0325) and "The least gain is in region `south`" in found["slice_gain"].because
    for name in ("slice_gain", "label_changes"):
        assert beyond_limit(found[name]) and found[name].severity == "unknown"


def test_an_audit_beyond_its_limit_is_never_ok() -> None:
    audits = [simulated_audit(200 + seed, rows=300, seeds=4, harm=harm, changed=harm) for seed in range(8) for harm in (0.0, 0.06)]
    rows = audits + [audit_row(each["results"], in_use=False) for each in audits]
    found = [each for row in rows for each in augmentation_findings([row])]
    assert any(map(beyond_limit, found)) and not [each for each in found if each.severity == "ok" and beyond_limit(each)]


def test_an_audit_with_two_seeds_is_unknown() -> None:
    (found,) = augmentation_findings([simulated_audit(6, seeds=2)])
    assert found.severity == "unknown" and "2 seeds of at least 3 ran" in found.because


def test_an_audit_of_few_rows_is_unknown_and_says_what_is_needed() -> None:
    found = by_metric(simulated_audit(7, rows=60, seeds=3))["gain"]
    assert found.severity == "unknown" and found.value is None and "more seeds or rows" in found.because


def test_malformed_augmentation_results_are_ignored() -> None:
    good = simulated_audit(8)["results"]
    for bad in ({"gained": [1, 2]}, {"rows": 0}, {"augmentation": None}, {"lost": [5_000] * 8}, {"gained": "many"}):
        assert augmentation_audits(pd.DataFrame([audit_row(good | bad)])) == [], bad


def test_a_non_numeric_regression_prediction_is_refused() -> None:
    table = numeric_predictions(np.random.default_rng(4), rows=50, seeds=3).astype({"with": object})
    table.loc[3, "with"] = "high"
    with pytest.raises(ValueError, match="1 values of with are not finite numbers"):
        augmentation_results(table, "jitter", regression=True)


def test_a_missing_line_is_refused() -> None:
    table = predictions(np.random.default_rng(9), rows=50, seeds=3)
    with pytest.raises(ValueError, match="149 lines are not 50 rows for each of 3 seeds"):
        augmentation_results(table[1:], "jitter")


def test_clean_augmentations_rarely_raise_a_warning() -> None:
    runs = repeats(15, 300)
    raised = [each for seed in range(runs) for each in augmentation_findings([simulated_audit(100 + seed, rows=600)]) if each.needs_action]
    assert len(raised) <= allowed(0.025, runs) and not [each.because for each in raised if each.severity == "act"], raised


@pytest.mark.parametrize(
    ("effects", "more", "verdict", "metric"),
    [
        ({"gain": 0.1}, {}, "keep", "gain"),
        ({"gain": 0.15, "harm": 0.12}, {}, "drop", "slice_gain"),
        ({}, {}, "hold", "gain"),
        ({"gain": 0.1}, {"checked": {"n": 200, "changed": 40}}, "drop", "label_changes"),
        ({"gain": 0.1, "changed": 0.3}, {}, "hold", "label_changes"),
    ],
)
def test_the_verdict_follows_the_finding_that_decides(effects: dict, more: dict, verdict: str, metric: str) -> None:
    row = simulated_audit(1, **effects)
    found = by_metric(audit_row(row["results"], **more))
    assert found["gain"].evidence["verdict"] == verdict
    assert [name for name, each in found.items() if "next" in each.evidence] == [metric]
