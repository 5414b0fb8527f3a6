"""Models that steer a system are compared with the old rule: by the mean and tail of the cost, by the model's own predictions of it, and by
the share of time that model and rule steered.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.metrics.controllers import GUARDRAIL, MODEL, OFF, block_codes, compared_outcomes, controllers_of, decision_rows
from observability.simulation.controller_replay import replay_controller_fault
from observability.simulation.faults_controllers import FAULTS
from tests.support.controller_decisions import END, START, WINDOW, controller_decisions, controller_findings
from tests.support.length import allowed, repeats, some
from tests.support.levels import beyond_limit

RNG = np.random.default_rng
ALL = {
    "controller_regret", "controller_tail_ratio", "controller_guardrail_rate", "controller_bias", "controller_coverage",
    "controller_feedback", "controller_off_share",
}  # fmt: skip


def by_metric(found: list[Finding]) -> dict[str, Finding]:
    """The findings by metric, one per metric."""
    assert len({each.metric for each in found}) == len(found)
    return {each.metric: each for each in found}


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return controller_decisions(RNG(3))


def with_labels(decisions: pd.DataFrame, keep: np.ndarray) -> pd.DataFrame:
    """The decisions; outcomes are kept only for those in `keep`."""
    return decisions.assign(label=[label if mark else None for label, mark in zip(decisions["label"], keep)])


def test_no_decision_gives_no_finding(clean: pd.DataFrame) -> None:
    assert controller_findings(clean.iloc[:0]) == []


def test_a_good_controller_is_ok_in_every_respect(clean: pd.DataFrame) -> None:
    """One input differs by chance beyond the limit; its finding is unknown, because the interval also contains zero."""
    found = by_metric(controller_findings(clean))
    assert set(found) == ALL and {name for name, each in found.items() if each.severity != "ok"} == {"controller_feedback"}
    feedback = found["controller_feedback"]
    assert feedback.severity == "unknown" and feedback.low < 0 < feedback.high and abs(feedback.value) > feedback.limit[1]
    assert {each.model for each in found.values()} == {"queue-model"}
    regret = found["controller_regret"]
    assert regret.low < -0.1 < regret.high and "less than the heuristic" in regret.because, (
        "the simulated model is a tenth better than the heuristic"
    )


def test_the_regret_matches_a_hand_count_of_the_same_decisions(clean: pd.DataFrame) -> None:
    week = clean[clean["at"] >= START]
    pairs = [
        (float(label["value"]), float(label["baseline_outcome"]))
        for label, extra, status in zip(week["label"], week["extra"], week["status"])
        if status == "ok" and "steered_by" not in extra and "baseline_outcome" in label
    ]
    found = by_metric(controller_findings(clean))
    assert found["controller_regret"].value == pytest.approx(sum(own for own, _ in pairs) / sum(base for _, base in pairs) - 1)
    assert found["controller_regret"].n == len(pairs)
    guarded = [status == "fallback" for status, extra in zip(week["status"], week["extra"]) if "steered_by" not in extra]
    assert found["controller_guardrail_rate"].value == pytest.approx(np.mean(guarded))


def test_without_pairs_the_regret_compares_with_decisions_of_the_heuristic() -> None:
    decisions = controller_decisions(RNG(5), an_hour=20, pairs=False, gain=0.5)
    found = by_metric(controller_findings(decisions))["controller_regret"]
    assert found.evidence["paired"] is False and "share of the time" in found.because
    week = decisions[decisions["at"] >= START]
    values, rule = week["label"].map(lambda label: float(label["value"])), week["extra"].map(lambda extra: "steered_by" in extra)
    own = ~rule & (week["status"] == "ok")
    assert found.value == pytest.approx(values[own].mean() / values[rule].mean() - 1)
    assert found.high < 0 and found.low < -0.5 < found.high


def test_metrics_without_logged_outcomes_are_unknown_and_state_how_many_more_are_needed() -> None:
    found = by_metric(controller_findings(controller_decisions(RNG(6), pairs=False, shares=False)))
    regret = found["controller_regret"]
    assert regret.severity == "unknown" and "about 50 more" in regret.because and "baseline_outcome" in regret.because
    assert "controller_tail_ratio" not in found
    feedback = found["controller_feedback"]
    assert feedback.severity == "unknown" and "0 stretches" in feedback.because and "about 5 more" in feedback.because
    decisions = controller_decisions(RNG(6))
    late = by_metric(controller_findings(with_labels(decisions, np.arange(len(decisions)) < len(decisions) - 1990)))["controller_regret"]
    assert late.severity == "unknown" and late.n < 50 and "more" in late.because


def test_with_few_decisions_the_tail_uses_a_lower_quantile_and_says_so(clean: pd.DataFrame) -> None:
    found = by_metric(controller_findings(clean))["controller_tail_ratio"]
    assert found.evidence["quantile"] == 0.99 and "p99.9 needs about" in found.because
    many = by_metric(controller_findings(controller_decisions(RNG(7), an_hour=60, before=1)))["controller_tail_ratio"]
    assert many.evidence["quantile"] == 0.999


def test_the_kill_switch_and_a_silent_model_are_distinguished(clean: pd.DataFrame) -> None:
    newest = np.arange(len(clean)) >= len(clean) - 500
    off = clean.assign(extra=[{**extra, "kill_switch": True} if mark else extra for mark, extra in zip(newest, clean["extra"])])
    found = by_metric(controller_findings(off))["controller_off_share"]
    assert found.severity == "watch" and "kill switch has been on since" in found.because and found.value == pytest.approx(500 / found.n)
    silent = clean.assign(status=np.where(newest, "fallback", clean["status"]))
    found = by_metric(controller_findings(silent))["controller_off_share"]
    assert found.severity == "act" and "a guardrail made the last" in found.because
    share = by_metric(controller_findings(clean))["controller_off_share"]
    assert share.severity == "ok", "it is not taken for silence if the heuristic steers its usual share of the time"


def test_an_old_controller_is_evaluated_over_its_own_last_days(clean: pd.DataFrame) -> None:
    old = clean.assign(at=clean["at"] - timedelta(days=400))
    found = by_metric(controller_findings(old))
    assert found["controller_regret"].value == pytest.approx(by_metric(controller_findings(clean))["controller_regret"].value)
    assert found["controller_regret"].end.date() == (END - timedelta(days=400)).date()


def test_non_finite_numbers_are_dropped_and_the_deciding_side_is_kept(clean: pd.DataFrame) -> None:
    odd = clean.head(4).assign(
        score=[1.0, "NaN", True, None],
        label=[{"value": "3"}, {"value": "high"}, None, {"value": "Infinity"}],
        status=["ok", "timeout", "ok", None],
        extra=[{"baseline_outcome": "2.5"}, {}, {"kill_switch": True, "steered_by": "heuristic"}, None],
    )
    rows = decision_rows(odd)
    assert rows["outcome"].fillna(-1).tolist() == [3.0, -1, -1, -1] and rows["baseline_outcome"].fillna(-1).tolist() == [2.5, -1, -1, -1]
    assert rows["predicted"].fillna(-1).tolist() == [1.0, -1, -1, -1]
    assert rows["by"].tolist() == [MODEL, GUARDRAIL, OFF, MODEL]


def test_block_lengths_leave_enough_blocks_for_the_interval() -> None:
    at = pd.Series(pd.date_range("2026-03-02", periods=240, freq="min"))
    assert block_codes(at, ["model"] * 240).max() + 1 == 24, "ten minutes"
    assert block_codes(at, ["model", "heuristic"] * 120).max() + 1 == 48
    week = pd.Series(pd.date_range("2026-03-02", periods=7 * 24, freq="h"))
    assert block_codes(week, ["model"] * len(week)).max() + 1 == 28, "six hours"


def test_the_interval_of_the_regret_holds_the_truth_at_the_stated_rate() -> None:
    held, runs = 0, repeats(15, 100)
    for seed in range(runs):
        decisions = controller_decisions(RNG(1000 + seed), an_hour=4, before=0, shares=False)
        (found,) = controllers_of(decisions, WINDOW)
        compared = compared_outcomes(found)
        assert compared is not None
        ends = compared.estimate.interval()
        held += ends.low <= -0.1 <= ends.high  # type: ignore[operator]  # the ends are known: there are enough stretches
    assert held / runs >= repeats(70, 89) / 100


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_found_in_nine_of_ten_weeks(name: str) -> None:
    named, runs = 0, repeats(5, 20)
    for seed in range(runs):
        found = replay_controller_fault(controller_decisions(RNG(seed), an_hour=8, before=3), FAULTS[name], "middle", seed)
        metrics = {each.metric for look in found.looks for each in look.alarms if each.subject == found.target}
        named += FAULTS[name].metric in metrics
    assert named >= runs - allowed(0.1, runs)


def test_a_value_beyond_its_limit_is_never_ok_with_few_decisions() -> None:
    seen = set()
    for seed in range(40):
        found = controller_findings(controller_decisions(RNG(seed), an_hour=1).iloc[: 60 + 4 * seed])
        assert [each.because for each in found if each.severity == "ok" and beyond_limit(each)] == [], seed
        seen |= {each.metric for each in found if each.severity == "unknown" and beyond_limit(each)}
    assert {"controller_bias", "controller_coverage"} & seen, (
        "with few decisions a value may exceed its limit by chance; the finding says that more decisions are needed"
    )


def test_clean_weeks_raise_no_critical_finding() -> None:
    """In every tenth week the model is exactly as good as the rule, and must not be called worse."""
    for seed in range(repeats(6, 300)):
        decisions = controller_decisions(RNG(5000 + seed), an_hour=4, before=3, gain=1.0 if seed % 10 == 0 else 0.9)
        assert [each.because for each in controller_findings(decisions) if each.severity == "act"] == [], seed
