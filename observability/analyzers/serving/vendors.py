"""Compare a vendor's answers to fixed questions with a baseline and with the round before: changes that the vendor does not declare.

Reads predictions of environment `probe` (docs/third-party-models.md). Each set of questions of a model is judged by its newest round.
The findings name the model and, as subject, the set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, Source, iso, needs_action
from observability.core.formatting import format_day, plural
from observability.core.numerals import format_figure, percent
from observability.core.questions import Records
from observability.core.time import aware_utc, naive_utc
from observability.detection.answer_changes import LEAST, AnswerChanges, RoundCounts, answer_changes, rate_changes
from observability.detection.own_history import usual_values
from observability.detection.probe_rounds import ProbeRounds, probe_rounds
from observability.proofs.vendors import VENDOR_PROOFS
from observability.stats.arrays import Floats
from observability.stats.forecast import Forecast, forecast_sum
from observability.stats.interval import rate_interval
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.paired import paired_rates

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/vendors"
CHANGED, FLIPS, SIMILAR, FORM, REFUSED, FAILED, RIGHT = (
    "answer_change_rate",
    "answer_flip_rate",
    "answer_similarity",
    "format_failure_rate",
    "refusal_rate",
    "probe_failure_rate",
    "probe_accuracy",
)
LATENCY, TOKENS, COST, RUBRIC, VERSIONS = "probe_latency", "probe_tokens", "probe_month_cost", "rubric_score", "declared_versions"
ANSWERS = Records(
    "prediction",
    ("id", "at", "model", "version", "status", "prediction", "latency_ms", "cost", "features", "extra"),
    ever=True,
)
ACCEPTED = Records("event", ("at", "model", "text", "extra"), ever=True, rows=1000, only=(("what", "deploy"),))
ACCEPTS = "accepts_answers"
"""Extra field of an event by which a person accepts a set's answers as the new baseline; its value is the name of the set."""
LEAST_ACT, LEAST_WATCH = (0.08, 5), (0.03, 3)
"""Share of questions above the usual one, and number of answers, from which a rate is `act` and `watch`."""
SURER = 5.0
"""The p-value of `act` is so many times smaller than that of `watch`, which is the budget of false discoveries."""
FACTORS = {LATENCY: (1.5, 3.0), TOKENS: (1.25, 2.0)}
"""Factors between the usual and the newest value from which it is `watch` and `act`."""
STEPS = {SIMILAR: (0.05, 0.15), RUBRIC: (0.05, 0.15)}
"""Falls, as parts of the usual value, from which it is `watch` and `act`."""
LEAST_SPREAD_OF_MEANS = 0.02
"""Smallest standard deviation of a mean similarity or score, as part of it."""
NOUNS = {FORM: "are not in the requested format", REFUSED: "are refusals", FAILED: "got no answer"}
SOURCES: dict[str, Source] = {FAILED: "system", LATENCY: "system", TOKENS: "model"}
RANKS = {CHANGED: 6.0, RIGHT: 5.5, FLIPS: 5.0, SIMILAR: 4.8, REFUSED: 4.6, FORM: 4.4, FAILED: 4.2, RUBRIC: 4.0, TOKENS: 2.0, LATENCY: 1.8}
HISTORY_DAYS = 28


