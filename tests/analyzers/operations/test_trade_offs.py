"""The served form of a model (its precision or runtime) is judged by changed decisions (overall and by slice), by repeatability, and by the
device on which it ran.
"""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from observability.core.finding import Finding
from tests.support.form_audits import audit_row, clean_form, trade_off_findings

RNG = np.random.default_rng


def by_metric(found: list[Finding]) -> dict[str, Finding]:
    """The findings by metric, one per metric."""
    assert len({each.metric for each in found}) == len(found)
    return {each.metric: each for each in found}


def judged(changes: dict[str, Any], **results: Any) -> dict[str, Finding]:
    """The findings if form int8 is in use, with some of its figures changed."""
    return by_metric(trade_off_findings([audit_row([clean_form(RNG(1), "int8") | changes], in_use="int8", **results)]))


def test_no_audit_gives_no_finding() -> None:
    assert trade_off_findings([]) == []


def test_a_clean_form_is_ok_in_every_respect() -> None:
    found = judged({})
    assert set(found) == {"form_flip_rate", "form_slice_gap", "form_unstable_rate", "form_fallbacks"}
    assert {each.severity for each in found.values()} == {"ok"}
    assert found["form_flip_rate"].subject == "form=int8" and found["form_flip_rate"].model == "loan"


def test_changed_decisions_are_critical_beyond_the_limit_and_a_warning_if_the_interval_includes_it() -> None:
    assert judged({"flips": 90, "slices": []})["form_flip_rate"].severity == "act"
    watch = judged({"flips": 45, "slices": []})["form_flip_rate"]
    assert watch.severity == "watch" and watch.value == 45 / 4000 and watch.low < 0.01 < watch.value < watch.high
    assert "changes 1.12 % of decisions (45 of 4,000 rows" in watch.because


@pytest.mark.parametrize(("flips", "version", "worse"), [(30, "3", True), (30, "2", True), (16, "3", False), (2, "3", False)])
def test_a_form_that_changes_significantly_more_than_in_the_previous_audit_is_a_warning(flips: int, version: str, worse: bool) -> None:
    then = audit_row([clean_form(RNG(1), "int8") | {"flips": 9, "slices": []}], in_use="int8")
    then |= {"at": then["at"] - timedelta(days=30), "version": version}
    now = audit_row([clean_form(RNG(1), "int8") | {"flips": flips, "slices": []}], in_use="int8")
    (found,) = [each for each in trade_off_findings([now, then]) if each.metric == "form_flip_rate" and each.version == "3"]
    assert (found.severity, found.news) == (("watch", "worse") if worse else ("ok", None))
    words = f"; worse than 0.225 % on 2 Feb 2026{' of version 2' if version == '2' else ''}."
    assert found.because.endswith(words) is worse and ("baseline" in found.evidence) is worse
    alone = audit_row([clean_form(RNG(1), "fp16")]) | {"at": then["at"]}
    (found,) = [each for each in trade_off_findings([now, alone]) if each.metric == "form_flip_rate"]
    assert found.severity == "ok", "an audit that did not measure the form says nothing about it"


def test_a_model_without_other_forms_says_so() -> None:
    (found,) = [each for each in trade_off_findings([audit_row([])]) if each.metric == "form_flip_rate"]
    assert found.severity == "ok" and "no other form of it was measured" in found.because


def test_few_rows_are_unknown_and_state_how_many_more_are_needed() -> None:
    found = judged({"probes": 100, "flips": 0, "slices": []})["form_flip_rate"]
    assert found.severity == "unknown" and found.value is None and "needs about 700 more rows" in found.because
    assert judged({"probes": 800, "flips": 8, "slices": []})["form_flip_rate"].severity == "ok"


def test_a_group_that_a_form_hurts_is_named_although_the_whole_is_within_its_limit() -> None:
    slices = [
        {"column": "carrier", "level": "AA", "n": 3900, "flips": 4},
        {"column": "carrier", "level": "HA", "n": 100, "flips": 12},
    ]
    found = judged({"flips": 16, "slices": slices})
    gap = found["form_slice_gap"]
    assert found["form_flip_rate"].severity == "ok"
    assert (gap.severity, gap.slice, gap.n) == ("act", "carrier=HA", 100)
    assert gap.value == pytest.approx(0.12 - 4 / 3900) and gap.evidence["slice_place"] == 1
    assert "mainly in carrier `HA`: 12 % of 100 rows" in gap.because


