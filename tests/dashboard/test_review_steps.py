"""The parts of a frozen week other than its findings agree with independent figures; if one part fails, it states the reason and the others
are drawn.
"""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from observability.compare.paired_rows import MatchedRows
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.core.weeks import Week
from observability.core.window import Window
from observability.dashboard import clicks, load
from observability.dashboard.review import fairness_status as review_fair
from observability.dashboard.review import label_budget, performance
from observability.dashboard.review.review import ReviewPage
from observability.detection import regressed_slices
from observability.incidents.grouping import Incident
from observability.review import fairness_status, incident_stakes, label_intake, ranked_inputs, sentences, weekly_details
from tests.support.dashboard_pages import tables
from tests.support.dashboard_world import END, START, World

WEEK = Week.parse("2026-W10")


def finding(**given) -> Finding:
    base = {"analyzer": "serving/estimated_performance", "model": "loan", "version": "1", "subject": "model", "metric": "accuracy", "value": 0.8, "n": 100,
            "severity": "ok", "because": "", "start": START, "end": END, "against": "reference"}  # fmt: skip
    return Finding(**(base | given))


def judged(store, name: str, *found: Finding, **given) -> SimpleNamespace:
    model = store.catalog().model(name)
    return SimpleNamespace(model=model, window=Window(name, START, END), findings=found, **given)


def test_the_frozen_estimate_of_each_day_is_the_one_of_the_live_page(current: World) -> None:
    from observability.dashboard.frame import ModelPage
    from observability.dashboard.scope import Scope
    from observability.dashboard.serving import estimated_performance

    store = load.store()
    made = weekly_details.estimated_by_day(store, judged(store, "loan", finding()))
    days = estimated_performance.estimate_frame(
        ModelPage("x", Scope("loan"), store.catalog().model("loan"), Window("loan", START, END)), "accuracy"
    )
    assert [each[1] for each in made["by_day"]] == pytest.approx(list(days["estimated"]))
    assert [each[0] for each in made["by_day"]] == [str(each)[:10] for each in days["period"]]
    assert weekly_details.estimated_by_day(store, judged(store, "loan")) == {"why": "No estimates for this week."}


def test_measured_and_estimated_days_are_in_one_frame_and_one_file(current: World) -> None:
    part = {"estimates": {"by_day": [["2026-03-02", 0.8, 0.7, 0.9], ["2026-03-04", 0.7, 0.6, 0.8]]}}
    days = performance.frozen_daily_metric(part, {"evidence": {"by_day": [["2026-03-02", 0.9, 0.8, 1.0, 10, 10], ["2026-03-03", 0.8, 0.7, 0.9, 10, 10]]}})  # fmt: skip
    assert list(days["estimated"].fillna(-1)) == [0.8, -1, 0.7]
    assert list(days["value"].fillna(-1)) == [0.9, 0.8, -1]
    assert list(days["served"]) == [10, 10, 0]


def test_a_slice_leads_to_its_cases_of_the_week() -> None:
    room = ReviewPage({"week": str(WEEK)}, "performance", (), None)
    each = {"analyzer": "serving/slices", "slice": "carrier=AA&origin=EWR", "because": "worse", "metric": "accuracy"}
    go = performance.finding_target(room, {"model": "loan", "task": "binary"}, each)["go"]
    assert go["page"] == "cases"
    assert (go["parameters"]["q"], go["parameters"]["order"]) == ("outcome = wrong", clicks.LARGEST)
    assert go["parameters"]["slice"] == "carrier=AA&origin=EWR"
    assert go["parameters"]["from"].startswith(f"{WEEK.start:%Y-%m-%d}")
    assert performance.finding_target(room, {"model": "loan", "task": "binary"}, {**each, "slice": None})["go"]["page"] == "slices"


def test_a_failed_part_of_the_week_states_its_reason_but_a_broken_store_raises() -> None:
    def fails(error: Exception):
        def make(store, each):
            raise error

        return make

    each = SimpleNamespace(model=SimpleNamespace(name="loan"))
    assert weekly_details.part_or_reason("estimates", None, each, fails(ZeroDivisionError())) == {
        "why": "estimates could not be computed: ZeroDivisionError"
    }
    assert weekly_details.part_or_reason("estimates", None, each, fails(UsageError("no such column"))) == {"why": "no such column"}


def incident(lead: Finding) -> Incident:
    return Incident("i1", "loan", "model", replace(lead, severity="act"), (), "act", None, None, "")