def needs(context: Context) -> dict[str, Ask]:
    """Ask for all answers to fixed questions, and for what people accepted."""
    return {"answers": Ask(ANSWERS), "events": Ask(ACCEPTED)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about each set of questions of each model."""
    sets = [(each, accepted_at(frames["events"], each)) for each in probe_rounds(frames["answers"])]
    return findings_about_rounds(sets, context)


def findings_about_rounds(sets: Sequence[tuple[ProbeRounds, datetime | None]], context: Context) -> list[Finding]:
    """Return the findings about sets, each with the time since which its answers may be its baseline (None: from the first)."""
    found: list[Finding] = []
    asked = [(rounds, newest_round(rounds, context), accepted) for rounds, accepted in sets if is_asked(rounds, context)]
    judged = [(rounds, last, None if last is None else answer_changes(rounds, last, accepted)) for rounds, last, accepted in asked]
    for rounds, last, changes in judged:
        if last is None:
            because = f"No question of set `{rounds.name}` was asked in this window; the last round was on {format_day(rounds.times[-1])}."
            found.append(undecided_set(context, rounds, CHANGED, 0, because))
        elif changes is None:
            found.append(undecided_set(context, rounds, CHANGED, int(rounds.answered[last].sum()), too_few(rounds, last)))
        else:
            found += about_set(JudgedSet(rounds, changes, last, context, len(judged)))
        if last is not None:
            found += about_versions(rounds, last, context)
            found += about_cost(rounds, context)
    return found


def is_asked(rounds: ProbeRounds, context: Context) -> bool:
    """Whether the set was asked in the window or the four weeks before it: an older one has ended."""
    return aware_utc(rounds.times[-1]) >= context.window.start - timedelta(days=HISTORY_DAYS)


def newest_round(rounds: ProbeRounds, context: Context) -> int | None:
    """The last round of the window; None where there is none."""
    inside = [place for place, at in enumerate(rounds.times) if context.window.start <= aware_utc(at) < context.window.end]
    return inside[-1] if inside else None


def accepted_at(events: "DataFrame", rounds: ProbeRounds) -> datetime | None:
    """When a person last accepted the set's answers as the baseline; naive UTC, None where nobody did."""
    if events.empty:
        return None
    own = [
        at.to_pydatetime()
        for at, model, extra in zip(events["at"], events["model"], events["extra"], strict=True)
        if model == rounds.model and isinstance(extra, Mapping) and extra.get(ACCEPTS) == rounds.name
    ]
    return max(own, default=None)


def too_few(rounds: ProbeRounds, last: int) -> str:
    """Why there is no baseline yet, and what it needs."""
    alike = rounds.comparable(last) if rounds.free_text else np.ones(len(rounds.times), bool)
    usable = int((alike & (2 * rounds.answered.sum(axis=1) >= len(rounds.items))).sum())
    more = max(LEAST + 1 - usable, 1)
    other = int((~alike[:last]).sum())
    encoder = f"`{rounds.encoders[last]}` encoded the newest round, and not {plural(other, 'earlier round')}. " if other else ""
    return (
        f"{encoder}The answers to set `{rounds.name}` cannot be compared yet: a baseline needs {LEAST} rounds in which most questions "
        f"were answered, and one more to compare; that needs about {plural(more, 'more round')}."
    )


def undecided_set(context: Context, rounds: ProbeRounds, metric: str, n: int, because: str) -> Finding:
    """Return the finding of severity `unknown` about a set, the template of the others."""
    base = context.undecided(NAME, f"probes:{rounds.name}", metric, n, because, against="past", whole_model=True)
    return replace(base, model=rounds.model)


@dataclass(frozen=True, eq=False)
class JudgedSet:
    """A set with its comparison. last: the judged round; sets: number of sets that are judged together."""

    rounds: ProbeRounds
    changes: AnswerChanges
    last: int
    context: Context
    sets: int

    def finding(self, metric: str, n: int, because: str, **fields: Any) -> Finding:
        """A finding about the set."""
        severity: Severity = fields.get("severity", "ok")
        base = undecided_set(self.context, self.rounds, metric, n, because)
        ranked = {"rank": RANKS.get(metric, 1.0), "likely_source": SOURCES.get(metric, "model")} if needs_action(severity) else {}
        return replace(base, **{"severity": "ok", **ranked, **fields})

    @property
    def answers_of_baseline(self) -> dict[str, Any]:
        """Evidence from which the typical answers follow: when the rounds of the baseline began, and whether answers are free text."""
        times = [iso(aware_utc(self.rounds.times[place])) for place in self.changes.baseline]
        return {"baseline_times": times, **self.compared_by}

    @property
    def compared_by(self) -> dict[str, Any]:
        """Evidence of how answers were compared: whether they are free text, and then by which encoder, None for hashed n-grams."""
        return {"free_text": self.rounds.free_text, **({"encoder": self.changes.encoder} if self.rounds.free_text else {})}

    def dated(self, first: int, severity: Severity) -> dict[str, Any]:
        """Onset and news of a change that began with a round."""
        if not needs_action(severity):
            return {}
        onset = aware_utc(self.rounds.times[first])
        return {"onset": onset, "news": "new" if onset >= self.context.window.start else "ongoing"}


def about_set(judged: JudgedSet) -> Iterator[Finding]:
    """Yield the findings about the answers, their form, time and tokens."""
    yield changed_answers(judged)
    yield flips(judged)
    rates = {REFUSED: judged.rounds.refused, FORM: judged.rounds.ill_formed}
    rates[FAILED] = judged.rounds.failed_share
    counted = {metric: rate_changes(values, judged.changes.baseline) for metric, values in rates.items()}
    counted = {metric: counts for metric, counts in counted.items() if counts.n[judged.last] and counts.total}
    levels = {metric: history for metric, history in level_histories(judged).items() if np.isfinite(history.newest)}
    p_values = [*(counts.p_value(judged.last) for counts in counted.values()), *(each.p_value for each in levels.values())]
    right = right_answers(judged)
    p_values += [right[1]] if right else []
    adjusted = benjamini_hochberg(p_values, judged.context.budget)[0].tolist() if p_values else []
    for (metric, counts), p in zip(counted.items(), adjusted, strict=False):
        yield rate_finding(judged, metric, counts, p)
    for (metric, history), p in zip(levels.items(), adjusted[len(counted) :], strict=False):
        yield level_finding(judged, metric, history, p)
    if right:
        yield right_finding(judged, right[0], adjusted[-1])


def severity_of_rate(hits: int, n: int, usual: float, p: float, budget: float) -> Severity:
    """Severity of a share above the usual one: significance and size must agree."""
    more = hits / n - usual if n else 0.0
    if p <= budget / SURER and more >= LEAST_ACT[0] and hits >= LEAST_ACT[1]:
        return "act"
    return "watch" if p <= budget and more >= LEAST_WATCH[0] and hits >= LEAST_WATCH[1] else "ok"


def limit_of_rate(severity: Severity, usual: float) -> float:
    """The share from which it is `act` (of a claim of that severity), else `watch`."""
    return min(usual + (LEAST_ACT[0] if severity == "act" else LEAST_WATCH[0]), 1.0)


def changed_answers(judged: JudgedSet) -> Finding:
    """The finding about answers that differ from the baseline."""
    rounds, counts, last = judged.rounds, judged.changes.against_baseline, judged.last
    hits, n, usual = int(counts.hits[last]), int(counts.n[last]), counts.usual
    p = min(counts.p_value(last) * judged.sets, 1.0)
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    first = counts.onset(last, judged.changes.baseline) if needs_action(severity) else last
    usually = usual_words(usual, n)
    verb = "differs" if hits == 1 else "differ"
    because = f"{hits} of {n} answers of `{rounds.model}` to set `{rounds.name}` {verb} from the baseline; usually {usually}."
    if needs_action(severity):
        when = "in the newest round" if first == last else f"since {format_day(rounds.times[first])}"
        because = f"{hits} of {n} answers of `{rounds.model}` to set `{rounds.name}` {verb} from the baseline {when}; usually {usually}."
        because += f" {version_words(rounds, first)}"
    fields = judged.dated(first, severity) if needs_action(severity) else recovered(judged, counts)
    return judged.finding(
        CHANGED,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual),
        evidence={
            "set": rounds.name,
            "baseline": usual,
            "baseline_n": counts.total,
            "baseline_rounds": len(judged.changes.baseline),
            "p_value": p,
            "round": rounds.times[last].isoformat(),
            **judged.answers_of_baseline,
            "items": [item for item, differs in zip(rounds.items, judged.changes.differs[last], strict=True) if differs][:100],
            **({"onset_known": "dated"} if needs_action(severity) else {}),
        },
        **rate_interval(hits, n).fields,
        **fields,
    )


