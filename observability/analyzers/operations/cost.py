"""Measure the cost of a model (training, labelling, serving, storage) and compare it with its past and its monthly budget.

All findings are about the model as a whole. Amounts in different currencies are never added. One currency is judged (that of the budget,
else that of serving); amounts in other currencies are listed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Basis, Finding, needs_action
from observability.core.owner_level import held_against_level, level_name
from observability.core.questions import Aggregate, By
from observability.core.time import naive_utc
from observability.detection import ratio_causes
from observability.detection.ratio_causes import Factor
from observability.detection.ratio_changes import ACT, RatioVerdict, ratio_by_day, ratio_finding, ratio_verdict, scaled_interval
from observability.metrics.cost import (
    ANNOTATIONS,
    DATASETS,
    HUMAN_LABELS,
    SEVERAL,
    WORDS,
    CostPart,
    labelling_cost,
    price_note,
    serving_cost,
    storage_cost,
    training_cost_between,
)
from observability.metrics.cost_periods import cost_by_period, cost_total, spent_currencies
from observability.metrics.energy import RESOURCES, RUNS, consumption_question, served_question
from observability.metrics.error_cost import ErrorCost, error_cost
from observability.metrics.month_forecast import MonthForecast, forecast_month_cost, month_cost_claim
from observability.metrics.prices import PRICES, PriceScope
from observability.metrics.token_prices import CallFrames, call_sample, cost_columns, currency_question, logs_tokens
from observability.proofs.spending import COST_PROOFS
from observability.stats.interval import Interval

NAME = "operations/cost"
PAST_DAYS = 56
"""Length of the past: eight weeks. The forecast is fitted to these weeks. They include the elapsed days of the month."""
CHANGE_DAYS = 28
OUTCOMES = Aggregate("outcomes", keys=(By("decision"), By("label")))
ASK = (
    "No price is known: log `cost` with predictions, or records as "
    '{"kind":"price","from":"…","resource":"cpu_hour","amount":0.05,"currency":"EUR"} '
    "(cpu_hour, gpu_hour, kwh, request, label, gb_month)"
)


def needs(context: Context) -> dict[str, Ask]:
    """Ask for predictions and their usage, runs, readings, annotations, prices, and decisions by label."""
    if context.window.slice is not None:
        return {}
    served, use = served_question(), consumption_question(*cost_columns(context.model))
    asks = {
        "served": Ask(served, scope="model"),
        "use": Ask(use, scope="model"),
        "resources": Ask(RESOURCES, scope="model"),
        "runs": Ask(RUNS, scope="model"),
        "prices": Ask(PRICES, scope="model"),
        "annotations": Ask(ANNOTATIONS, scope="model"),
        "datasets": Ask(DATASETS, scope="model"),
        "labels": Ask(HUMAN_LABELS, scope="model"),
        "past served": Ask(served, span="past", days=PAST_DAYS, scope="model"),
        "past use": Ask(use, span="past", days=PAST_DAYS, scope="model"),
        "past resources": Ask(RESOURCES, span="past", days=PAST_DAYS, scope="model"),
        "past labels": Ask(HUMAN_LABELS, span="past", days=PAST_DAYS, scope="model"),
        "past annotations": Ask(ANNOTATIONS, span="past", days=PAST_DAYS, scope="model"),
        "currencies": Ask(currency_question(), scope="model"),
        "past currencies": Ask(currency_question(), span="past", days=PAST_DAYS, scope="model"),
    }
    if logs_tokens(context.model):
        asks |= {
            "calls": Ask(call_sample(context.model), scope="model"),
            "past calls": Ask(call_sample(context.model), span="past", days=PAST_DAYS, scope="model"),
        }
    if context.model.task in ("binary", "multiclass"):
        asks["outcomes"] = Ask(OUTCOMES, scope="model")
    return asks


@dataclass(frozen=True)
class Spent:
    """Costs by part.

    parts: the parts of the window. parts_past: the parts of the eight weeks before. currency: the judged currency. others: amounts of the
    window in other currencies. served: sum of the weights of the window's predictions. rows: number of stored predictions. by_part: cost of
    each part in the judged currency.
    """

    parts: list[CostPart]
    parts_past: list[CostPart]
    currency: str | None
    others: dict[str, float]
    served: float
    rows: int
    by_part: dict[str, float]

    @property
    def total(self) -> float:
        """Total cost of the window in the judged currency."""
        return sum(self.by_part.values())


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about the cost of 1,000 predictions, the cost of the month, of a right decision and of an avoided error, and the cost
    of errors.
    """
    if "served" not in frames:
        return []
    spent = spending_of(frames, context)
    of_errors = error_cost(context.model, frames["outcomes"]) if "outcomes" in frames else None
    if any(part.method == SEVERAL for part in spent.parts):
        because = "The calls state costs in several currencies, which are not added, so the cost of serving is unknown."
        metrics = (("cost_per_thousand", "past"), ("month_cost", "level"))
        unknown = [undecided_cost(context, metric, spent.rows, because, against) for metric, against in metrics]
        return unknown + cost_of_errors_findings(context, of_errors)
    month = of_month(context, spent)
    if any(part.method == SEVERAL for part in spent.parts_past):
        because = (
            "The cost of the month is unknown: calls of the eight weeks before state costs in several currencies, which are not added."
        )
        month = undecided_cost(context, "month_cost", spent.rows, because, "level")
    found = [per_thousand(frames, context, spent), month]
    if "outcomes" in frames:
        found += [per_correct(context, spent, of_errors), per_avoided(context, spent, of_errors)]
    return found + cost_of_errors_findings(context, of_errors)


