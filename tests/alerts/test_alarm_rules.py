"""Every alarm rule has the limit that its analyzer uses, and the preview shows the findings of past weeks."""

from dataclasses import replace
from datetime import timedelta

import pytest

from observability.alerts import alarm_rules
from observability.analyzers import discover
from observability.core.errors import UsageError
from observability.core.limit_units import LIMIT_UNITS, MULTIPLES, RISE
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings, parse_settings
from observability.core.window import Window
from observability.monitoring import check
from observability.review.agenda_items import records_until
from tests.support import review_world
from tests.support.new_store import new_store
from tests.support.review_world import BROKEN, WEEKS

NOW = WEEKS[-1].end + timedelta(days=7)
RULES = alarm_rules.alarm_rules_of(ModelSettings())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with review_world.build(tmp_path_factory.mktemp("rules")) as opened:
        yield opened


def test_every_alarm_rule_names_a_known_metric_and_uses_the_owners_limit():
    assert len(RULES) > 30
    assert {each.metric for each in RULES} <= set(METRICS)
    stated = alarm_rules.alarm_rules_of(ModelSettings(limits={"serving/drift/psi": 0.4}))
    (psi,) = [each for each in stated if each.name == "serving/drift/psi"]
    assert (psi.usual, psi.stated, psi.limit) == (0.25, 0.4, 0.4)


def test_each_rule_has_the_unit_that_its_limit_declares():
    units = {each.name: each.unit for each in RULES}
    assert units.keys() >= LIMIT_UNITS.keys(), "every unit belongs to a rule"
    multiples = {name for name, unit in units.items() if unit in MULTIPLES}
    assert {name.rpartition("/")[2] for name in multiples} == {"cost_per_thousand", "energy_per_thousand", "sci", "run_energy"}
    assert all(each.usual is not None and each.usual > 1 for each in RULES if each.name in multiples)
    assert (units["data/requests/default_score_rate"], units["operations/cost/cost_per_correct_decision"]) == (RISE, "money")


def test_a_limit_of_one_times_or_less_is_refused_with_a_valid_example():
    for limit in (0.4, 1.0):
        with pytest.raises(UsageError) as refused:
            parse_settings({"limits": {"operations/cost/cost_per_thousand": limit}}, where="model.toml")
        error = refused.value
        assert error.where == "model.toml, limits.operations/cost/cost_per_thousand" and error.got == f"{limit:g}"
        assert error.expected == "a number above 1, as 1.5 times the past four weeks" and "how many times" in error.attempt
    assert parse_settings({"limits": {"operations/cost/cost_per_thousand": 1.2, "data/requests/default_score_rate": 0.4}}).limits


def judged(store, limits):
    model = store.catalog().model("eta")
    window = Window("eta", BROKEN.start, BROKEN.end, as_of=BROKEN.end)
    return check.model_findings(store, replace(model, settings=replace(model.settings, limits=limits)), window, BROKEN.end, (), "counts")


def test_an_unreachable_limit_silences_only_its_own_rule(store):
    loud = [each for each in judged(store, {}) if each.severity == "act"]
    names = {f"{each.analyzer}/{each.metric}" for each in loud}
    assert {"data/quality/out_of_range_rate", "serving/drift/psi"} <= names & {each.name for each in RULES}
    for name in sorted(names & {each.name for each in RULES}):
        still = {f"{each.analyzer}/{each.metric}" for each in judged(store, {name: 1e9}) if each.severity == "act"}
        assert name not in still
        assert still == names - {name}


def test_the_preview_lists_the_findings_each_past_week_would_gain_or_lose(store):
    settings = replace(store.catalog().model("eta").settings, limits={"serving/drift/psi": 1e9})
    said = alarm_rules.preview_settings(store, "eta", settings, now=NOW)
    assert [each.week for each in said] == list(WEEKS)
    (week,) = [each for each in said if each.week == BROKEN]
    lost = {(each.analyzer, each.metric) for each in week.ended} | {(old.analyzer, old.metric) for old, _ in week.changed}
    assert lost == {("serving/drift", "psi")}
    assert not week.began
    assert week.before.critical > week.after.critical == 0
    assert all(not each.began and not each.ended for each in said if each.week != BROKEN)


