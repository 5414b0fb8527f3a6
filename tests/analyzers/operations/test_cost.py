"""operations/cost: costs equal those computed by hand, the month is compared with the budget, and no amount is converted or guessed."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.operations.cost import ANALYZER, amount_words, level_price_words, price_of, served_price
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.window import Slice
from observability.metrics.cost import ANNOTATIONS, DATASETS, HUMAN_LABELS
from tests.support.analyzer_worlds import context_for
from tests.support.length import allowed, repeats
from tests.support.operations_world import START, prices, records, resources, runs, served, use

HOURS, PAST_DAYS = 7 * 24, 56
REQUEST = {"resource": "request", "amount": 0.01, "from": -24 * 100}


def traffic(hours: int, seed: int, mean: float = 50.0) -> pd.DataFrame:
    return served(np.random.default_rng(seed).poisson(mean, hours).astype(float).tolist())


def annotations(*rows: dict) -> pd.DataFrame:
    return records(ANNOTATIONS.columns or (), list(rows), ("at",), ())


def datasets(*rows: dict) -> pd.DataFrame:
    return records(DATASETS.columns or (), list(rows), ("at",), ("bytes",))


def outcomes(matrix: list[list[int]]) -> pd.DataFrame:
    frame = pd.DataFrame([(j, i, n) for i, line in enumerate(matrix) for j, n in enumerate(line)], columns=["decision", "label", "n"])
    return frame.assign(w=frame["n"].astype(float), w2=frame["n"].astype(float))


def logged_in(*names: str) -> pd.DataFrame:
    """Usage with one logged cost in each currency."""
    return pd.DataFrame({"currency": list(names), "measure": "cost", "n": 1})


def findings(now: pd.DataFrame, past: pd.DataFrame | None, *price: dict, settings: ModelSettings | None = None, matrix=None, run=None, labelled=None,
             usage=None, past_usage=None, humans: int = 0, task: str = "binary", kept=None, several: bool = False) -> dict:  # fmt: skip
    context = context_for(None, task=task, settings=settings or ModelSettings())
    nothing = use("cost", [], [])
    before = served([]) if past is None else past.assign(period=past["period"] - timedelta(days=PAST_DAYS))
    people = records(HUMAN_LABELS.columns or (), [{"at": START, "source": "human"}] * humans, ("at",), ())
    frames = {
        "served": now, "use": nothing if usage is None else usage, "resources": resources(), "runs": runs() if run is None else run,
        "prices": prices(*price), "annotations": annotations() if labelled is None else labelled, "past served": before, "past use": nothing if past_usage is None else past_usage.assign(period=past_usage["period"] - timedelta(days=PAST_DAYS)),
        "datasets": datasets() if kept is None else kept, "past resources": resources(), "past annotations": annotations(), "past labels": people.iloc[:0], "labels": people,
        "currencies": logged_in("EUR", "USD") if several else logged_in(), "past currencies": logged_in(),
    }  # fmt: skip
    if task == "binary":
        frames["outcomes"] = outcomes([[600, 100], [60, 240]] if matrix is None else matrix)
    assert set(frames) == set(ANALYZER.needs(context))
    return {each.metric: each for each in ANALYZER.analyze(frames, context)}


def test_clean_weeks_raise_no_critical_finding_and_few_warnings() -> None:
    """Errors cost money too: 84 of 100 decisions are right. Decisions and requests per hour are drawn anew for each week."""
    weeks, raised = repeats(4, 300), []
    for seed in range(weeks):
        matrix = np.random.default_rng([seed, 1]).multinomial(1000, [0.6, 0.1, 0.06, 0.24]).reshape(2, 2).tolist()
        found = findings(traffic(HOURS, 2 * seed), traffic(24 * PAST_DAYS, 2 * seed + 1), REQUEST, matrix=matrix)
        raised += [each for each in found.values() if each.needs_action]
    assert [each.because for each in raised if each.severity == "act"] == []
    assert len(raised) <= allowed(0.03, weeks), [each.because for each in raised]


def test_storage_of_the_runs_data_is_part_of_the_cost() -> None:
    now, run = (
        traffic(HOURS, 1),
        runs({"run": "a", "event": "start", "at": 0, "dataset": "loans 7"}, {"run": "a", "event": "end", "at": 60}),
    )
    kept = datasets(*({"dataset": "loans", "version": each, "at": START - timedelta(days=9), "bytes": 3e12} for each in ("7", "8")))
    price = {"resource": "gb_month", "amount": 0.02, "from": -2400}
    found = findings(now, traffic(24 * PAST_DAYS, 2), REQUEST, price, run=run, kept=kept)
    parts = found["cost_per_correct_decision"].evidence["parts"]
    assert parts["storage"] == pytest.approx(3000 * 0.02 * 7 / (365.25 / 12)), "only the version that the run names is charged"
    assert found["cost_per_correct_decision"].value == pytest.approx((now["w"].sum() * 0.01 + parts["storage"]) / now["w"].sum() / 0.84)
    assert found["cost_per_correct_decision"].basis == "estimated" and "storage" in found["cost_per_correct_decision"].because


def test_weekly_costs_match_a_hand_computation() -> None:
    now = traffic(HOURS, 1)
    run = runs({"run": "a", "event": "start", "at": 0, "hardware": {"cores": 4}}, {"run": "a", "event": "end", "at": 7200})
    labelled = annotations(*[{"project": "loan", "item": str(i), "annotator": "x", "at": START} for i in range(10)])
    more = [{"resource": "cpu_hour", "amount": 0.5, "from": -2400}, {"resource": "label", "amount": 0.3, "from": -2400}]
    found = findings(now, traffic(24 * PAST_DAYS, 2), REQUEST, *more, run=run, labelled=labelled)
    whole = now["w"].sum() * 0.01 + 2 * 4 * 0.5 + 10 * 0.3
    assert found["cost_per_thousand"].value == pytest.approx(10.0) and found["cost_per_thousand"].severity == "ok"
    assert found["cost_per_correct_decision"].value == pytest.approx(whole / now["w"].sum() / 0.84)
    assert found["cost_per_error_avoided"].value == pytest.approx(whole / now["w"].sum() / 0.14)
    assert found["cost_per_error_avoided"].evidence["majority"] == "0"
    assert found["cost_per_thousand"].evidence["parts"] == pytest.approx(
        {"training": 4.0, "labelling": 3.0, "serving": now["w"].sum() * 0.01, "storage": 0.0}
    )
    assert {each.version for each in found.values()} == {None} and "EUR" in found["cost_per_correct_decision"].because


def test_human_labels_are_priced_if_there_are_no_annotations() -> None:
    label = {"resource": "label", "amount": 0.3, "from": -2400}
    found = findings(traffic(HOURS, 1), None, REQUEST, label, humans=20)["cost_per_thousand"]
    assert found.evidence["parts"]["labelling"] == pytest.approx(6.0)


def test_a_price_rise_is_judged_against_the_models_own_past() -> None:
    found = findings(traffic(HOURS, 3), traffic(24 * PAST_DAYS, 4), REQUEST, REQUEST | {"amount": 0.02, "from": 0})["cost_per_thousand"]
    assert found.severity == "act" and found.value == pytest.approx(20) and "2 times" in found.because
    assert "; the price of a request is 2 times as high." in found.because
    assert found.evidence["factors"] == [["the price of a request", pytest.approx(0.02), pytest.approx(0.01), pytest.approx(2.0)]]


def test_an_owner_limit_sets_how_much_the_cost_per_prediction_may_rise() -> None:
    now, past, dearer = traffic(HOURS, 3), traffic(24 * PAST_DAYS, 4), (REQUEST, REQUEST | {"amount": 0.02, "from": 0})
    settings = ModelSettings(limits={"operations/cost/cost_per_thousand": 2.5})
    usual, allowed = (findings(now, past, *dearer, settings=own)["cost_per_thousand"] for own in (None, settings))
    assert (usual.severity, allowed.severity) == ("act", "watch") and "the owner's limit" not in usual.because
    assert "; the owner's limit is 2.5 times the past" in allowed.because and allowed.limit < allowed.value


def test_a_cost_rise_is_split_into_price_and_units() -> None:
    now, past = traffic(HOURS, 3), traffic(24 * PAST_DAYS, 4)
    hour = {"resource": "cpu_hour", "amount": 0.5, "from": -24 * 100}
    busy = [use("latency_ms", frame["w"].tolist(), [each] * len(frame)) for frame, each in ((now, 30.0), (past, 20.0))]
    found = findings(now, past, hour, hour | {"amount": 0.6, "from": 0}, usage=busy[0], past_usage=busy[1])["cost_per_thousand"]
    assert found.severity == "act" and found.value == pytest.approx(1000 * 0.030 / 3600 * 0.6)
    assert (
        "the price of an hour of a busy core is 1.2 times as high and the busy time of a prediction is 1.5 times as high" in found.because
    )
    times = [each[3] for each in found.evidence["factors"]]
    assert np.prod(times) == pytest.approx(found.evidence["times_the_past"], rel=1e-6)
    same = findings(now, past, hour, usage=busy[1].head(HOURS), past_usage=busy[1])["cost_per_thousand"]
    assert same.severity == "ok" and "times as high" not in same.because


def test_tokens_use_the_owners_prices_unless_a_cost_is_logged() -> None:
    now, past = traffic(HOURS, 3), traffic(24 * PAST_DAYS, 4)
    prices = {"input_price_per_million": 2.0, "output_price_per_million": 8.0, "token_currency": "USD"}
    settings = ModelSettings(budget_per_month=1.0, budget_currency="USD", **prices)
    tokens = [
        pd.concat(
            [
                use(f"feature.{name}", frame["w"].tolist(), [each] * len(frame))
                for name, each in (("input_tokens", 500.0), ("output_tokens", 100.0))
            ]
        )
        for frame in (now, past)
    ]
    found = findings(now, past, usage=tokens[0], past_usage=tokens[1], settings=settings)
    thousand, month = found["cost_per_thousand"], found["month_cost"]
    assert thousand.value == pytest.approx(1000 * (500 * 2 + 100 * 8) / 1e6) and thousand.evidence["currency"] == "USD"
    assert "stated token prices" in thousand.because and (month.severity, month.limit) == ("act", 1.0)
    logged = [
        pd.concat([each, use("cost", frame["w"].tolist(), [0.5] * len(frame))]) for each, frame in zip(tokens, (now, past), strict=True)
    ]
    own = findings(now, past, usage=logged[0], past_usage=logged[1], settings=settings)["cost_per_thousand"]
    assert own.value == pytest.approx(500.0) and "logged cost" in own.because


@pytest.mark.parametrize(("budget", "severity"), [(None, "unknown"), (330.0, "act"), (369.0, "watch"), (450.0, "ok")])
def test_the_forecast_month_cost_is_compared_with_the_budget(budget: float | None, severity: str) -> None:
    now, past = traffic(HOURS, 5), traffic(24 * PAST_DAYS, 6)
    settings = ModelSettings(budget_per_month=budget, budget_currency="EUR" if budget else None)
    found = findings(now, past, REQUEST, settings=settings)["month_cost"]
    in_month = past[past["period"] >= START + timedelta(days=PAST_DAYS - 1)]  # the window starts on 2 March
    spent = (now["w"].sum() + in_month["w"].sum()) * 0.01
    assert found.evidence["spent"] == pytest.approx(spent) and found.evidence["days_left"] == 23
    assert found.low < found.value < found.high and found.value == pytest.approx(spent + 23 * 24 * 50 * 0.01, rel=0.03)
    assert found.severity == severity and found.basis == "estimated" and found.limit == budget
    assert len(found.evidence["by_day"]) == 31 and found.evidence["by_day"][-1][1] == pytest.approx(found.value)
    assert "31 March 2026" in found.because and ("no budget is set: set `budget_per_month`." in found.because) == (budget is None)


def test_a_budget_in_another_currency_is_not_compared() -> None:
    settings = ModelSettings(budget_per_month=1.0, budget_currency="USD")
    found = findings(traffic(HOURS, 5), traffic(24 * PAST_DAYS, 6), REQUEST, settings=settings)["month_cost"]
    assert found.severity == "unknown" and found.limit is None and "the budget is in USD, and nothing is converted" in found.because


def test_a_month_cost_from_too_few_days_is_unknown_and_states_how_many_more() -> None:
    found = findings(traffic(HOURS, 7), None, REQUEST)["month_cost"]
    assert found.severity == "unknown" and "cannot be forecast from 7 days: it needs about 7 more" in found.because and found.n == 7


def test_without_prices_costs_are_unknown_and_the_record_to_log_is_shown() -> None:
    found = findings(traffic(HOURS, 8), traffic(24 * PAST_DAYS, 9))
    assert {each.severity for each in found.values()} == {"unknown"}
    assert '"kind":"price"' in found["cost_per_thousand"].because


def test_several_currencies_are_shown_separately() -> None:
    run = runs({"run": "a", "event": "start", "at": 0, "hardware": {"cores": 4}}, {"run": "a", "event": "end", "at": 7200})
    now, past = traffic(HOURS, 10), traffic(24 * PAST_DAYS, 9)
    found = findings(now, past, REQUEST, {"resource": "cpu_hour", "amount": 0.5, "currency": "USD", "from": -2400}, run=run)
    each = found["cost_per_thousand"]
    assert each.evidence["currency"] == "EUR" and each.evidence["currencies"] == pytest.approx({"USD": 4.0})
    assert "not converted: USD 4.00" in each.because
    for metric in ("cost_per_correct_decision", "cost_per_error_avoided", "month_cost"):
        assert "; apart from that, not converted: USD 4.00" in found[metric].because, "Regression: other sentences left the amount out"
    alone = findings(now, past, REQUEST)
    assert not any("not converted" in each.because for each in alone.values())


def test_costs_of_a_classic_model_in_several_currencies_are_not_added() -> None:
    """Regression: the currency of logged costs was checked only for models with tokens and models of vendors."""
    hours, now = [50.0] * HOURS, traffic(HOURS, 10)
    paid = use("cost", hours, [0.01] * HOURS)
    one, two = (findings(now, None, usage=paid, several=several) for several in (False, True))
    assert one["cost_per_thousand"].evidence["method"] == "cost" and one["cost_per_thousand"].value == pytest.approx(10.0)
    each = two["cost_per_thousand"]
    assert each.value is None and each.severity == "unknown" and "several currencies, which are not added" in each.because


def test_money_lost_by_errors_is_compared_with_the_best_constant_decision() -> None:
    costs = ModelSettings(cost_false_positive=2.0, cost_false_negative=5.0, cost_currency="EUR")
    good = findings(traffic(HOURS, 11), None, REQUEST, settings=costs)["money_lost_per_thousand"]
    assert good.value == pytest.approx(500) and good.limit == pytest.approx(1400) and good.severity == "ok" and good.against == "level"
    bad = findings(traffic(HOURS, 11), None, REQUEST, settings=costs, matrix=[[100, 600], [10, 290]])["money_lost_per_thousand"]
    assert bad.value == pytest.approx(1250) and bad.severity == "ok" and bad.high < bad.limit == pytest.approx(1400)
    useless = findings(traffic(HOURS, 11), None, REQUEST, settings=costs, matrix=[[200, 500], [200, 100]])["money_lost_per_thousand"]
    assert useless.severity == "watch" and useless.low > useless.limit and "more than" in useless.because
    assert "money_lost_per_thousand" not in findings(traffic(HOURS, 11), None, REQUEST)


def test_a_model_that_avoids_no_errors_has_an_unknown_cost_per_avoided_error() -> None:
    found = findings(traffic(HOURS, 12), None, REQUEST, matrix=[[600, 100], [110, 190]])["cost_per_error_avoided"]
    assert found.value is not None
    none = findings(traffic(HOURS, 12), None, REQUEST, matrix=[[500, 200], [110, 190]])["cost_per_error_avoided"]
    assert none.severity == "unknown" and "not significantly more than 0" in none.because


@pytest.mark.parametrize("metric", ["cost_per_correct_decision", "cost_per_error_avoided"])
def test_the_cost_of_decisions_is_judged_by_the_owners_level_and_unknown_without_one(metric: str) -> None:
    def of(level: float | None) -> Finding:
        settings = ModelSettings(limits={} if level is None else {f"operations/cost/{metric}": level})
        return findings(traffic(HOURS, 12), None, REQUEST, settings=settings, matrix=[[600, 100], [110, 190]])[metric]

    free = of(None)
    assert (free.severity, free.limit) == ("unknown", None) and free.because.endswith(f"; no level set: set `operations/cost/{metric}`.")
    assert free.value is not None and free.low is not None
    assert [of(level).severity for level in (1.01 * free.value, 0.99 * free.value, 0.99 * free.low)] == ["ok", "watch", "act"]


def test_an_empty_window_is_unknown_and_a_slice_has_no_cost_findings() -> None:
    found = findings(served([]), traffic(24 * PAST_DAYS, 13), REQUEST, matrix=[[0, 0], [0, 0]])
    assert {each.severity for each in found.values()} == {"unknown"}
    assert set(findings(traffic(HOURS, 14), None, REQUEST, task="regression")) == {"cost_per_thousand", "month_cost"}
    context = context_for(None)
    assert ANALYZER.needs(replace(context, window=replace(context.window, slice=Slice((("sex", "F"),))))) == {}


def test_a_small_price_is_stated_per_thousand_or_per_million() -> None:
    told = [price_of(each, "USD", "A right decision", "right decisions") for each in (1.2, 0.000268, 0.000000092478611)]
    assert told == [
        "A right decision costs USD 1.20",
        "A thousand right decisions cost USD 0.268",
        "A million right decisions cost USD 0.0925",
    ]
    levels = [level_price_words(each, "USD", 2 * each) for each in (1.2, 0.000268)]
    assert levels == ["USD 2.40", "USD 0.536"], (
        "Regression: next to a price of USD 0.268 per thousand decisions, the level was stated per decision, as 0.0005"
    )
    served = [served_price(thousand, "USD") for thousand in (0.0, 0.25, 0.000092478611)]
    assert [words.removeprefix("Serving a ") for words in served] == [
        "thousand predictions costs USD 0.00",
        "thousand predictions costs USD 0.25",
        "million predictions costs USD 0.0925",
    ]


def test_money_is_written_with_the_digits_that_it_needs() -> None:
    told = [amount_words(value, "EUR") for value in (1234.5, 0.2, 0.000268, 1e-9, 0.0, None)]
    assert told == ["EUR 1,234.50", "EUR 0.20", "EUR 0.000268", "less than EUR 0.0001", "EUR 0.00", "unknown"]
    assert amount_words(2.0, "") == "2.00 (no currency was logged)"