def spending_of(frames: Frames, context: Context) -> Spent:
    """Return all parts of the window and of the past."""
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    parts, past = parts_of(frames, context, ""), parts_of(frames, context, "past ")
    known = spent_currencies(parts, context.model.settings) or spent_currencies(past, context.model.settings)
    first = known[0] if known else None
    by_part = {part.name: cost_total(part, first, start, end) for part in parts} if first is not None else {}
    others = {each: sum(cost_total(part, each, start, end) for part in parts) for each in known[1:]}
    served = frames["served"]
    return Spent(parts, past, first, others, float(served["w"].sum()), int(served["n"].sum()), by_part)


def parts_of(frames: Frames, context: Context, when: str) -> list[CostPart]:
    """Return the costs of training, labelling, serving and storage in the window (`when` is "") or in the time before it (`when` is "past
    ").
    """
    import pandas as pd

    place = PriceScope(context.model.name, context.model.settings)
    prices, resources = frames["prices"], frames[f"{when}resources"]
    calls = CallFrames(frames[f"{when}currencies"], frames.get(f"{when}calls"))
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    readings = [each for each in (frames["past resources"], frames["resources"]) if len(each)]
    known = pd.concat(readings, ignore_index=True) if len(readings) > 1 else readings[0] if readings else resources
    return [
        training_cost_between(frames["runs"], known, prices, place, *((None, start) if when else (start, end))),
        labelling_cost(frames[f"{when}annotations"], frames[f"{when}labels"], prices, place),
        serving_cost(frames[f"{when}served"], frames[f"{when}use"], resources, prices, place, calls),
        storage_cost(
            frames["datasets"], frames["runs"], prices, place, *((start - timedelta(days=PAST_DAYS), start) if when else (start, end))
        ),
    ]


def bulk_price(each: float) -> tuple[float, str]:
    """Return the price of one, a thousand or a million units, and the word for that number ("" for one). The smallest of these numbers with
    a price of at least 0.01 is used; if there is none, a million.
    """
    return next(((each * n, word) for n, word in ((1, ""), (1_000, "thousand")) if abs(each) * n >= 0.01), (each * 1e6, "million"))


def served_price(thousand: float | None, currency: str | None) -> str:
    """Return `Serving a thousand predictions costs USD 0.25`; if that price is below 0.01, the price of a million predictions."""
    price, number = (1_000 * thousand, "million") if thousand and thousand < 0.01 else (thousand, "thousand")
    return f"Serving a {number} predictions costs {amount_words(price, currency)}"


def price_of(each: float, currency: str | None, one: str, many: str) -> str:
    """Return `A right decision costs USD 1.20` or `A million right decisions cost USD 92.50`."""
    price, number = bulk_price(each)
    return f"A {number} {many} cost {amount_words(price, currency)}" if number else f"{one} costs {amount_words(price, currency)}"


def level_price_words(each: float | None, currency: str | None, level: float) -> str:
    """Return a level of the unit price as an amount, for the same number of units for which `price_of` states the price."""
    price, _ = bulk_price(each or 0.0)
    return amount_words(level * price / each if each else level, currency)


