"""The health page reads rollups and the currencies of logged costs, at any time of the day."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding, Severity
from observability.core.window import Window
from observability.dashboard import background_findings, load
from observability.dashboard.overview import fleet, incidents, model_status
from observability.dashboard.overview.large_fleet import NO_EVENTS, NO_ROWS
from observability.dashboard.scope import Scope
from observability.incidents.action_counts import counted_incidents, incident_action_counts, merge_incidents_of_models, shared_incident_ids
from observability.metrics.token_prices import currency_question
from observability.monitoring import check
from observability.store.query import aggregates
from tests.support.dashboard_world import END, START, World
from tests.support.one_finding_incident import of_one


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=9, minutes=25)])
def test_the_health_page_reads_of_raw_rows_only_the_currencies_of_logged_costs(
    current: World, monkeypatch: pytest.MonkeyPatch, ago: timedelta
) -> None:
    raw: list[Any] = []
    original, own = aggregates.parts_from_raw_rows, threading.get_ident()

    def noted(cursor: Any, question: aggregates.BoundAggregate, rows: Any, places: Any) -> Any:
        if threading.get_ident() == own:  # queries in the background take their own time and are not counted
            raw.append((question.window, question.aggregate))
        return original(cursor, question, rows, places)

    monkeypatch.setattr(aggregates, "parts_from_raw_rows", noted)
    monkeypatch.setattr(background_findings, "sampled_findings", lambda *asked, **options: ())
    monkeypatch.setattr(load, "page_clock", lambda: END - ago)
    standings = [model_status.load_model_status(Scope(), each) for each in load.catalog().models]
    registered = [each for each in standings if each.model.task]
    assert {each.model.task for each in registered} == {"binary", "regression"}
    assert all(each.findings and each.traffic["n"].sum() for each in registered)
    assert {aggregate for _, aggregate in raw} <= {currency_question()}, "rollups do not hold the currency of a cost"


def test_a_page_does_not_wait_for_analyzers_that_read_raw_rows(current: World) -> None:
    window = load.window(Scope(), "price")
    counted = check.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="counts")
    sampled = {
        each.analyzer
        for each in check.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="rows").findings
    }
    assert sampled and not sampled & {each.analyzer for each in counted.findings}


def test_a_shortened_table_hides_no_critical_incident() -> None:
    """Regression: new incidents came first, whatever their severity, so that six new warnings hid an ongoing critical incident."""
    found = [replace(of_one("late", "`wind` is null."), severity=severity) for severity in ("watch", "watch", "act", "watch", "act")]
    assert incidents.places_with_critical(found, 3) == [0, 2, 4]
    assert incidents.places_with_critical(found, 9) == [0, 1, 2, 3, 4]


def test_equal_incidents_of_two_models_share_a_row() -> None:
    both = [of_one("late", "`wind` is null in 85 %."), of_one("delay", "`wind` is null in 85 %."), of_one("delay", "`rain` is null.")]
    told = merge_incidents_of_models(both)
    assert [each.models for each in told] == [("late", "delay"), ("delay",)]
    cells = [incidents.incident_row(each.lead, Scope(), models=each.models)["cells"]["model"] for each in told]
    assert cells == [{"t": "late", "sub": "and delay"}, {"t": "delay", "sub": "version 1"}]
    assert formatting.join_words(("a", "b", "c")) == "a, b and c"


def test_the_total_counts_an_equal_incident_of_two_models_once() -> None:
    """Regression: the first page said `2 warnings` above a table with one row for both models."""
    both = [of_one("late", "`wind` is null in 85 %."), of_one("delay", "`wind` is null in 85 %."), of_one("delay", "`rain` is null.")]
    counts = incident_action_counts(both)
    assert (counts.critical, counts.acknowledged, counts.warnings) == (0, 0, 2)
    assert counts.warnings == len(merge_incidents_of_models(both))
    assert counts.total_words == "2 warnings (1 shared, counted once)"
    shared = shared_incident_ids(counted_incidents(both))
    assert fleet.status_cell("watch", both[:1], shared) == {
        "s": "watch", "t": "1 warning", "sub": None, "title": "1 shared with other models"
    }  # fmt: skip
    assert fleet.status_cell("watch", both)["title"] is None


@pytest.mark.parametrize(
    ("severity", "counts", "said"),
    [
        ("act", "2 critical\n1 warning", ("2 critical", "1 warning")),
        ("watch", "1 warning", ("1 warning", None)),
        ("watch", "1 acknowledged\n2 warnings", ("Warning", "1 acknowledged\n2 warnings")),
        ("ok", None, ("OK", None)),
        ("unknown", None, ("Unknown", None)),
    ],
)
def test_a_status_cell_states_status_and_count_once(
    severity: Severity, counts: str | None, said: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.incidents, "incident_counts", lambda _found: counts)
    cell = fleet.status_cell(severity, [])
    assert (cell["t"], cell["sub"]) == said and cell["s"] == severity


def test_a_shared_incident_not_acknowledged_in_one_model_counts_as_critical() -> None:
    """The order of the two incidents does not matter."""
    found = of_one("late", "`wind` is null in 85 %.")
    new = replace(found, severity="act", lead=replace(found.lead, severity="act"))
    acknowledged = replace(found, model="delay", lead=replace(found.lead, model="delay", acknowledged=True))
    for both in ([new, acknowledged], [acknowledged, new]):
        counts = incident_action_counts(both)
        assert (counts.critical, counts.acknowledged, counts.warnings) == (1, 0, 0)


def test_a_critical_incident_without_onset_says_so() -> None:
    found = of_one("late", "Scores deviate 12 points from outcomes.")
    said = [incidents.incident_facts(replace(found, severity=each)) for each in ("act", "watch")]
    assert said == ["onset unknown", "no related findings"]
    assert incidents.incident_facts(replace(found, severity="act", onset=END)).startswith("since ")
    of_run = replace(found.lead, subject="run:r1/rank:2", severity="act")
    assert incidents.incident_facts(replace(found, severity="act", lead=of_run)) == "no related findings"


def test_an_incident_links_to_the_pages_that_explain_it() -> None:
    found = replace(of_one("late", "Accuracy fell."), source="model")
    pages = [(each["go"]["page"], each["go"]["parameters"]["model"]) for each in incidents.next_step_links(found, Scope())]
    assert pages == [("quality", "late"), ("why_changed", "late"), ("cases", "late"), ("changes", "late")]
    assert [each["go"]["page"] for each in incidents.next_step_links(replace(found, source="input"), Scope())] == ["quality", "changes"]


def test_a_model_that_was_never_registered_is_unknown_with_the_reason(current: World) -> None:
    never = next(each for each in load.catalog().models if not each.task)
    status = model_status.load_model_status(Scope(), never)
    row = fleet.fleet_table_row(status, Scope())
    assert not any(each.needs_action for each in status.findings)
    assert status.severity == "unknown" and row["cells"]["status"]["t"] == "Unknown"
    assert row["note"]["s"] == "unknown" and "register" in row["note"]["t"]


def test_the_change_against_the_previous_period_is_in_the_unit_of_the_value() -> None:
    told = [fleet.change_words(260.0, 290.0), fleet.change_words(0.745, 0.713, "share"), fleet.change_words(5.0, 5.0)]
    assert told == ["−10 % from 290", "+3.2 points from 71.3 %", "±0 % from 5.00"]
    assert [fleet.visible_change(each) for each in (*told, None)] == ["−10 %", "+3.2 points", None, None], (
        "an unchanged value shows no change"
    )
    assert [fleet.change_words(value, before) for value, before in ((None, 1.0), (1.0, None), (1.0, 0.0))] == [None] * 3


def test_an_incident_has_a_one_line_headline_on_the_home_page() -> None:
    sentences = {
        "`rain` is null in 14.4 % of 1,819 predictions; the reference had 0 %; also affected: `wind`.": "`rain` is null in 14.4 % of 1,819 predictions",
        "The inputs drifted jointly: a classifier separates the two.": "The inputs drifted jointly",
        "`ANC`: `single` fell, `not reported` rose.": "`ANC`: `single` fell, `not reported` rose",
        "Where `visibility` is 10 and above, accuracy is 58.9 % on 1,734 labels.": "Where `visibility` is 10 and above, accuracy is 58.9 % on 1,734 labels",
        "`dew` rose from 2.6 % to 8.4 % of the attribution.": "`dew` rose from 2.6 % to 8.4 % of the attribution",
        "The export to `a partner` (`adults 2018`) of 2026-11-24 (70,131 rows) has k = 1.": "The export to `a partner` of 2026-11-24 has k = 1",
        "Batch `JFK 30` of source `weather at JFK` arrived 5 hours after its data.": "Batch `JFK 30` of source `weather at JFK` arrived 5 hours after its data",
        " ".join(["word"] * 20) + ".": " ".join(["word"] * 16) + "…",
        "Where `b` is `6`, predictions are off on average by −14.5 minutes, −2.4 in 20,000 sampled rows of the reference; elsewhere not.": "Where `b` is `6`, predictions are off on average by −14.5 minutes",
        "Rule `no sight: no rain` on `flights` changes more than before: 100 % of 261 rows.": "Rule `no sight: no rain` on `flights` changes more than before",
        "Batch `LGA 29` lacks 8 of 105 expected keys. Missing are a-1 and a-2.": "Batch `LGA 29` lacks 8 of 105 expected keys",
        "MAE 46.7 (43.8 to 49.5) on 1,986 labelled predictions; 22.6 in the reference (+106 %).": "MAE 46.7; reference 22.6",
        "MAE 46.7 minutes (43.8 to 49.5) on 1,986 labelled predictions; 22.6 in the reference.": "MAE 46.7 minutes; reference 22.6",
        "Accuracy 61.4 % (59 to 64 %); 76.3 % in the reference.": "Accuracy 61.4 %; reference 76.3 %",
    }
    assert {sentence: incidents.incident_headline(of_one("late", sentence)) for sentence in sentences} == sentences
    row = incidents.inbox_row(of_one("late", "Accuracy fell; by much."), ("late", "delay"), Scope())
    assert row["cells"]["what"]["title"].startswith("Accuracy fell; by much.") and row["cells"]["model"]["t"] == "late and delay"
    nulls = incidents.inbox_row(of_one("late", next(iter(sentences))), ("late",), Scope())["cells"]["what"]
    assert nulls["t"] == "`rain` is null in 14.4 %" and "1,819 predictions" in nulls["title"], (
        "the tooltip states the number of predictions"
    )


def test_each_incident_appears_once_on_the_home_page(current: World) -> None:
    """The row of a model has its figures; its incidents appear only in their own table."""
    statuses = [model_status.load_model_status(Scope(span="all"), each) for each in load.catalog().models]
    rows = [fleet.fleet_table_row(status, Scope(span="all")) for status in statuses]
    worst = {status.worst.sentence.replace("`", "") for status in statuses if status.worst}
    assert worst and not any(row["note"] and row["note"]["t"].replace("`", "") in worst for row in rows)


def known(analyzer: str, metric: str, subject: str = "model", **fields: Any) -> Finding:
    base = of_one("loan", "Words.").lead
    return replace(base, **{"analyzer": analyzer, "metric": metric, "subject": subject, "severity": "ok", "value": 1.0, **fields})


def test_small_multiples_draw_the_days_of_their_findings_with_a_band(current: World) -> None:
    days = ["2026-03-14", "2026-03-15"]
    latency = known(
        "serving/latency", "latency_p99", unit="ms",
        evidence={"by_day": [[days[0], 4.0, None, None, 9], [days[1], 6.0, None, None, 9]], "baseline_low": 3.0, "baseline_high": 5.0},
    )  # fmt: skip
    cost = known(
        "operations/cost", "cost_per_thousand", unit="money",
        evidence={"by_day": [[days[0], 500.0, 0.1], [days[1], 250.0, 0.1]], "baseline": 0.3, "varies_up_to": 1.5},
    )  # fmt: skip
    pair = [[days[0], 0.2, 0.1, 0.3, 40], [days[1], None, None, None, 3], ["2026-03-16", 0.4, 0.2, 0.6, 44]]
    gap = known(
        "trust/fairness", "equal_opportunity_difference", "sex", unit="share",
        evidence={"pair_by_day": pair, "surest": ["true_positive_rate", "F", "M"]},
    )  # fmt: skip
    nulls = [
        known("data/quality", "null_rate", name, evidence={"by_day": [[days[0], share, 9], [days[1], 0.0, 9]]})
        for name, share in (("a", 0.1), ("b", 0.3))
    ]
    status = replace(
        model_status.load_model_status(Scope(), load.catalog().model("loan")), findings=(latency, cost, gap, *nulls),
        before=(replace(latency, value=0.5), replace(cost, value=2.0), replace(gap, value=0.9)),
    )  # fmt: skip
    cells = fleet.fleet_table_row(status, Scope())["cells"]
    drawn = {name: cells[name]["spark"] for name in ("latency", "cost", "fairness", "quality")}
    assert {name: (each["y"], each["low"], each["high"]) for name, each in drawn.items()} == {
        "latency": ([4.0, 6.0], [3.0, 3.0], [5.0, 5.0]),
        "cost": ([0.2, 0.4], [0.2, 0.2], [0.45, 0.45]),
        "fairness": ([0.2, None, 0.4], [0.1, None, 0.2], [0.3, None, 0.6]),
        "quality": ([0.2, 0.0], None, None),
    }
    assert drawn["fairness"]["label"] == "True positive rate of M − F by day; band: 95 % interval"
    assert "range of its own past" in drawn["cost"]["label"]
    assert [cells[name]["sub"] for name in ("latency", "cost", "fairness")] == ["+100 %", "−50 %", "+10.0 points"]
    problem = known(
        "data/quality", "null_rate", "c", severity="act", evidence={"by_day": [[days[0], 0.0, 9], [days[1], 0.8, 9]], "varies_up_to": 0.01}
    )
    cell = fleet.with_quality_days(fleet.quality_cell([problem, *nulls]), [problem, *nulls])
    assert (cell["spark"]["y"], cell["spark"]["high"]) == ([0.0, 0.8], [0.01, 0.01]) and " of c by day" in cell["spark"]["label"]


def test_among_equal_severities_the_model_with_most_incidents_is_first() -> None:
    def status(name: str, *severities: Severity) -> model_status.ModelStatus:
        formed = tuple(replace(of_one(name, "`wind` is null."), severity=each) for each in severities)
        return model_status.ModelStatus(Model(1, name, "binary"), Window(name, START, END), (), NO_ROWS, NO_EVENTS, (), formed)

    told = [status("a", "act"), status("b", "act", "watch"), status("c", "act", "act"), status("d", "watch", "watch", "watch")]
    assert [each.model.name for each in model_status.worst_model_first(told)] == ["c", "b", "a", "d"]