def recovered(judged: JudgedSet, counts: RoundCounts) -> dict[str, Any]:
    """`news` of a set that is as usual again after a round of this window that was not."""
    rounds, budget = judged.rounds, judged.context.budget
    for place in range(judged.last):
        if aware_utc(rounds.times[place]) < judged.context.window.start or place in judged.changes.baseline:
            continue
        p = min(counts.p_value(place) * judged.sets, 1.0)
        if severity_of_rate(int(counts.hits[place]), int(counts.n[place]), counts.usual, p, budget) == "act":
            return {"news": "recovered"}
    return {}


def usual_words(share: float, n: int) -> str:
    """The usual number among n questions in words."""
    usual = share * n
    return f"{usual:.1f}".removesuffix(".0")


def version_words(rounds: ProbeRounds, first: int) -> str:
    """What the declared version did when a change began: it stayed, changed, or is not declared."""
    then = rounds.versions[first]
    before = next((version for version in reversed(rounds.versions[:first]) if version is not None), None)
    if then is None or before is None or then == "unknown":
        return "No version is declared."
    if then == before:
        return f"The declared version stayed `{then}`: a silent change."
    return f"The declared version changed from `{before}` to `{then}` in that round."


def flips(judged: JudgedSet) -> Finding:
    """The finding about answers that differ from the round before. A change of the answers themselves is judged against the baseline."""
    rounds, counts, last = judged.rounds, judged.changes.against_last, judged.last
    hits, n, usual = int(counts.hits[last]), int(counts.n[last]), counts.usual
    if not n or not counts.total:
        return undecided_set(judged.context, rounds, FLIPS, n, "There is no round before the newest one whose answers can be compared.")
    p = min(counts.p_value(last) * judged.sets, 1.0)
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    severity = "watch" if severity == "act" else severity
    because = f"{hits} of {n} answers to set `{rounds.name}` differ from the round before; usually {usual_words(usual, n)}."
    evidence = {"set": rounds.name, "baseline": usual, "baseline_n": counts.total, "p_value": p, **judged.compared_by}
    return judged.finding(
        FLIPS,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual),
        evidence=evidence,
        **rate_interval(hits, n).fields,
        **judged.dated(last, severity),
    )


