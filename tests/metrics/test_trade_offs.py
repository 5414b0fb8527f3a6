"""Forms (such as other precisions) are compared by their decisions, by slice, and by dominance (forms that no other form beats)."""

import math

import numpy as np
import pandas as pd
import pytest

from observability.metrics import trade_offs
from observability.metrics.trade_offs import AXES, FormResult


def test_changed_answers_are_other_decisions_or_regression_values_beyond_a_tolerance() -> None:
    changed, tolerance = trade_offs.changed_answers([0.2, 0.6, 0.5], [0.3, 0.4, 0.49], "binary", 0.5)
    assert changed.tolist() == [False, True, True] and tolerance is None
    changed, _ = trade_offs.changed_answers([[0.6, 0.4], [0.1, 0.9]], [[0.4, 0.6], [0.2, 0.8]], "multiclass", None)
    assert changed.tolist() == [True, False]
    changed, tolerance = trade_offs.changed_answers([0.0, 2.0], [0.04, 2.2], "regression", None)
    assert changed.tolist() == [False, True] and tolerance == pytest.approx(0.05)


def test_the_score_difference_of_a_row_is_the_largest_of_any_class() -> None:
    assert trade_offs.score_differences([[0.6, 0.4]], [[0.5, 0.5]]) == pytest.approx((0.1, 0.1))
    largest, high = trade_offs.score_differences(np.zeros(1000), np.linspace(0, 1, 1000))
    assert largest == 1 and high == pytest.approx(0.99)


def test_the_divergence_of_probabilities_is_that_of_the_formula_and_finite() -> None:
    """Independent computation by hand, row by row. A probability of 0 does not give an infinite loss."""
    served, form = [0.2, 0.9], [0.3, 0.9]
    by_hand = (0.2 * math.log(0.2 / 0.3) + 0.8 * math.log(0.8 / 0.7)) / 2
    assert trade_offs.mean_kl_divergence(served, form) == pytest.approx(by_hand)
    classes = trade_offs.mean_kl_divergence([[2.0, 1.0, 1.0]], [[0.25, 0.25, 0.5]])
    assert classes == pytest.approx(0.5 * math.log(2) + 0.25 * math.log(0.5)), "the scores are scaled to a sum of 1"
    assert trade_offs.mean_kl_divergence([0.5], [0.0]) == pytest.approx(0.5 * math.log(0.5 / 1e-9) + 0.5 * math.log(0.5), rel=1e-6)
    assert trade_offs.mean_kl_divergence(served, served) == 0


@pytest.mark.parametrize("invalid", [math.nan, math.inf, -0.2, 1.5])
def test_scores_that_are_no_probabilities_have_no_divergence(invalid: float) -> None:
    """Regression: not-a-number came into the results of an audit, and scores outside of 0 and 1 were clipped silently."""
    scores = {"served": np.array([0.2, 0.8]), "form": np.array([0.3, invalid])}
    for base, other in (("served", "form"), ("form", "served")):
        assert trade_offs.mean_kl_divergence(scores[base], scores[other]) is None
    measured = [{"form": "served", "parent": None}, {"form": "form", "parent": "served"}]
    found = trade_offs.compared_forms(measured, scores, "binary", 0.5, {})
    assert found[0]["kl_divergence"] == 0 and "kl_divergence" not in found[1]
    assert ("max_delta" in found[1]) == math.isfinite(invalid)


def test_a_row_of_classes_without_a_probability_has_no_divergence_and_rounding_is_allowed() -> None:
    served = [[0.6, 0.4], [0.5, 0.5]]
    for row in ([0.0, 0.0], [1.2, -0.2], [math.nan, 0.5]):
        assert trade_offs.mean_kl_divergence(served, [[0.6, 0.4], row]) is None
    assert trade_offs.mean_kl_divergence([1.0, 0.0], [1.0004, -0.0004]) == pytest.approx(0, abs=1e-6)
    assert trade_offs.mean_kl_divergence([], []) is None


def test_slices_are_counted_where_they_have_enough_rows() -> None:
    levels = ["x"] * 40 + ["y"] * 40 + ["z"] * 5
    changed = np.array([True] * 4 + [False] * 81)
    found = trade_offs.slice_counts(changed, {"c": levels, "many": list(map(str, range(85)))})
    assert found == [{"column": "c", "level": "x", "n": 40, "flips": 4}, {"column": "c", "level": "y", "n": 40, "flips": 0}]


def test_forms_are_compared_with_the_first_and_with_their_parent() -> None:
    scores = {"served": np.array([0.2, 0.8]), "net": np.array([0.7, 0.8]), "int8": np.array([0.7, 0.3])}
    measured = [{"form": "served", "parent": None}, {"form": "net", "parent": "served"}, {"form": "int8", "parent": "net"}]
    found = trade_offs.compared_forms(measured, scores, "binary", 0.5, {})
    assert [(row["flips"], row.get("parent_flips")) for row in found] == [(0, None), (1, 1), (2, 1)]
    assert found[0]["kl_divergence"] == 0 < found[1]["kl_divergence"] < found[2]["kl_divergence"]
    assert "kl_divergence" not in trade_offs.compared_forms(measured, scores, "regression", None, {})[1]


def test_the_front_holds_the_forms_that_no_other_form_beats() -> None:
    def form(name: str, p99: float, flips: int | None, **more) -> FormResult:
        return FormResult(name, 0, latency_p99_ms=p99, probes=100, flips=flips, **more)

    forms = [form("slow", 3, 0), form("fast", 1, 5), form("worse", 2, 5), form("unknown", 0.1, None)]
    forms.append(form("fallen", 0.5, 0, provider="cuda", used_provider="cpu"))
    front = trade_offs.pareto_front(forms, [AXES["flips"], AXES["p99_ms"]])
    assert [each.name for each in front] == ["slow", "fast"]
    assert trade_offs.over_budget(forms[0], {"p99_ms": 2.0, "flips": 0.01}) == ["p99_ms"]
    assert trade_offs.over_budget(forms[3], {"flips": 0.01}) == ["flips"]


def test_invalid_entries_of_audit_results_are_left_out() -> None:
    listed = [{"form": "a", "flips": 3, "probes": 10, "bytes": float("nan"), "threads": "two"}, {"name": "b"}, "c"]
    row = {"model": "m", "version": "1", "at": pd.Timestamp("2026-01-01"), "expires": pd.NaT, "results": {"forms": listed}}
    other = row | {"results": {"data": {}}}
    (audit,) = trade_offs.trade_off_audits(pd.DataFrame([row, other]))
    (form,) = audit.forms
    assert (form.name, form.flips, form.bytes, form.threads, audit.expires) == ("a", 3, None, None, None)
    assert form.flip_rate is not None and form.flip_rate.value == 0.3


def test_tiny_costs_are_stated_for_a_million_or_a_billion_answers() -> None:
    def forms(*costs: float | None) -> list[FormResult]:
        return [FormResult(str(place), place, cost_per_thousand=cost) for place, cost in enumerate(costs)]

    assert trade_offs.form_cost_basis(forms(0.2, 1e-9)) == (1.0, "thousand")
    assert trade_offs.form_cost_basis(forms(3e-5, None)) == (1e3, "million")
    assert trade_offs.form_cost_basis(forms(6.24e-8)) == (1e6, "billion")
    assert trade_offs.form_cost_basis(forms(None, 0.0)) == trade_offs.form_cost_basis([]) == (1.0, "thousand")