def test_a_form_with_unstable_decisions_is_reported() -> None:
    assert judged({"unstable": 3})["form_unstable_rate"].severity == "watch"
    assert judged({"unstable": 90})["form_unstable_rate"].severity == "act"


def test_a_silent_fallback_is_critical_in_use_and_a_warning_elsewhere() -> None:
    fallen = {"provider": "cuda", "used_provider": "cpu"}
    used = judged(fallen)["form_fallbacks"]
    assert used.severity == "act" and "ran on CPU although CUDA was requested" in used.because
    rows = [audit_row([clean_form(RNG(1), "int8"), clean_form(RNG(2), "fp32 on CUDA") | fallen], in_use="int8")]
    beside = by_metric(trade_off_findings(rows))["form_fallbacks"]
    assert (beside.severity, beside.subject) == ("watch", "form=fp32 on CUDA")


def test_single_operations_that_fell_back_are_listed_without_an_alarm() -> None:
    partly = {"provider": "cuda", "used_provider": "cuda", "operations": 12, "cpu_operations": 3}
    found = judged(partly)["form_fallbacks"]
    assert found.severity == "ok" and "3 of 12 operations ran on the CPU." in found.because
    named = judged(partly | {"cpu_operation_types": ["Gather", "Cast", "Cast", 3, "<b>"]})["form_fallbacks"]
    assert "3 of 12 operations ran on the CPU (Gather and Cast)." in named.because
    assert "ran on the CPU" not in judged(partly | {"cpu_operations": 0})["form_fallbacks"].because
    whole = judged(partly | {"used_provider": "cpu", "cpu_operations": 12})["form_fallbacks"]
    assert whole.severity == "act" and "of 12 operations" not in whole.because


def test_forms_that_are_only_compared_raise_no_alarm() -> None:
    found = by_metric(trade_off_findings([audit_row([clean_form(RNG(1), "small", 0.2), clean_form(RNG(2), "int8")])]))
    assert {each.severity for each in found.values()} == {"ok"}
    assert "1 of 2 other forms change at most 1 %" in found["form_flip_rate"].because


def test_the_newest_standing_decision_names_the_form_in_use() -> None:
    rows = [audit_row([clean_form(RNG(1), "small", 0.2)])]
    chosen = {"decision": "d1", "at": datetime(2026, 3, 5), "model": "loan", "version": "3", "state": None, "extra": {"form": "small"}}
    assert by_metric(trade_off_findings(rows, [chosen]))["form_flip_rate"].severity == "act"
    withdrawn = {"decision": "d1", "at": datetime(2026, 3, 6), "model": None, "version": None, "state": "withdrawn", "extra": None}
    assert by_metric(trade_off_findings(rows, [chosen, withdrawn]))["form_flip_rate"].severity == "ok"
    other = chosen | {"decision": "d2", "at": datetime(2026, 3, 7), "extra": {"form": "gone"}}
    found = by_metric(trade_off_findings(rows, [chosen, other]))["form_flip_rate"]
    assert found.severity == "unknown" and "did not measure it" in found.because


def test_a_form_measured_elsewhere_asks_for_a_new_measurement_there() -> None:
    row = audit_row([clean_form(RNG(1), "int8")], in_use="gone", imported_from="edge.json")
    found = by_metric(trade_off_findings([row]))["form_flip_rate"]
    assert found.because.endswith("; measure it on that hardware and import the results.") and "run" not in found.because
    found = by_metric(trade_off_findings([audit_row([], in_use="gone")]))["form_flip_rate"]
    assert found.because.endswith("; run the audit again.")


def test_300_clean_audits_raise_no_critical_finding() -> None:
    rng, raised = RNG(7), []
    for _ in range(300):
        found = trade_off_findings([audit_row([clean_form(rng, "int8", 0.005)], in_use="int8")])
        raised += [each for each in found if each.needs_action]
    assert [each for each in raised if each.severity == "act"] == []
    assert len(raised) <= 6, [each.because for each in raised]


@pytest.mark.parametrize(("days", "news"), [(30, "ongoing"), (0, "new")])
def test_the_age_of_a_trade_off_finding_is_that_of_its_audit(days: int, news: str) -> None:
    audit = audit_row([clean_form(RNG(1), "int8") | {"flips": 90, "slices": []}], in_use="int8")
    found = by_metric(trade_off_findings([audit | {"at": audit["at"] - timedelta(days=days)}]))
    assert (found["form_flip_rate"].severity, found["form_flip_rate"].news) == ("act", news)
    assert {each.news for each in found.values() if each.severity == "ok"} <= {None}