def rate_finding(judged: JudgedSet, metric: str, counts: RoundCounts, p: float) -> Finding:
    """The finding about a share of the questions of the newest round."""
    hits, n, usual = int(counts.hits[judged.last]), int(counts.n[judged.last]), counts.usual
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    what = "questions" if metric == FAILED else "answers"
    because = f"{hits} of {n} {what} of set `{judged.rounds.name}` {NOUNS[metric]} in the newest round; usually {percent(usual)} of them."
    first = counts.onset(judged.last, judged.changes.baseline)
    return judged.finding(
        metric,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual),
        evidence={"set": judged.rounds.name, "baseline": usual, "baseline_n": counts.total, "p_adjusted": p},
        **rate_interval(hits, n).fields,
        **judged.dated(first, severity),
    )


@dataclass(frozen=True)
class LevelHistory:
    """A mean or median of the newest round and the usual one; p_value of one as extreme. name: of a rubric's score."""

    newest: float
    usual: float
    p_value: float
    rounds: int
    n: int
    name: str = ""


def level_histories(judged: JudgedSet) -> dict[str, LevelHistory]:
    """Latency, tokens, similarity and rubric scores of the newest round against the rounds of the baseline, as far as they are known."""
    rounds = judged.rounds
    found = {
        LATENCY: compared_level(judged, rounds.latency, np.nanmedian, logs=True),
        TOKENS: compared_level(judged, rounds.output_tokens, np.nanmean, logs=True),
    }
    if judged.changes.similarity is not None:
        found[SIMILAR] = compared_level(judged, judged.changes.similarity, np.nanmean, logs=False)
    scores = [
        replace(each, name=name)
        for name, values in sorted(rounds.rubric.items())
        if (each := compared_level(judged, values, np.nanmean, logs=False))
    ]
    if scores:
        found[RUBRIC] = min(scores, key=lambda each: each.p_value)
    return {metric: each for metric, each in found.items() if each is not None}


def compared_level(judged: JudgedSet, values: Floats, of_round: Any, *, logs: bool) -> LevelHistory | None:
    """The figure of the newest round against those of the baseline's rounds; None where either is missing."""
    known = np.isfinite(values).any(axis=1)
    past = [place for place in judged.changes.baseline if known[place]]
    if not known[judged.last] or len(past) < LEAST:
        return None
    figures = {place: float(of_round(values[place])) for place in (*past, judged.last)}
    middle = float(np.median([figures[place] for place in past]))
    if middle <= 0 or figures[judged.last] <= 0:
        return None
    scale = np.log if logs else np.asarray
    days = np.array([(rounds_day(judged.rounds.times[place])) for place in (*past, judged.last)])
    transformed = scale(np.array([figures[place] for place in (*past, judged.last)]))
    least = {} if logs else {"least": LEAST_SPREAD_OF_MEANS * middle}
    usual = usual_values(transformed[-1:], days[-1:], transformed[:-1], days[:-1], **least)
    if not usual.known:
        return None
    p = float(min(usual.low[0], usual.high[0])) if logs else float(usual.low[0])
    return LevelHistory(figures[judged.last], middle, p, len(past), int(np.isfinite(values[judged.last]).sum()))


def rounds_day(at: datetime) -> int:
    """Whole days since 1970."""
    return (at - datetime(1970, 1, 1)).days


