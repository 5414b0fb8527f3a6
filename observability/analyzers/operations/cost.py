"""What does the model cost, in training, labelling, serving and storage, and does it stay within the month's budget?

Everything is about the model as a whole. Money in several currencies is never added up: the first of them (the budget's, else that of serving) is
judged, and the others are named.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Basis, Finding, needs_action
from observability.core.questions import Aggregate, By
from observability.core.time import naive_utc
from observability.detection import ratio_causes
from observability.detection.ratio_causes import Factor
from observability.detection.ratio_changes import Judged, by_day, filled, judge, scaled
from observability.metrics.cost import (
    ANNOTATIONS,
    DATASETS,
    HUMAN_LABELS,
    WORDS,
    Errors,
    Part,
    by_parts,
    currencies,
    errors,
    labelling_part,
    priced_from,
    serving_part,
    storage_part,
    total,
    training_between,
)
from observability.metrics.energy import RESOURCES, RUNS, served_question, use_question
from observability.metrics.month_forecast import Month, because_month, month
from observability.metrics.prices import PRICES, Place
from observability.stats.interval import Interval

NAME = "operations/cost"
PAST_DAYS = 56
"""Eight weeks: the forecast learns from them, and the month's days so far are among them."""
CHANGE_DAYS = 28
OUTCOMES = Aggregate("outcomes", keys=(By("decision"), By("label")))
ASK = (
    'No price is known: log `cost` with predictions, or records as {"kind":"price","from":"…","resource":"cpu_hour","amount":0.05,"currency":"EUR"} '
    "(cpu_hour, gpu_hour, kwh, request, label, gb_month)"
)


def needs(context: Context) -> dict[str, Ask]:
    """What was served and what it says of itself, runs and readings, annotations, prices, and decisions by label."""
    if context.window.slice is not None:
        return {}
    served, use = served_question(), use_question("cost")
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
    }
    if context.model.task in ("binary", "multiclass"):
        asks["outcomes"] = Ask(OUTCOMES, scope="model")
    return asks