def test_money_at_stake_extrapolates_the_labelled_loss_to_all_affected_predictions(current: World) -> None:
    store = load.store()
    known = store.catalog().model("loan")
    model = replace(known, settings=replace(known.settings, cost_false_positive=2.0, cost_false_negative=5.0, cost_currency="EUR"))
    each = incident(finding(analyzer="serving/slices", slice="carrier=AA"))
    made = incident_stakes.incident_stake(store.ask, model, Window("loan", START, END), each)
    rows = current.loan[current.loan["carrier"] == "AA"]
    labelled = rows[rows["labelled"]]
    usual = current.loan_reference[current.loan_reference["carrier"] == "AA"]
    cost, before = (
        (2.0 * ((each["score"] >= 0.5) & (each["label"] == 0)) + 5.0 * ((each["score"] < 0.5) & (each["label"] == 1))).mean()
        for each in (labelled, usual)
    )
    assert (made["rows"], made["of"]) == (len(rows), len(current.loan))
    assert made["money"]["value"] == pytest.approx((cost - before) * len(rows))
    assert made["money"]["low"] < made["money"]["value"] < made["money"]["high"]
    assert made["money"]["n"] == len(labelled) and made["money"]["basis"] == "estimated"
    assert made["groups"] == []
    said = sentences.stake_sentences({"stakes": {"incidents": {"i1": made}}}, "i1")
    assert said is not None and "carrier is AA" in said[0]
    assert "cost of errors beyond the reference" in said[0].lower()
    energy = incident(finding(analyzer="operations/energy", metric="sci"))
    assert incident_stakes.incident_stake(store.ask, model, Window("loan", START, END), energy)["money"] is None
    free = incident_stakes.incident_stake(store.ask, known, Window("loan", START, END), each)
    assert free["money"] is None and "No error costs" in free["no_money"]
    amounts = replace(known, task="regression")
    unpriced = incident_stakes.incident_stake(store.ask, amounts, Window("loan", START, END), each)
    assert sentences.error_cost_sentence(unpriced).startswith("Cost of errors unknown: settings state it for false positives and")
    wrong = incident(finding(analyzer="serving/performance", metric="mae", value=0.5, n=100, evidence={"baseline": 0.2}))
    both = incident_stakes.incident_stake(store.ask, amounts, Window("loan", START, END), wrong)
    assert sentences.error_cost_sentence(both).startswith("30.0 units of the label of absolute error beyond the reference"), (
        "the review must state the same cost as the page of the incident"
    )
    assert sentences.stake_sentences({}, "i1") == (sentences.OLDER, "")


def test_the_usual_cost_of_errors_is_not_charged_to_an_incident() -> None:
    """Regression: an incident was charged 814 USD, at 2.91 per error, although ordinary decisions cost 2.81. A week frozen by an earlier
    version can still be read.
    """
    cost = {
        "value": 28.0,
        "low": -60.0,
        "high": 116.0,
        "currency": "USD",
        "n": 280.0,
        "an_answer": 2.91,
        "usual": 2.81,
        "basis": "estimated",
    }
    said = sentences.error_cost_sentence({"money": cost})
    assert said == "Cost of errors beyond the reference is not significant: 2.91 USD per labelled prediction, 2.81 in the reference."
    more = sentences.error_cost_sentence({"money": cost | {"low": 5.0}})
    assert more.startswith("Estimated cost of errors beyond the reference: 28.0 USD (5.00 to 116), from 280 labelled predictions")
    older = {name: value for name, value in cost.items() if name != "usual"} | {"elsewhere": None}
    assert sentences.error_cost_sentence({"money": older}).startswith("Estimated cost of errors: 28.0 USD")


def test_a_group_is_named_if_a_two_proportion_z_test_finds_its_share_different() -> None:
    from statsmodels.stats.proportion import proportions_ztest

    frame = lambda **counts: pd.DataFrame({"w": counts, "w2": counts}).astype(float)
    rows = incident_stakes.level_shares("sex", frame(F=180, M=120), frame(F=400, M=600))
    assert [each["group"] for each in rows] == ["sex=F", "sex=M"]
    assert rows[0]["p_value"] == pytest.approx(proportions_ztest([180, 400], [300, 1000])[1])
    assert (rows[0]["touched"], rows[0]["others"]) == (0.6, 0.4)
    assert incident_stakes.level_shares("sex", frame(F=50, M=40), frame(F=400, M=600)) == []


def test_inputs_are_ranked_by_drift_times_importance_and_the_overlay_is_the_live_one(current: World) -> None:
    store = load.store()
    drift = [finding(analyzer="serving/drift", metric="psi", subject=name, value=value) for name, value in (("size", 0.2), ("age", 0.5))]
    share = [finding(analyzer="trust/explanations", metric="attribution_share", subject=name, value=value) for name, value in (("size", 0.9), ("age", 0.1))]  # fmt: skip
    made = weekly_details.input_details(store, judged(store, "loan", *drift, *share))
    assert made["by"] == "explanations"
    assert [(each["feature"], round(each["impact"], 6)) for each in made["rows"]] == [("size", 0.18), ("age", 0.05)]
    assert sum(weight for _, weight in made["overlay"]["current"]) == len(current.loan)
    assert sum(weight for _, weight in made["overlay"]["reference"]) == len(current.loan_reference)
    alone = ranked_inputs.inputs_by_impact(drift, store.catalog().model("loan"))
    assert alone["by"] == "drift" and [each["feature"] for each in alone["rows"]] == ["age", "size"]
    assert "Ranked by drift" in sentences.inputs_sentence({"inputs": alone, "served": 1})