def level_finding(judged: JudgedSet, metric: str, history: LevelHistory, p: float) -> Finding:
    """The finding about a level of the newest round."""
    if metric in FACTORS:
        ratio = history.newest / history.usual
        size, bounds = max(ratio, 1 / ratio if metric == TOKENS else 0.0), FACTORS[metric]
        limits = [history.usual * bound if ratio >= 1 or metric == LATENCY else history.usual / bound for bound in bounds]
    else:
        size, bounds = 1 - history.newest / history.usual, STEPS[metric]
        limits = [history.usual * (1 - bound) for bound in bounds]
    sure = p <= judged.context.budget / SURER
    severity: Severity = "act" if sure and size >= bounds[1] else "watch" if sure and size >= bounds[0] else "ok"
    because = (
        f"{level_words(metric, history)} in the newest round of set `{judged.rounds.name}`; usually {figure_words(metric, history.usual)}."
    )
    return judged.finding(
        metric,
        history.n,
        because,
        severity=severity,
        value=history.newest,
        low=history.newest,
        high=history.newest,
        limit=limits[severity == "act"],
        evidence={
            "set": judged.rounds.name,
            "baseline": history.usual,
            "baseline_rounds": history.rounds,
            "p_adjusted": p,
            **({"score": history.name} if history.name else {}),
            **(judged.compared_by if metric == SIMILAR else {}),
        },
        **judged.dated(judged.last, severity),
    )


def level_words(metric: str, history: LevelHistory) -> str:
    """The level of the newest round in words."""
    value = figure_words(metric, history.newest)
    return {
        LATENCY: f"The median latency is {value}",
        TOKENS: f"An answer has {value} on average",
        SIMILAR: f"Answers are {value} similar to the baseline on average",
    }.get(metric, f"The mean score `{history.name}` is {value}")


def figure_words(metric: str, value: float) -> str:
    """A level with its unit."""
    if metric == LATENCY:
        return f"{value:,.0f} ms"
    return percent(value) if metric == SIMILAR else f"{format_figure(value)} tokens" if metric == TOKENS else format_figure(value)


def right_answers(judged: JudgedSet) -> tuple[tuple[Floats, Floats], float] | None:
    """Right answers of the newest round beside the typical ones of the baseline, on the questions with a known answer; and McNemar's
    p-value.
    """
    rounds, typical = judged.rounds, judged.changes.typical
    before = np.where(typical >= 0, rounds.right[typical, np.arange(typical.size)], np.nan)
    now = rounds.right[judged.last]
    both = np.isfinite(before) & np.isfinite(now)
    if both.sum() < LEAST or judged.rounds.free_text:
        return None
    pair = (now[both], before[both])
    return pair, paired_rates(pair[0] > 0, pair[1] > 0).p_value


def right_finding(judged: JudgedSet, pair: tuple[Floats, Floats], p: float) -> Finding:
    """The finding about right answers, with the interval of the paired difference in its evidence."""
    now, before = (each > 0 for each in pair)
    compared = paired_rates(now, before)
    worse, budget = float(before.mean() - now.mean()), judged.context.budget
    sure = p <= budget and worse > 0
    severity: Severity = "ok" if worse < LEAST_WATCH[0] else "unknown" if not sure else "act" if worse >= LEAST_ACT[0] else "watch"
    hits, n = int(now.sum()), len(now)
    because = f"{hits} of {n} answers to set `{judged.rounds.name}` are right in the newest round, {int(before.sum())} in the baseline."
    if severity == "unknown":
        because += f" The fall of {100 * worse:.3g} points is not significant: more questions are needed."
    difference = compared.difference
    return judged.finding(
        RIGHT,
        n,
        because,
        severity=severity,
        limit=float(before.mean()) - (LEAST_ACT if severity == "act" else LEAST_WATCH)[0],
        evidence={
            "set": judged.rounds.name,
            "baseline": float(before.mean()),
            "difference": list(difference.triple),
            "p_adjusted": p,
            **judged.answers_of_baseline,
        },
        **rate_interval(hits, n).fields,
        **judged.dated(judged.last, severity),
    )