@dataclass(frozen=True)
class Spent:
    """What was spent. parts: of the window, parts_past: of the eight weeks before. currency: the one that is judged. others: the rest, with amounts of
    the window. served: Σ weight of the window's predictions, rows: how many were stored.
    """

    parts: list[Part]
    parts_past: list[Part]
    currency: str | None
    others: dict[str, float]
    served: float
    rows: int
    by_part: dict[str, float]

    @property
    def total(self) -> float:
        """Money of the window in the currency that is judged."""
        return sum(self.by_part.values())


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Cost of a thousand predictions against the past, of the month against the budget, of a right decision, of an error avoided, and of errors."""
    if "served" not in frames:
        return []
    spent = spending_of(frames, context)
    of_errors = errors(context.model, frames["outcomes"]) if "outcomes" in frames else None
    found = [per_thousand(frames, context, spent), of_month(context, spent)]
    if "outcomes" in frames:
        found += [per_correct(context, spent, of_errors), per_avoided(context, spent, of_errors)]
    return found + lost(context, of_errors)


def spending_of(frames: Frames, context: Context) -> Spent:
    """All parts of the window and of the past."""
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    parts, past = parts_of(frames, context, ""), parts_of(frames, context, "past ")
    known = currencies(parts, context.model.settings) or currencies(past, context.model.settings)
    first = known[0] if known else None
    by_part = {part.name: total(part, first, start, end) for part in parts} if first is not None else {}
    others = {each: sum(total(part, each, start, end) for part in parts) for each in known[1:]}
    served = frames["served"]
    return Spent(parts, past, first, others, float(served["w"].sum()), int(served["n"].sum()), by_part)


def parts_of(frames: Frames, context: Context, when: str) -> list[Part]:
    """Training, labelling, serving and storage of the window (when "") or of the days before it (when "past ")."""
    import pandas as pd

    place = Place(context.model.name, context.model.settings)
    prices, resources = frames["prices"], frames[f"{when}resources"]
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    readings = [each for each in (frames["past resources"], frames["resources"]) if len(each)]
    known = pd.concat(readings, ignore_index=True) if len(readings) > 1 else readings[0] if readings else resources
    return [
        training_between(frames["runs"], known, prices, place, *((None, start) if when else (start, end))),
        labelling_part(frames[f"{when}annotations"], frames[f"{when}labels"], prices, place),
        serving_part(frames[f"{when}served"], frames[f"{when}use"], resources, prices, place),
        storage_part(
            frames["datasets"], frames["runs"], prices, place, *((start - timedelta(days=PAST_DAYS), start) if when else (start, end))
        ),
    ]


def money(amount: float | None, currency: str | None) -> str:
    """USD 1.23, with as many digits as a small amount needs."""
    if amount is None:
        return "unknown"
    figure = f"{amount:,.2f}" if abs(amount) >= 0.995 or amount == 0 else f"{amount:#.3g}"
    if "e" in figure:
        figure = f"{amount:.12f}".rstrip("0")
    return f"{currency} {figure}" if currency else f"{figure} (no currency was logged)"


def blank(context: Context, metric: str, n: int, because: str, against: str = "level") -> Finding:
    """A finding about the whole model that cannot tell."""
    return context.undecided(NAME, "model", metric, n, because, against="past" if against == "past" else "level", whole_model=True)


def per_thousand(frames: Frames, context: Context, spent: Spent) -> Finding:
    """What serving a thousand predictions costs, against the 28 days before."""
    import pandas as pd

    part = spent.parts[2]
    base = blank(context, "cost_per_thousand", spent.rows, "", "past")
    if spent.served <= 0:
        return replace(base, because="No predictions in this window, so nothing can be told of what they cost.")
    if spent.currency is None or part.method is None:
        return replace(base, because=f"{ASK}.")
    currency = str(part.rows["currency"].iloc[-1]) if len(part.rows) else spent.currency
    before = spent.parts_past[2] if spent.parts_past[2].method == part.method else None
    now = by_parts(frames["served"], part, currency)
    hours = by_parts(frames["served"], part, currency, "h").rename_axis("period").reset_index()
    since = pd.Timestamp(naive_utc(context.window.start)) - pd.Timedelta(days=CHANGE_DAYS)
    past = (
        by_parts(frames["past served"], before, currency, "h").rename_axis("period").reset_index() if before is not None else hours.iloc[:0]
    )
    judged = judge(hours, past[past["period"] >= since], "amount", context, now)
    place = Place(context.model.name, context.model.settings)
    said = priced_from(part, frames["prices"], place, naive_utc(context.window.end))
    factors = why(frames, context, judged, part, before, currency)
    because = (
        f"Serving a thousand predictions costs {money(judged.now.value, currency)} ({WORDS[part.method]}, {part.source}{said}; {spent.rows:,} predictions)"
        f"{apart(spent)}: {judged.said}{ratio_causes.said(factors, judged)}."
    )
    evidence = {
        "currency": currency, "method": part.method, "source": part.source, "parts": spent.by_part, "currencies": spent.others,
        "by_day": by_day(now, ["amount"]), **ratio_causes.facts(factors),
    }  # fmt: skip
    return filled(base, judged, because=because, basis=basis_of(part.source), evidence=evidence)


def why(frames: Frames, context: Context, judged: Judged, part: Part, before: Part | None, currency: str) -> list[Factor]:
    """Price and units of the part of the window that the sentence is about, against the 28 days before."""
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    first, since = ratio_causes.stretch(judged, start, end), start - timedelta(days=CHANGE_DAYS)
    now = replace(part, rows=ratio_causes.inside(part.rows, "at", first))
    then = None if before is None else replace(before, rows=ratio_causes.inside(before.rows, "at", since))
    served = ratio_causes.inside(frames["served"], "period", first), ratio_causes.inside(frames["past served"], "period", since)
    return ratio_causes.of_cost(now, then, currency, frames["prices"], Place(context.model.name, context.model.settings), served)


def apart(spent: Spent) -> str:
    """Money in other currencies, which is not added."""
    if not spent.others:
        return ""
    return "; apart from that, not converted: " + ", ".join(money(amount, each) for each, amount in spent.others.items())


def of_month(context: Context, spent: Spent) -> Finding:
    """What the month will have cost at its end, against the budget."""
    settings = context.model.settings
    currency = spent.currency
    base = blank(context, "month_cost", 0, "")
    if spent.currency is None:
        return replace(base, because="No cost is known, so the month's is not forecast.")
    if spent.served <= 0 and spent.total <= 0:
        return replace(base, because="Nothing was served or spent in this window, so the month's cost is not forecast.")
    found: Month = month(spent.parts, spent.parts_past, currency or "", context)
    n = found.forecast.n
    if found.value is None:
        missing = max(found.needed - n, 1)
        because = f"The month's cost cannot be forecast from {n} days: it needs about {missing} more."
        return replace(base, n=n, because=because)
    comparable = settings.budget_currency in (None, currency)
    severity, because = because_month(found, settings.budget_per_month if comparable else None, currency or "", money)
    if not comparable and settings.budget_per_month is not None:
        other = f"the budget is in {settings.budget_currency}, and nothing is converted."
        severity, because = "unknown", because.replace("no budget is set.", other)
    return replace(
        base,
        value=found.value, low=found.low, high=found.high, n=n, limit=settings.budget_per_month if comparable else None, basis="estimated" if found.days_left else basis_of_all(spent), severity=severity,
        because=because, rank=5.0 if needs_action(severity) else 0.0,
        evidence={
            "currency": currency, "spent": found.spent, "method": found.forecast.method, "month_end": found.end.isoformat(),
            "by_day": found.rows, "days_left": found.days_left,
        },
    )  # fmt: skip


def per_correct(context: Context, spent: Spent, found: Errors | None) -> Finding:
    """What a right decision costs: money of the window over predictions times accuracy."""
    base = blank(context, "cost_per_correct_decision", round(found.n) if found else 0, "")
    if found is None:
        return replace(base, because="No labelled decisions in this window, so what a right one costs is not known.")
    if spent.currency is None or spent.served <= 0 or not spent.total > 0:
        return replace(base, because="What this window cost is not known, so neither is what a right decision costs.")
    each = inverse(found.accuracy, spent.total / spent.served)
    if each.value is None or each.low is None or each.high is None:
        return replace(base, because="No decision of this window was right for sure, so what a right one costs is not known.")
    because = (
        f"A right decision costs {money(each.value, spent.currency)}: {money(spent.total, spent.currency)} for {spent.rows:,} predictions, of which "
        f"{100 * (found.accuracy.value or 0):.1f} % are right where that is known ({found.n:,.0f} labelled){shares(spent)}."
    )
    return replace(
        base, value=each.value, low=each.low, high=each.high, severity="ok", because=because, basis=basis_of_all(spent),
        evidence={"currency": spent.currency, "parts": spent.by_part},
    )  # fmt: skip


def shares(spent: Spent) -> str:
    """How the money is divided between the parts."""
    told = [f"{name} {100 * amount / spent.total:.0f} %" for name, amount in spent.by_part.items() if amount > 0]
    return "" if len(told) < 2 else "; " + ", ".join(told)


def per_avoided(context: Context, spent: Spent, found: Errors | None) -> Finding:
    """What one error fewer than the majority decision makes costs."""
    base = blank(context, "cost_per_error_avoided", round(found.n) if found else 0, "")
    if found is None:
        return replace(base, because="No labelled decisions in this window, so what an avoided error costs is not known.")
    avoided = found.avoided
    against = f"always deciding `{found.majority}`, the most frequent of these labels"
    if avoided.value is None or avoided.low is None or avoided.low <= 0:
        value = avoided.value or 0.0
        return replace(
            base,
            because=f"Against {against}, the model avoids {1000 * value:,.0f} errors in a thousand decisions, which is not surely more than none.",
        )
    if spent.currency is None or spent.served <= 0 or not spent.total > 0:
        return replace(
            base,
            because=f"The model avoids {1000 * avoided.value:,.0f} errors in a thousand against {against}; what that costs is not known.",
        )
    each = inverse(avoided, spent.total / spent.served)
    because = (
        f"An avoided error costs {money(each.value, spent.currency)}: against {against}, the model makes {1000 * avoided.value:,.0f} errors fewer in a "
        f"thousand decisions ({found.n:,.0f} labelled)."
    )
    return replace(
        base, value=each.value, low=each.low, high=each.high, severity="ok", because=because, basis=basis_of_all(spent),
        evidence={"currency": spent.currency, "majority": found.majority, "avoided_per_thousand": 1000 * avoided.value},
    )  # fmt: skip


def lost(context: Context, found: Errors | None) -> list[Finding]:
    """What the errors of a thousand decisions cost, against the constant decision that loses least; nothing where the owner set no costs."""
    if found is None or found.lost is None or found.lost.value is None or found.lost.low is None or found.lost_by_constant is None:
        return []
    each, limit = scaled(found.lost, 1000.0), 1000.0 * found.lost_by_constant
    assert each.low is not None
    currency = context.model.settings.cost_currency
    worse = each.low > limit
    verdict = "more than" if worse else "less than" if each.high is not None and each.high < limit else "not surely unlike"
    because = (
        f"Errors lose {money(each.value, currency)} in a thousand decisions by the owner's figures ({found.n:,.0f} labelled), {verdict} the "
        f"{money(limit, currency)} of always deciding `{found.constant}`."
    )
    return [
        replace(
            blank(context, "money_lost_per_thousand", round(found.n), because),
            value=each.value, low=each.low, high=each.high, limit=limit, severity="watch" if worse else "ok",
            likely_source="model" if worse else None, rank=3.0 if worse else 0.0,
            evidence={"currency": currency, "constant_decision": found.constant},
        )
    ]  # fmt: skip


def inverse(rate: Interval, cost: float) -> Interval:
    """The cost over a rate, with the interval of the rate turned around; unknown where the rate may be 0."""
    if rate.value is None or not rate.value > 0 or rate.low is None or rate.high is None or not rate.low > 0:
        return Interval(None, None, None, rate.n)
    return Interval(cost / rate.value, cost / rate.high, cost / rate.low, rate.n)


def basis_of(source: str) -> Basis:
    """What is assumed goes as estimated, and its sentence says assumed."""
    return "measured" if source == "measured" else "estimated"


def basis_of_all(spent: Spent) -> Basis:
    """Measured where every part that cost something is."""
    paid = [part.source for part in spent.parts if spent.by_part.get(part.name, 0.0) > 0]
    return "measured" if all(each == "measured" for each in paid) else "estimated"


ANALYZER = Analyzer(NAME, "What does the model cost, and does it stay within the month's budget?", needs, analyze)