def test_only_the_analyzers_affected_by_a_settings_change_run_in_the_preview():
    old = ModelSettings()
    assert alarm_rules.analyzers_concerned(old, replace(old, limits={"serving/drift/psi": 0.4, "data/quality/null_rate": 0.1})) == (
        "data/quality",
        "serving/drift",
    )
    assert alarm_rules.analyzers_concerned(old, replace(old, threshold=0.7)) == ()


def test_the_preview_includes_rules_that_read_single_rows(store):
    model = store.catalog().model("eta")
    said = alarm_rules.findings_under(store, model, BROKEN, ("serving/multivariate_drift",))
    assert "domain_auc" in {each.metric for each in said if each.value is not None}
    limits = {"serving/multivariate_drift/domain_auc": 0.9}
    assert not alarm_rules.is_partial_preview(model.settings, replace(model.settings, limits=limits))
    assert alarm_rules.is_partial_preview(model.settings, replace(model.settings, threshold=0.4))


def test_a_changed_batch_limit_changes_only_the_affected_weeks_of_the_preview(tmp_path):
    """The last of nine weeks rejects 6 % of the rows of each day, which is a warning. With an owner's limit of three points more, it is
    critical.
    """
    prediction = {"kind": "prediction", "model": "loan", "version": "1", "features": {"age": 3.0}, "score": 0.5}
    begin = NOW - timedelta(weeks=9)
    days = [begin + timedelta(days=day, hours=6) for day in range(63)]
    with new_store(tmp_path / "home", threads=1) as store:
        store.write_records([prediction | {"id": f"p{place}", "at": at, "received_at": at} for place, at in enumerate(days)])
        sent = {"kind": "batch", "source": "till", "rows": 5000}
        store.write_records(
            [
                sent | {"batch": f"b{place}", "at": at, "received_at": at, "rejected_rows": 300 if place >= 56 else 45 + 5 * (place % 3)}
                for place, at in enumerate(days)
            ]
        )
        store.load_landing()
        settings = replace(store.catalog().model("loan").settings, limits={"data/batches/batch_rejected_rate": 0.03})
        said = alarm_rules.preview_settings(store, "loan", settings, now=NOW)
    assert [each.before != each.after for each in said] == [False] * (len(said) - 1) + [True]
    assert [(old.severity, new.severity, new.metric) for old, new in said[-1].changed] == [("watch", "act", "batch_rejected_rate")]


def test_a_change_of_owner_or_description_changes_no_finding():
    old = ModelSettings(owner="desk")
    assert alarm_rules.changes_no_finding(old, replace(old, owner="night desk", description="Minutes until a taxi comes"))
    assert not alarm_rules.changes_no_finding(old, replace(old, owner="night desk", threshold=0.4))


def test_every_analyzer_with_overridable_limits_declares_them():
    """Every analyzer whose settings can be overridden declares the limits, so that the page of the rules shows them."""
    silent = {
        "training/runs",
        "training/studies",
        "operations/controllers",
        "operations/cost",
        "operations/trade_offs",
        "data/requests",
        "serving/slices",
        "data/cleaning",
        "data/devices",
        "data/datasets",
        "data/labelling",
        "data/storage",
        "serving/vendors",
        "serving/why_changed",
    }
    assert {each.name for each in discover() if not each.limits} <= silent


def test_a_settings_change_is_logged_as_an_event_with_author_and_old_value(store):
    model = store.catalog().model("eta")
    alarm_rules.save_settings(store, "eta", replace(model.settings, limits={"data/quality/null_rate": 0.2}, owner="bob"), author="Ann")
    model = store.catalog().model("eta")
    assert (model.settings.limits, model.settings.owner) == ({"data/quality/null_rate": 0.2}, "bob")
    alarm_rules.save_settings(store, "eta", replace(model.settings, budget_per_month=500.0), author="Ann")
    alarm_rules.save_settings(store, "eta", store.catalog().model("eta").settings, author="Ann")
    assert [(each["what"], each["text"]) for each in records_until(store, "event") if each["what"] != "deploy"] == [
        ("threshold", "Ann: limits: data/quality/null_rate not set → 0.2."),
        ("note", "Ann: budget per month: not set → 500."),
    ]