def test_queue_agreement_and_price_match_the_records() -> None:
    end = pd.Timestamp("2026-03-09")
    given = pd.DataFrame([("p", "i1", "a", end - timedelta(days=6)), ("p", "i2", "a", end - timedelta(days=2)), ("p", "i3", "b", end - timedelta(days=4))], columns=["project", "item", "annotator", "at"])  # fmt: skip
    done = given.iloc[:1].assign(at=end - timedelta(days=1), label="x")
    assert label_intake.label_queue_state(given, done, end) == {"waiting": 2, "of": 3, "median_days": 3.0, "oldest_days": 4.0}
    assert label_intake.label_queue_state(given.iloc[:0], done, end) is None
    pairs = pd.DataFrame([("p", f"i{k}", who, end, k % 2) for k in range(20) for who in "ab"], columns=[*label_intake.PAIR, "at", "label"])
    assert label_intake.label_agreement(pairs)["value"] == 1.0
    budget = label_intake.budget_state([finding(analyzer="operations/cost", metric="x", value=1.9, evidence={"month_end": "2026-04-01", "spent": 0.4, "currency": "USD"}, limit=2.0)])  # fmt: skip
    cells = sentences.label_intake_sentences(
        {"queue": label_intake.label_queue_state(given, done, end), "agreement": None, "price": None, "budget": budget}
    )
    assert cells["queue"] == ("2 of 3 assigned", "oldest 4.00 days, median 3.00")
    assert cells["budget"][0] == "1.90 of 2.00 USD"
    assert cells["agreement"] == (None, None)


def test_the_fairness_criterion_is_stored_whether_or_not_it_needs_action() -> None:
    base = {"analyzer": "trust/fairness", "metric": "equal_opportunity_difference", "unit": "share"}
    made = fairness_status.criteria_status(
        [
            finding(
                **base, subject="origin", value=0.156, low=0.066, high=0.24, n=795, limit=0.1, evidence={"criterion": "equal_opportunity"}
            ),
            finding(**base, subject="origin=JFK", severity="watch", evidence={"criterion": "equal_opportunity"}),
            finding(**base, subject="origin=LGA", severity="unknown"),
            finding(analyzer="serving/performance", evidence={"criterion": "x"}),
        ]
    )
    assert [(each["attribute"], each["n"], each["limit"]) for each in made["rows"]] == [("origin", 795, 0.1)]
    assert made["small"] == 1
    room = ReviewPage({"week": str(WEEK)}, "fairness", (), None)
    (beyond,) = made["rows"]
    cells = [
        review_fair.fairness_criterion_row(room, "loan", beyond | more)["cells"] for more in ({}, {"value": 0.05}, {"severity": "watch"})
    ]
    assert [("s" in each["what"], each["limit"]["sub"]) for each in cells] == [(False, "exceeded"), (True, None), (True, "exceeded")]
    assert fairness_status.numeric_results({"results": {"b": True, "a": 2, "c": "x", "d": 0.5}}) == {"a": 2.0, "d": 0.5}
    nested = {"linf": {"0.1": 0.8, "0.3": 0.5, "name": "pgd"}, "clean": 0.9, "folds": [1, 2]}
    flat = {"clean": 0.9, "folds/1": 1, "folds/2": 2, "linf/0.1": 0.8, "linf/0.3": 0.5}
    assert fairness_status.numeric_results({"results": nested}) == flat
    assert fairness_status.newest_audits([]) == []


def test_audit_results_show_their_intervals_and_previous_values() -> None:
    def leakage(value: float) -> dict[str, Any]:
        head = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 300}
        results = {"headline": head, "further": {"training_overlap": {**head, "value": 0.3, "low": 0.2, "high": 0.4}}}
        summary = {"label_leakage": value, "training_overlap": 0.3, "other": 2.0}
        return {
            "model": "loan",
            "version": "1",
            "audit": "leakage",
            "at": WEEK.start,
            "expires": None,
            "results": results | {"summary": summary},
        }

    (frozen,) = fairness_status.newest_audits([leakage(0.5), leakage(0.6)])
    assert sentences.audit_results_words(frozen) == (
        "label_leakage 0.600 (0.500 to 0.700; previously 0.500), other 2.00 (previously 2.00), training_overlap 0.300 (0.200 to 0.400; previously 0.300)"
    )
    del frozen["intervals"]
    assert sentences.audit_results_words(frozen).startswith("label_leakage 0.600 (previously 0.500), "), (
        "a week that an earlier version froze"
    )
    other = {**leakage(0.5), "audit": "robustness", "results": {"linf": {"0.1": 0.8}}}
    assert sentences.audit_results_words(*fairness_status.newest_audits([other])) == "linf/0.1 0.800"


