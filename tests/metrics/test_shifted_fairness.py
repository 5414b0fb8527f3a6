"""Gaps between groups on reweighted rows equal fairlearn's and a count by hand. The worst shift is not an artefact of chance."""

import numpy as np
import pytest

from observability.metrics import shifted_fairness
from observability.metrics.shifted_fairness import DecidedRows, Shift, group_gaps, most_drifted, part_shifts, served_shift, worst_shift
from observability.stats.arrays import Floats

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")


def decided(rows: int = 3000, seed: int = 1, unfair: float = 0.0) -> tuple[DecidedRows, Floats]:
    """Rows of two groups, and a number. Where the number is positive, positives of the second group are missed more often, by `unfair`."""
    rng = np.random.default_rng(seed)
    sex, number = rng.choice(["F", "M"], rows).astype(object), rng.normal(size=rows)
    label = rng.random(rows) < 0.4
    found = np.where(label, 0.8 - unfair * ((sex == "M") & (number > 0)), 0.1)
    return DecidedRows(rng.random(rows) < found, label, {"sex": sex, "race": rng.choice(list("abc"), rows).astype(object)}), number


def test_gaps_are_those_of_fairlearn_with_the_same_weights() -> None:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    rows, number = decided(unfair=0.3)
    (shift,) = [shift for shift in part_shifts("number", "column", number) if shift.part.startswith("above")]
    measures = {"selection_rate": selection_rate, "true_positive_rate": true_positive_rate, "false_positive_rate": false_positive_rate}
    gaps = {(gap.attribute, gap.rate): gap for gap in group_gaps(rows, shift.weights, RATES)}
    assert len(gaps) == 6
    for attribute, levels in rows.groups.items():
        frame = MetricFrame(
            metrics=measures,
            y_true=rows.label.astype(int),
            y_pred=rows.decision.astype(int),
            sensitive_features=levels,
            sample_params={name: {"sample_weight": shift.weights} for name in measures},
        )
        for rate in RATES:
            gap = gaps[attribute, rate].difference
            assert gap.value == pytest.approx(frame.difference()[rate])
            assert gap.low is not None and gap.high is not None and gap.low <= gap.value <= gap.high


def test_precision_of_weighted_rows_is_counted_by_hand() -> None:
    """Group a has 40 decided rows, 20 of them right with weight 3: 60 of 80 by weight. In group b, all 40 are right."""
    label = np.repeat([True, False, True], [20, 20, 40])
    rows = DecidedRows(np.ones(80, bool), label, {"g": np.repeat(np.array(["a", "b"], object), 40)})
    (gap,) = group_gaps(rows, np.repeat([3.0, 1.0, 1.0], [20, 20, 40]), ("precision",))
    assert gap.difference.value == pytest.approx(0.25) and (gap.lowest, gap.highest) == ("a", "b")


def test_a_group_with_few_effective_rows_is_not_compared() -> None:
    rows, _ = decided(200)
    rows.groups["race"][:180] = None
    assert {gap.attribute for gap in group_gaps(rows, np.ones(200), RATES)} == {"sex"}


def test_reweighting_a_class_changes_no_rate_within_a_class() -> None:
    rows, _ = decided()
    before = {(gap.attribute, gap.rate): gap.difference.value for gap in group_gaps(rows, np.ones(3000), RATES)}
    for shift in part_shifts("label", "class", rows.label.astype(str).astype(object)):
        assert shift.after is not None and shift.before is not None and shift.after > shift.before
        assert shift.divergence == pytest.approx(shifted_fairness.DIVERGENCE)
        for gap in group_gaps(rows, shift.weights, RATES[1:]):
            assert gap.difference.value == pytest.approx(before[gap.attribute, gap.rate])


def test_weights_for_served_inputs_reproduce_the_served_shares() -> None:
    rng = np.random.default_rng(2)
    columns = {
        "kind": rng.choice(["x", "y"], 4000, p=[0.5, 0.5]).astype(object),
        "size": rng.normal(size=4000),
        "same": rng.normal(size=4000),
    }
    served = {"kind": rng.choice(["x", "y"], 4000, p=[0.8, 0.2]).astype(object), "size": rng.normal(0.6, 1, 4000), "same": columns["same"]}
    shift = served_shift(columns, served)
    assert shift is not None
    assert (shift.weights * (columns["kind"] == "x")).mean() == pytest.approx((served["kind"] == "x").mean(), abs=0.005)
    assert (shift.weights * columns["size"]).mean() == pytest.approx(served["size"].mean(), abs=0.06)
    drifted = most_drifted(columns, served, 2)
    assert [name for name, _ in drifted] == ["kind", "size"] and drifted[0][1].divergence > 0.1
    assert served_shift({"same": np.zeros(5)}, {"same": np.zeros(5)}) is None


def family(number: Floats) -> list[Shift]:
    return [Shift("none", "", "", np.ones(len(number))), *part_shifts("number", "column", number)]


def test_the_worst_shift_names_the_part_in_which_one_group_is_missed() -> None:
    rows, number = decided(unfair=0.4)
    found = worst_shift(rows, family(number), RATES)
    assert found is not None
    shift, gap = found
    assert (shift.column, gap.attribute, gap.rate, gap.lowest, gap.highest) == ("number", "sex", "true_positive_rate", "M", "F")
    assert shift.part.startswith("above") and gap.difference.low is not None and gap.difference.low > 0.1


def test_the_worst_gap_of_equal_groups_is_not_inflated_by_choosing_the_largest() -> None:
    """Over forty draws of equal groups, the mean of the worst gap is near 0, and nearly all of its intervals contain 0."""
    found = [worst_shift(rows, family(number), RATES, seed) for seed in range(40) for rows, number in [decided(1200, seed)]]
    gaps = [each[1].difference for each in found if each is not None]
    assert len(gaps) == 40 and abs(np.mean([gap.value for gap in gaps])) < 0.02
    assert sum(gap.low <= 0 <= gap.high for gap in gaps) >= 35


def test_without_comparable_groups_there_is_no_worst_shift() -> None:
    rows, number = decided(20)
    assert worst_shift(rows, family(number), RATES) is None