def amount_words(amount: float | None, currency: str | None) -> str:
    """Return an amount with its currency, such as `USD 1.23` or `USD 0.0123`; below 0.0001, `less than USD 0.0001`."""
    if amount is None:
        return "unknown"
    if 0 < abs(amount) < 1e-4:
        return f"less than {amount_words(1e-4, currency)}"
    figure = f"{amount:,.2f}" if abs(amount) >= 0.995 or amount == 0 else max(f"{amount:.3g}", f"{amount:.2f}", key=len)
    return f"{currency} {figure}" if currency else f"{figure} (no currency was logged)"


def undecided_cost(context: Context, metric: str, n: int, because: str, against: str = "level") -> Finding:
    """Return a finding of severity `unknown` about the whole model. The other findings are made from it by `replace`."""
    return context.undecided(NAME, "model", metric, n, because, against="past" if against == "past" else "level", whole_model=True)


def per_thousand(frames: Frames, context: Context, spent: Spent) -> Finding:
    """Return the finding about the serving cost of a thousand predictions, compared with the 28 days before."""
    import pandas as pd

    part = spent.parts[2]
    base = undecided_cost(context, "cost_per_thousand", spent.rows, "", "past")
    if spent.served <= 0:
        return replace(base, because="No predictions in this window, so their cost is unknown.")
    if spent.currency is None or part.method is None:
        return replace(base, because=f"{ASK}.")
    currency = str(part.rows["currency"].iloc[-1]) if len(part.rows) else spent.currency
    before = spent.parts_past[2] if spent.parts_past[2].method == part.method else None
    now = cost_by_period(frames["served"], part, currency)
    hours = cost_by_period(frames["served"], part, currency, "h").rename_axis("period").reset_index()
    since = pd.Timestamp(naive_utc(context.window.start)) - pd.Timedelta(days=CHANGE_DAYS)
    past = (
        cost_by_period(frames["past served"], before, currency, "h").rename_axis("period").reset_index()
        if before is not None
        else hours.iloc[:0]
    )
    verdict = ratio_verdict(hours, past[past["period"] >= since], "amount", context, now, level_name(base))
    place = PriceScope(context.model.name, context.model.settings)
    said = price_note(part, frames["prices"], place, naive_utc(context.window.end))
    factors = cost_causes(frames, context, verdict, part, before, currency)
    because = (
        f"{served_price(verdict.now.value, currency)} ({WORDS[part.method]}, "
        f"{part.source}{said}; {spent.rows:,} predictions)"
        f"{other_currencies(spent, currency)}: {verdict.comparison}{ratio_causes.factor_sentence(factors, verdict)}."
    )
    evidence = {
        "currency": currency,
        "method": part.method,
        "source": part.source,
        "parts": spent.by_part,
        "currencies": spent.others,
        "by_day": ratio_by_day(now, ["amount"]),
        **ratio_causes.factor_evidence(factors),
    }
    return ratio_finding(base, verdict, because=because, basis=cost_basis(part.source), evidence=evidence)


def cost_causes(
    frames: Frames, context: Context, verdict: RatioVerdict, part: CostPart, before: CostPart | None, currency: str
) -> list[Factor]:
    """Return how price and units of the analyzed part of the window changed from the 28 days before."""
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    first, since = ratio_causes.analyzed_start(verdict, start, end), start - timedelta(days=CHANGE_DAYS)
    now = replace(part, rows=ratio_causes.rows_between(part.rows, "at", first))
    then = None if before is None else replace(before, rows=ratio_causes.rows_between(before.rows, "at", since))
    served = ratio_causes.rows_between(frames["served"], "period", first), ratio_causes.rows_between(frames["past served"], "period", since)
    return ratio_causes.of_cost(now, then, currency, frames["prices"], PriceScope(context.model.name, context.model.settings), served)


def other_currencies(spent: Spent, currency: str | None = None) -> str:
    """Return the amounts in other currencies than the given one (by default the judged one), in words, one amount for each currency."""
    own = currency or spent.currency
    amounts = ({} if spent.currency is None else {spent.currency: spent.total}) | spent.others
    others = [amount_words(amount, each) for each, amount in amounts.items() if each != own]
    return "; apart from that, not converted: " + ", ".join(others) if others else ""