def test_only_the_slice_where_the_challenger_is_worse_is_named(current: World) -> None:
    rng = np.random.default_rng(2)
    model = load.store().catalog().model("price")
    label = rng.normal(0, 1, 900)
    rows = pd.DataFrame({"feature.carrier": rng.choice(["AA", "BB", "CC"], 900), "feature.size": rng.normal(50, 10, 900)})
    then = rows.assign(score=label + rng.normal(0, 1, 900))
    new = rows.assign(score=label + (then["score"] - label) * np.where(rows["feature.carrier"] == "BB", 2.0, 0.2))
    made = regressed_slices.find_regressed_slices(model, MatchedRows(new, then, label, 0, (900, 900)))
    assert [each["name"] for each in made["rows"]] == ["carrier = BB"]
    inside = (rows["feature.carrier"] == "BB").to_numpy()
    errors = [np.abs(side["score"] - label)[inside] for side in (new, then)]
    exact = ttest_rel(*errors).confidence_interval()
    assert (made["rows"][0]["low"], made["rows"][0]["high"]) == pytest.approx((exact.low, exact.high))
    assert made["looked_at"] == 7
    assert sentences.regressed_slice_sentences({"slices": made})[0].startswith("Worse where carrier = BB: mean absolute error")
    watched = replace(model, settings=replace(model.settings, slices=("carrier=BB",)))
    assert (
        regressed_slices.find_regressed_slices(watched, MatchedRows(new, then, label, 0, (900, 900)), watched.settings.slices)["rows"] == []
    )


def drawn_more_labels(room):
    """The step's sliders and table as a separate page."""
    from streamlit.testing.v1 import AppTest

    def page(room):
        from observability.dashboard.review import label_budget as step

        step.label_budget_section(room)

    return AppTest.from_function(page, args=(room,), default_timeout=300).run()


def test_more_labels_can_be_chosen_by_money_only_if_a_label_has_a_price() -> None:
    cell = {"metric": "accuracy", "unit": "share", "low": 0.7, "high": 0.8, "n": 900}
    priced = {"price": {"value": 0.08, "currency": "EUR", "labels": 3, "spent": 0.24}}
    parts = [
        {"model": "cheap", "strip": {"performance": cell}, "labelling": priced},
        {"model": "dear", "strip": {"performance": cell}, "labelling": {"price": {**priced["price"], "value": 0.2}}},
        {"model": "abroad", "strip": {"performance": cell}, "labelling": {"price": {**priced["price"], "currency": "USD"}}},
        {"model": "unpriced", "strip": {"performance": cell}, "labelling": {"price": None}},
        {"model": "free", "strip": {"performance": cell}, "labelling": {"price": {**priced["price"], "value": 0.0}}},
        {"model": "older", "strip": {"performance": cell}},
        {"model": "unknown", "strip": {"performance": {**cell, "low": None}}, "labelling": priced},
    ]
    app = drawn_more_labels(ReviewPage({"models": parts}, "spending", (), None))
    assert not app.exception
    sliders = {each.key: each for each in app.slider}
    assert set(sliders) == {"more-money-EUR", "more-money-USD", "more-labels"}
    assert "(EUR)" in sliders["more-money-EUR"].label
    assert (sliders["more-money-EUR"].max, sliders["more-money-EUR"].value) == (1000.0, 100.0)
    app.slider(key="more-money-EUR").set_value(40.0)
    app.slider(key="more-labels").set_value(900).run()
    (drawn,) = tables(app).values()
    found = {each["cells"]["model"]["t"]: each["cells"] for each in drawn["rows"]}
    assert {name: each["more"]["t"] for name, each in found.items()} == {
        "cheap": "500", "dear": "200", "abroad": "625", "unpriced": "900", "free": "900", "older": "900",
    }  # fmt: skip
    assert found["cheap"]["more"]["sub"] == "at 0.0800 EUR per label"
    assert found["unpriced"]["then"]["t"] == "± 3.5 %", "0.05 / sqrt(2)"
    assert found["dear"]["gain"]["t"] == "9.5 %", "1 - sqrt(900 / 1100)"
    assert "unpriced, free, older" in " ".join(each.value for each in app.caption).replace("\\", "")
    assert [label_budget.affordable_labels(0.3, 0.1), label_budget.affordable_labels(0.29, 0.1)] == [3, 2]
    assert [label_budget.rounded_step(each) for each in (0.7, 12, 20, 0.05, 0.0003)] == [1.0, 20.0, 20.0, 0.05, 0.0005]