def about_versions(rounds: ProbeRounds, last: int, context: Context) -> Iterator[Finding]:
    """Yield the finding about the version that the vendor declares. A change of it alone asks for nothing."""
    changed = version_changes(rounds, context)
    declared = rounds.versions[last]
    if declared in (None, "unknown"):
        because = f"`{rounds.model}` declares no version in its answers to set `{rounds.name}`."
        yield undecided_set(context, rounds, VERSIONS, 0, because)
        return
    because = f"`{rounds.model}` declares version `{declared}`, as in all rounds of this window."
    if changed:
        told = "; ".join(
            f"from `{rounds.versions[place - 1]}` to `{rounds.versions[place]}` on {format_day(rounds.times[place])}" for place in changed
        )
        because = f"The version that `{rounds.model}` declares changed {told}."
    base = undecided_set(context, rounds, VERSIONS, last + 1, because)
    count = float(len(changed))
    yield replace(
        base,
        severity="ok",
        value=count,
        low=count,
        high=count,
        evidence={"set": rounds.name, "version": declared, "changed": [rounds.times[place].isoformat() for place in changed]},
    )


def version_changes(rounds: ProbeRounds, context: Context) -> list[int]:
    """Rounds of the window that declare another version than the round before."""
    start, end = naive_utc(context.window.start), naive_utc(context.window.end)
    return [
        place
        for place in range(1, len(rounds.times))
        if start <= rounds.times[place] < end and None not in (pair := rounds.versions[place - 1 : place + 1]) and pair[0] != pair[1]
    ]


def about_cost(rounds: ProbeRounds, context: Context) -> Iterator[Finding]:
    """Yield the finding about the month's cost of the probes against the model's budget."""
    daily = daily_costs(rounds, context)
    if not daily.size:
        return
    end = naive_utc(context.window.end) - timedelta(microseconds=1)
    month = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = ((month + timedelta(days=32)).replace(day=1) - end.replace(hour=0, minute=0, second=0, microsecond=0)).days - 1
    of_month = (end - month).days + 1
    spent = float(daily[-of_month:].sum())
    ahead = forecast_sum(daily[-HISTORY_DAYS:], days) if days else Forecast(0.0, 0.0, 0.0, None, None, len(daily))
    budget, currency = (context.counters.get("budgets") or {}).get(rounds.model, (None, None))
    words = rounds.currency or currency or "(no currency stated)"
    other = budget is not None and None not in (currency, rounds.currency) and currency != rounds.currency
    if other:
        said = f"the budget of the model is in {currency}, so it is not compared"
        budget = None
    if ahead.value is None or ahead.low is None or ahead.high is None:
        because = f"Probes of set `{rounds.name}` cost {format_figure(spent)} {words} this month; a forecast needs more days with rounds."
        yield undecided_set(context, rounds, COST, len(daily), because)
        return
    value, low, high = (spent + max(each, 0.0) for each in (ahead.value, ahead.low, ahead.high))
    severity: Severity = "unknown" if budget is None else "ok" if value <= budget else "act" if low > budget else "watch"
    unset = "no budget is set: set `budget_per_month` of the model"
    limit = said if other else unset if budget is None else f"the budget of the model is {format_figure(budget)} {words}"
    because = (
        f"Probes of set `{rounds.name}` cost {format_figure(value)} {words} in {end:%B %Y}, of which {format_figure(spent)} is spent; "
        f"{limit}."
    )
    base = undecided_set(context, rounds, COST, len(daily), because)
    source: Source | None = "system" if needs_action(severity) else None
    yield replace(
        base,
        severity=severity,
        value=value,
        low=low,
        high=high,
        limit=budget,
        against="level",
        basis="estimated",
        likely_source=source,
        evidence={"set": rounds.name} | ({"currency": words} if rounds.currency or currency else {}),
    )


def daily_costs(rounds: ProbeRounds, context: Context) -> Floats:
    """Cost of the probes of each day, from the first one with a cost to the end of the window; empty where none is known."""
    start, end = None, naive_utc(context.window.end)
    costs: dict[int, float] = {}
    for place, at in enumerate(rounds.times):
        line = rounds.cost[place]
        if at < end and np.isfinite(line).any():
            costs[rounds_day(at)] = costs.get(rounds_day(at), 0.0) + float(np.nansum(line))
            start = rounds_day(at) if start is None else start
    if start is None:
        return np.zeros(0)
    last = rounds_day(end - timedelta(microseconds=1))
    return np.array([costs.get(day, 0.0) for day in range(start, last + 1)])


def set_findings(found: Sequence[Finding], model: str, name: str) -> list[Finding]:
    """The findings about one set of one model."""
    return [each for each in found if each.model == model and each.subject == f"probes:{name}"]


ANALYZER = Analyzer(
    NAME,
    "Does a model that serves elsewhere answer fixed questions as before?",
    needs,
    analyze,
    about="records",
    proofs=VENDOR_PROOFS,
)