def of_month(context: Context, spent: Spent) -> Finding:
    """Return the finding about the forecast cost of the month, compared with the budget."""
    settings = context.model.settings
    currency = spent.currency
    base = undecided_cost(context, "month_cost", 0, "")
    if spent.currency is None:
        return replace(base, because="No cost is known: the month has no forecast.")
    if spent.served <= 0 and spent.total <= 0:
        return replace(base, because="Nothing was served or spent in this window: the month has no forecast.")
    found: MonthForecast = forecast_month_cost(spent.parts, spent.parts_past, currency or "", context)
    n = found.forecast.n
    if found.value is None:
        missing = max(found.needed - n, 1)
        because = f"The month's cost cannot be forecast from {n} days: it needs about {missing} more."
        return replace(base, n=n, because=because)
    comparable = settings.budget_currency in (None, currency)
    severity, because = month_cost_claim(found, settings.budget_per_month if comparable else None, currency or "", amount_words)
    if not comparable and settings.budget_per_month is not None:
        other = f"the budget is in {settings.budget_currency}, and nothing is converted."
        because = because.replace("no budget is set: set `budget_per_month`.", other)
    if others := other_currencies(spent):
        because = f"{because.removesuffix('.')}{others} in this window."
    return replace(
        base,
        value=found.value,
        low=found.low,
        high=found.high,
        n=n,
        limit=settings.budget_per_month if comparable else None,
        basis="estimated" if found.days_left else basis_of_all(spent),
        severity=severity,
        because=because,
        rank=5.0 if needs_action(severity) else 0.0,
        evidence={
            "currency": currency,
            "spent": found.spent,
            "method": found.forecast.method,
            "month_end": found.end.isoformat(),
            "by_day": found.rows,
            "days_left": found.days_left,
            "parts": dict(found.by_part),
            **priced_alike(spent),
        },
    )


def per_correct(context: Context, spent: Spent, found: ErrorCost | None) -> Finding:
    """Return the finding about the cost of a right decision: the cost of the window divided by the number of predictions and by the
    accuracy.
    """
    base = undecided_cost(context, "cost_per_correct_decision", round(found.n) if found else 0, "")
    if found is None:
        return replace(base, because="No labelled decisions in this window, so the cost of a right one is unknown.")
    if spent.currency is None or spent.served <= 0 or not spent.total > 0:
        return replace(base, because="The cost of this window is unknown, and so is the cost of a right decision.")
    each = cost_per_rate(found.accuracy, spent.total / spent.served)
    if each.value is None or each.low is None or each.high is None:
        return replace(base, because="Accuracy is not significantly above 0, so the cost of a right decision is unknown.")
    because = (
        f"{price_of(each.value, spent.currency, 'A right decision', 'right decisions')}: {amount_words(spent.total, spent.currency)} for "
        f"{spent.rows:,} predictions, at an accuracy of {100 * (found.accuracy.value or 0):.1f} % on {found.n:,.0f} labelled ones"
        f"{cost_shares_words(spent)}{other_currencies(spent)}."
    )
    measured = replace(
        base,
        value=each.value,
        low=each.low,
        high=each.high,
        because=because,
        basis=basis_of_all(spent),
        evidence={"currency": spent.currency, "parts": spent.by_part, "method": spent.parts[2].method, **priced_alike(spent)},
    )
    return held_against_level(measured, context.model.settings.limits, partial(level_price_words, each.value, spent.currency))


def cost_shares_words(spent: Spent) -> str:
    """Return the shares of the parts in the total cost, in words."""
    told = [f"{name} {100 * amount / spent.total:.0f} %" for name, amount in spent.by_part.items() if amount > 0]
    return "" if len(told) < 2 else "; " + ", ".join(told)


