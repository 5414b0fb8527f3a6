"""trust/audits: regressions, levels beyond a limit, expiry and new versions are named; repeated audits of the same model raise nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.trust.audits import ANALYZER, analyze, needs
from observability.core.analyzer import Context
from observability.core.catalog import Column, Model, Task, Version
from observability.core.finding import Finding, news_of
from observability.core.settings import ModelSettings
from observability.core.window import Slice, Window
from observability.enrichment.audit_curves import interval_json
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.exposure import attack_true_positive_rate
from observability.stats.interval import rate_interval

NOW = datetime(2026, 6, 1, tzinfo=UTC)
VERSIONS = tuple(Version(name, NOW - timedelta(days=days), artifact="a" * 8) for name, days in (("1", 200), ("2", 20)))
MODEL = Model(1, "loan", "binary", ("0", "1"), versions=VERSIONS)


def context(version: str = "1", limits: dict[str, float] | None = None, slice_: Slice | None = None) -> Context:
    model = replace(MODEL, settings=ModelSettings(limits=limits or {}))
    own = model.version(version)
    assert own is not None
    return Context(model, own, Window("loan", NOW - timedelta(days=7), NOW, version, slice_), NOW)


def robustness(held: float, n: int = 240, days: float = 5, version: str = "1", valid: float = 90, **other: Any) -> dict[str, Any]:
    return record("robustness", {**interval_json(rate_interval(held, n)), "at": 0.25, **other}, days, version, valid)


def record(kind: str, headline: dict[str, Any], days: float = 5, version: str = "1", valid: float = 90) -> dict[str, Any]:
    at = (NOW - timedelta(days=days)).replace(tzinfo=None)
    results = {"headline": headline}
    return {"model": "loan", "version": version, "at": at, "audit": kind, "results": results, "expires": at + timedelta(days=valid)}


def judged(*records: dict[str, Any], **given: Any) -> list[Finding]:
    """The findings about the audits in these records."""
    return [each for each in every(*records, **given) if each.subject != "model"]


def every(*records: dict[str, Any], **given: Any) -> list[Finding]:
    frame = pd.DataFrame(sorted(records, key=lambda each: each["at"]), columns=["model", "version", "at", "audit", "results", "expires"])
    return analyze({"audits": frame}, context(**given))


def test_an_audit_without_a_level_or_an_earlier_audit_is_unknown_and_names_the_level_to_set() -> None:
    (found,) = judged(robustness(200))
    assert (found.severity, found.metric, found.subject, found.n) == ("unknown", "robust_accuracy", "robustness", 240)
    assert found.low is not None and found.high is not None and found.low < 200 / 240 < found.high
    assert "83.3 % of rows keep a correct prediction" in found.because
    assert found.because.endswith("; no level set: set `trust/audits/robust_accuracy`.") and (found.limit, found.against) == (None, "level")


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("robustness", {"tolerance": "much"}),
        ("robustness", {"headline": {"value": 0.8}}),
        ("membership", {"headline": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100, "at": "low"}}),
        ("fairness", {"worst": {"rate": "unheard_of"}}),
        ("fairness", {"worst": "none"}),
        ("leakage", {"headline": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100, "metric": "training_overlap"}}),
    ],
)
def test_a_sparse_or_malformed_audit_record_is_judged_by_its_headline(kind: str, other: dict[str, Any]) -> None:
    odd = record(kind, {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100})
    odd["results"] |= other
    found = judged(odd, record("explanations", {"value": 0.9, "low": 0.8, "high": 0.95, "n": 50}))
    assert {each.subject for each in found} == {kind, "explanations"}
    (about,) = [each for each in found if each.subject == kind]
    assert about.value == 0.8 and "0.8" in about.because.replace("80", "0.8") and "nan" not in about.because


def test_the_robustness_sentence_of_a_regression_speaks_of_prediction_changes() -> None:
    moved = robustness(200)
    moved["results"]["tolerance"] = 12.5
    (found,) = judged(moved)
    assert "83.3 % of predictions move by at most 12.5" in found.because


def test_the_owners_level_decides_between_warning_and_critical() -> None:
    level = {"trust/audits/robust_accuracy": 0.8}
    assert [each.severity for held in (200, 190, 150) for each in judged(robustness(held), limits=level)] == ["ok", "watch", "act"]
    exposure = record("membership", {"value": 0.05, "low": 0.03, "high": 0.08, "n": 900, "at": 0.01})
    for limit, severity in ((0.1, "ok"), (0.04, "watch"), (0.02, "act")):
        (found,) = judged(exposure, limits={"trust/audits/membership_exposure": limit})
        assert found.severity == severity and found.limit == limit and found.against == "level"


def test_a_worse_audit_names_the_previous_value_unless_the_intervals_explain_the_change() -> None:
    (found,) = judged(robustness(200, days=40), robustness(150))
    assert found.severity == "watch" and found.news == "worse" and "worse than 0.833" in found.because
    assert found.evidence["baseline"] == pytest.approx(200 / 240)
    (found,) = judged(robustness(200, days=40), robustness(192))
    assert found.severity == "ok" and "no significant change" in found.because
    (found,) = judged(
        robustness(200, days=40), robustness(150) | {"results": {"headline": {**robustness(150)["results"]["headline"], "at": 1.0}}}
    )
    assert found.severity == "unknown" and "baseline" not in found.evidence, "an audit with another attack budget is no baseline"
    assert "0.833" not in found.because and "no level set" in found.because


@pytest.mark.parametrize("terms", [{"costs": {"income": 2.0}}, {"directions": {"tenure": "up"}}, {"locked": ["age"]}])
def test_audits_of_attackers_with_other_costs_directions_or_locked_features_are_not_compared(terms: dict[str, Any]) -> None:
    """150 of 240 rows withstand the attack, after 200 before: worse on the same terms, and not comparable if costs or allowed changes
    differ.
    """
    before, now = robustness(200, days=40), robustness(150)
    before["results"] |= {"costs": {}, "directions": {}, "locked": []}
    now["results"] |= before["results"] | {"headline": now["results"]["headline"]}
    (worse,) = judged(before, now)
    assert worse.severity == "watch" and "worse than" in worse.because
    now["results"] |= terms
    (other,) = judged(before, now)
    assert other.severity == "unknown" and "worse" not in other.because


def test_an_expired_audit_or_a_new_version_asks_for_an_audit() -> None:
    (found,) = judged(robustness(200, days=100))
    assert (found.metric, found.severity, found.value) == ("audit_days_left", "watch", pytest.approx(-10.0))
    (found,) = judged(robustness(200, days=40), version="2")
    assert found.metric == "audit_days_left" and found.severity == "watch" and "of version 1" in found.because
    assert found.value == pytest.approx(-20.0)
    bad = judged(robustness(120, days=100), limits={"trust/audits/robust_accuracy": 0.8})
    assert [(each.metric, each.severity) for each in bad] == [("audit_days_left", "watch"), ("robust_accuracy", "act")]


def test_a_replaced_model_file_or_a_new_version_invalidates_audits() -> None:
    made = robustness(200)
    made["results"]["artifact"] = f"artifacts/7/1/{VERSIONS[0].artifact}"
    assert [each.metric for each in judged(made)] == ["robust_accuracy"], "the folder of the file does not matter"
    made["results"]["artifact"] = "artifacts/7/1/lightgbm-bbbb.txt"
    (found,) = judged(made)
    assert (found.metric, found.severity, found.value) == ("audit_days_left", "watch", pytest.approx(-5.0))
    assert "used another model file than version 1 has now" in found.because and found.evidence["file_replaced"]
    forms = made | {"audit": "precision", "results": {"forms": [{"form": "as served"}]}}
    assert judged(forms) == [], "the figures are judged by the analyzer of forms, not here"
    (found,) = judged(forms, version="2")
    assert (found.subject, found.metric, found.severity) == ("precision", "audit_days_left", "watch")
    assert found.because.startswith("Version 2 has no precision audit: the newest is of version 1")


def test_nested_results_of_another_tool_are_reported_and_not_called_missing() -> None:
    nested = record("robustness", {}) | {"results": {"linf": {"0.1": 0.62, "0.3": 0.31}, "attack": "pgd", "rows": [200, 40]}}
    (found,) = judged(nested)
    assert (found.severity, found.subject, found.value) == ("unknown", "robustness", None) and "`headline`" in found.because
    assert found.because.endswith("It recorded linf/0.1 0.62, linf/0.3 0.31, rows/1 200 and rows/2 40.")
    assert [each.metric for each in judged(nested | {"expires": nested["at"]})] == ["audit_days_left"], "the audit expires as others do"
    assert judged(nested, robustness(200))[0].value is not None, "an audit with a headline is read"


def test_missing_audit_kinds_are_listed_once_and_only_if_an_audit_can_run() -> None:
    (found,) = every()
    assert found.severity == "unknown" and ": robustness, exposure of training rows" in found.because
    (found,) = [each for each in every(robustness(200)) if each.subject == "model"]
    assert found.severity == "unknown" and "exposure of training rows" in found.because and "robustness" not in found.because
    (found,) = [each for each in every(robustness(200), version="2") if each.subject == "model"]
    assert "robustness" not in found.because, "the robustness audit of version 1 is reported as an audit of another version"
    bare = replace(context(), version=replace(VERSIONS[0], artifact=None))
    assert analyze({"audits": pd.DataFrame(columns=["audit"])}, bare) == []
    (found,) = judged(record("membership", {"value": None, "low": None, "high": None, "n": 0, "why": "Cannot tell: no training rows."}))
    assert found.severity == "unknown" and found.because.startswith("Cannot tell")
    assert needs(context(slice_=Slice((("sex", "F"),)))) == {} and ANALYZER.limits["robust_accuracy"] is None


@pytest.mark.parametrize(("task", "known"), [("binary", True), ("regression", False), ("multiclass", False)])
def test_fairness_under_shift_is_listed_as_missing_only_if_it_can_be_audited(task: Task, known: bool) -> None:
    own = context()
    sensitive = replace(own, model=replace(own.model, task=task, columns=(Column(1, "sex", "f1", "category", sensitive=True),)))
    (found,) = analyze({"audits": pd.DataFrame(columns=["audit"])}, sensitive)
    assert ("fairness under shift" in found.because) == known and "robustness" in found.because


def test_three_hundred_repeated_audits_raise_no_act_and_few_warnings() -> None:
    rng = np.random.default_rng(8)
    found: list[Finding] = []
    for _ in range(300):
        pair = [robustness(float(rng.binomial(240, 0.8)), days=days) for days in (40, 5)]
        rates = [attack_true_positive_rate(rng.normal(size=400), rng.normal(size=400), 0.01) for _ in range(2)]
        pair += [record("membership", {**interval_json(rate), "at": 0.01}, days) for rate, days in zip(rates, (40, 5))]
        found += judged(*pair)
    severities = [each.severity for each in found]
    assert len(found) == 600 and severities.count("act") == 0 and severities.count("watch") <= 18  # 3 %


def shifted(gap: float, n: int = 400, days: float = 5, **given: Any) -> dict[str, Any]:
    """An audit of fairness under shift that measured the given gap between two groups of n effective rows."""
    found = rate_difference_interval(n * (0.5 + gap), n, n * 0.5, n)
    made = record("fairness", {**interval_json(found), "at": 0.1}, days, **given)
    worst = {"shift": "more age above 40", "rate": "true_positive_rate", "attribute": "sex", "lowest": "F", "highest": "M"}
    made["results"]["worst"] = worst
    return made


def test_fairness_under_shift_is_judged_by_its_level_the_last_audit_and_expiry() -> None:
    level = {"trust/audits/shifted_fairness_gap": 0.1}
    assert [each.severity for gap in (0.05, 0.12, 0.25) for each in judged(shifted(gap), limits=level)] == ["ok", "watch", "act"]
    (found,) = judged(shifted(0.25), limits=level)
    assert found.metric == "shifted_fairness_gap" and found.because.startswith(
        "True positive rate of sex M is 25.0 points above that of F (18.4 to 31.3) under the worst shift within 0.1 nats: more age above 40"
    )
    (found,) = judged(shifted(0.02, days=40), shifted(0.2))
    assert found.severity == "watch" and found.news == "worse", "a larger gap is worse"
    (found,) = judged(shifted(0.2, days=40), shifted(0.02))
    assert found.severity == "ok"
    (found,) = judged(shifted(0.02, days=100))
    assert found.metric == "audit_days_left" and "The fairness audit of version 1 expired" in found.because
    (found,) = judged(shifted(0.02, days=40), version="2")
    assert "Version 2 has no fairness audit" in found.because


def leaking(share: float, n: int = 400, days: float = 5, overlap: float | None = None, **given: Any) -> dict[str, Any]:
    """An audit of leakage that measured how well one feature alone predicts the label, and the share of held-out rows among the training
    rows.
    """
    made = record("leakage", {**interval_json(rate_interval(share * n, n)), "feature": "told", "at": "roc_auc"}, days, **given)
    made["results"]["model"] = {"value": 0.5}
    if overlap is not None:
        head = {**interval_json(rate_interval(overlap * n, n)), "metric": "training_overlap", "at": "served"}
        made["results"] |= {"further": {"training_overlap": head}}
        sides = {"held": {"are": "labelled rows of production"}, "training": {"are": "rows of the reference"}}
        made["results"]["overlaps"] = [sides | {"among_training": {"value": 0.08}}]
    return made


def test_leakage_is_compared_with_both_levels_and_the_last_audit() -> None:
    limits = {"trust/audits/label_leakage": 0.5, "trust/audits/training_overlap": 0.05}
    found = judged(leaking(0.3, overlap=0.1), limits=limits)
    assert [(each.metric, each.severity, each.limit) for each in found] == [
        ("label_leakage", "ok", 0.5),
        ("training_overlap", "act", 0.05),
    ]
    assert found[1].because.startswith(
        "10 % of labelled rows of production have the features of rows of the reference, exactly or nearly (7"
    )
    assert ", on 400 held-out rows; 8 % of training rows equal another one; the owner's level is 5 %." in found[1].because
    (first, second) = judged(leaking(0.3, days=40, overlap=0.02), leaking(0.6, overlap=0.2))
    assert (first.severity, first.news, second.severity, second.news) == ("watch", "worse", "watch", "worse")
    assert first.because.startswith("Label predictability from told alone: 60 % (55")
    assert "; the model itself 50 %" in first.because and second.evidence["baseline"] == pytest.approx(0.02)
    (alone,) = judged(leaking(0.3, days=40, overlap=None), leaking(0.3))
    assert alone.severity == "ok", "if the training rows are not known, there is no second figure"
    expired = judged(leaking(0.3, days=100, overlap=0.2), limits=limits)
    assert [(each.metric, each.severity) for each in expired] == [("audit_days_left", "watch"), ("training_overlap", "act")]


def test_a_feature_that_predicts_the_label_alone_is_a_warning_without_a_level() -> None:
    (found,) = judged(leaking(0.99))
    assert (found.severity, found.limit) == ("watch", 0.98) and "may itself not be known at prediction time" in found.because
    (found,) = judged(leaking(0.99), limits={"trust/audits/label_leakage": 1.0})
    assert (found.severity, found.limit) == ("ok", 1.0), "an owner may allow this"


def test_uncompared_forms_are_reported_if_some_can_be_made() -> None:
    def missing(artifact: str | None, rows: int = 0, *records: dict[str, Any]) -> bool:
        version = replace(VERSIONS[0], artifact=artifact, reference_rows=rows)
        frame = pd.DataFrame(list(records), columns=["model", "version", "at", "audit", "results", "expires"])
        found = analyze({"audits": frame}, replace(context(), version=version))
        return any("agreement of its forms" in each.because for each in found)

    assert (
        missing("artifacts/7/1/lightgbm-aa.txt") and missing("artifacts/7/1/onnx-aa.onnx") and missing("artifacts/7/1/skops-aa.skops", 200)
    )
    assert not missing("artifacts/7/1/skops-aa.skops", 199), "a small network needs more rows to learn from"
    assert not missing(None, 500)
    made = record("precision", {}, days=3) | {"results": {"forms": [{"form": "as served"}]}}
    assert not missing("artifacts/7/1/lightgbm-aa.txt", 0, made)


def test_forms_measured_elsewhere_ask_for_a_new_measurement_there() -> None:
    forms = record("precision", {}, days=40) | {"results": {"forms": [{"form": "int8 on NPU"}], "imported_from": "edge.json"}}
    (found,) = judged(forms, version="2")
    assert found.because.endswith("Measure the new version on that hardware and import the results.")


@pytest.mark.parametrize(("source", "again"), [({}, "run it again"), ({"imported_from": "edge.json"}, "import the results")])
def test_an_audit_of_forms_expires_as_the_others_do(source: dict[str, str], again: str) -> None:
    made = record("precision", {}, days=200, valid=180) | {"results": {"forms": [{"form": "int8"}], **source}}
    (found,) = judged(made)
    assert (found.subject, found.metric, found.severity) == ("precision", "audit_days_left", "watch")
    assert found.value == pytest.approx(-20.0) and found.because.endswith(f"{again}.")
    assert judged(made | {"expires": NOW.replace(tzinfo=None) + timedelta(days=1)}) == []


@pytest.mark.parametrize("kind", ["robustness", "precision"])
def test_audit_expiry_is_judged_at_the_end_of_the_window_and_not_at_the_newest_record(kind: str) -> None:
    """For a model that ended on the window's last day, silence is not counted beyond this day, but dated promises still expire."""
    headline = {} if kind == "precision" else interval_json(rate_interval(200, 240)) | {"at": 0.25}
    made = record(kind, headline, days=90.5) | {"results": {"forms": [{"form": "int8"}]} if kind == "precision" else {"headline": headline}}
    frame = pd.DataFrame([made], columns=["model", "version", "at", "audit", "results", "expires"])
    ended = replace(context(), now=NOW - timedelta(days=1), until=NOW)
    left = [each for each in analyze({"audits": frame}, ended) if each.metric == "audit_days_left" and each.subject == kind]
    assert [each.value for each in left] == [pytest.approx(-0.5)]


def test_planted_regressions_of_middle_strength_are_named() -> None:
    rng = np.random.default_rng(9)
    named = 0
    for _ in range(100):
        (found,) = judged(robustness(float(rng.binomial(240, 0.8)), days=40), robustness(float(rng.binomial(240, 0.65))))
        named += found.severity == "watch"
    assert named >= 90


@pytest.mark.parametrize(("days", "news"), [(100, "ongoing"), (92, "new")])
def test_an_expired_audit_is_dated_to_its_expiry_date(days: float, news: str) -> None:
    (found,) = judged(robustness(200, days=days))
    assert found.onset == NOW - timedelta(days=days - 90) and news_of(found) == news