def per_avoided(context: Context, spent: Spent, found: ErrorCost | None) -> Finding:
    """Return the finding about the cost of each error avoided relative to the majority decision."""
    base = undecided_cost(context, "cost_per_error_avoided", round(found.n) if found else 0, "")
    if found is None:
        return replace(base, because="No labelled decisions in this window, so the cost of an avoided error is unknown.")
    avoided, class_name = found.avoided, context.model.settings.class_names.get
    against = f"always deciding `{class_name(found.majority, found.majority)}`, the most frequent of these labels"
    if avoided.value is None or avoided.low is None or avoided.low <= 0:
        value = avoided.value or 0.0
        return replace(
            base,
            because=f"Against {against}, the model avoids {1000 * value:,.0f} errors in a thousand decisions, not significantly "
            "more than 0.",
        )
    if spent.currency is None or spent.served <= 0 or not spent.total > 0:
        return replace(
            base,
            because=f"The model avoids {1000 * avoided.value:,.0f} errors in a thousand against {against}; their cost is unknown.",
        )
    each = cost_per_rate(avoided, spent.total / spent.served)
    because = (
        f"{price_of(each.value or 0.0, spent.currency, 'An avoided error', 'avoided errors')}: against {against}, the model makes "
        f"{1000 * avoided.value:,.0f} fewer errors per "
        f"thousand decisions ({found.n:,.0f} labelled){other_currencies(spent)}."
    )
    measured = replace(
        base,
        value=each.value,
        low=each.low,
        high=each.high,
        because=because,
        basis=basis_of_all(spent),
        evidence={
            "currency": spent.currency,
            "majority": found.majority,
            "avoided_per_thousand": 1000 * avoided.value,
            "parts": spent.by_part,
            "method": spent.parts[2].method,
            **priced_alike(spent),
        },
    )
    return held_against_level(measured, context.model.settings.limits, partial(level_price_words, each.value, spent.currency))


def priced_alike(spent: Spent) -> dict[str, str | bool | None]:
    """Return the method by which serving is priced (None if it changed since the weeks before), and whether there is only one currency."""
    methods = {each.method for each in (spent.parts[2], spent.parts_past[2]) if each.method is not None}
    currencies = {currency for part in (*spent.parts, *spent.parts_past) for currency in part.rows["currency"]}
    return {"serving": methods.pop() if len(methods) == 1 else None, "one_currency": len(currencies) == 1}


def cost_of_errors_findings(context: Context, found: ErrorCost | None) -> list[Finding]:
    """Return the finding about the cost of errors per 1,000 decisions, compared with the cheapest constant decision.

    Empty without error costs.
    """
    if found is None or found.lost is None or found.lost.value is None or found.lost.low is None or found.lost_by_constant is None:
        return []
    each, limit = scaled_interval(found.lost, 1000.0), 1000.0 * found.lost_by_constant
    assert each.low is not None
    currency, constant = context.model.settings.cost_currency, found.constant or ""
    worse = each.low > limit
    verdict = "more than" if worse else "less than" if each.high is not None and each.high < limit else "not significantly different from"
    because = (
        f"Errors cost {amount_words(each.value, currency)} per thousand decisions (owner's figures, {found.n:,.0f} labelled), {verdict} "
        f"the {amount_words(limit, currency)} of always deciding `{context.model.settings.class_names.get(constant, constant)}`."
    )
    return [
        replace(
            undecided_cost(context, "money_lost_per_thousand", round(found.n), because),
            value=each.value,
            low=each.low,
            high=each.high,
            limit=limit,
            severity="watch" if worse else "ok",
            likely_source="model" if worse else None,
            rank=3.0 if worse else 0.0,
            evidence={"currency": currency, "constant_decision": found.constant},
        )
    ]


def cost_per_rate(rate: Interval, cost: float) -> Interval:
    """Return a cost divided by a rate; the interval comes from the ends of the rate's interval. Unknown unless the rate's interval is above
    0.
    """
    if rate.value is None or not rate.value > 0 or rate.low is None or rate.high is None or not rate.low > 0:
        return Interval(None, None, None, rate.n)
    return Interval(cost / rate.value, cost / rate.high, cost / rate.low, rate.n)


def cost_basis(source: str) -> Basis:
    """Return the basis of a finding; assumed values count as estimated, and the sentence says so."""
    return "measured" if source == "measured" else "estimated"


def basis_of_all(spent: Spent) -> Basis:
    """Return `measured` if every part with a cost is measured, else `estimated`."""
    paid = [part.source for part in spent.parts if spent.by_part.get(part.name, 0.0) > 0]
    return "measured" if all(each == "measured" for each in paid) else "estimated"


ANALYZER = Analyzer(
    NAME,
    "What does the model cost, and does it stay within the month's budget?",
    needs,
    analyze,
    limits={"cost_per_thousand": ACT, "cost_per_correct_decision": None, "cost_per_error_avoided": None},
    proofs=COST_PROOFS,
)
