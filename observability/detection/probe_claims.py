"""Findings about the newest round of a set of fixed questions: changed answers, flips, refusals, format failures, failed questions and
right answers.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, Source, iso, needs_action
from observability.core.formatting import format_day
from observability.core.numerals import format_figure, percent
from observability.core.time import aware_utc
from observability.detection.answer_changes import MIN_ROUNDS, AnswerChanges, RoundCounts, first_round_beyond
from observability.detection.probe_rounds import ProbeRounds
from observability.stats.arrays import Floats
from observability.stats.interval import rate_interval
from observability.stats.paired import paired_rates

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
SHIFT, ERROR = "answer_shift", "probe_error"
MIN_ACT, MIN_WATCH = (0.08, 5), (0.03, 3)
"""For `act` and for `watch`: minimum increase of the share of questions above the usual share, and minimum number of answers."""
SURER = 5.0
"""For `act`, the p-value must be smaller than the false-discovery budget (the limit for `watch`) by this factor. There are two exceptions:
right answers are `act` at the budget, because McNemar's test is exact and paired by question; levels (latency, tokens, similarity, rubric
scores) need the smaller p-value for `watch` as well, because few rounds say little about the tail of a level.
"""
NOUNS = {FORM: "are not in the requested format", REFUSED: "are refusals", FAILED: "got no answer"}
SOURCES: dict[str, Source] = {FAILED: "system", LATENCY: "system", TOKENS: "model"}
RANKS = {
    CHANGED: 6.0,
    RIGHT: 5.5,
    ERROR: 5.4,
    SHIFT: 5.2,
    FLIPS: 5.0,
    SIMILAR: 4.8,
    REFUSED: 4.6,
    FORM: 4.4,
    FAILED: 4.2,
    RUBRIC: 4.0,
    TOKENS: 2.0,
    LATENCY: 1.8,
}


def undecided_set_finding(context: Context, rounds: ProbeRounds, metric: str, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown` about a set, which is also the template of all other findings about it."""
    base = context.undecided(NAME, f"probes:{rounds.name}", metric, n, because, against="past", whole_model=True)
    return replace(base, model=rounds.model)


@dataclass(frozen=True, eq=False)
class JudgedSet:
    """A set of questions with its comparison. last: the round that is judged; sets: number of sets that are judged together."""

    rounds: ProbeRounds
    changes: AnswerChanges
    last: int
    context: Context
    sets: int

    def finding(self, metric: str, n: int, because: str, **fields: Any) -> Finding:
        """A finding about the set."""
        severity: Severity = fields.get("severity", "ok")
        base = undecided_set_finding(self.context, self.rounds, metric, n, because)
        ranked = {"rank": RANKS.get(metric, 1.0), "likely_source": SOURCES.get(metric, "model")} if needs_action(severity) else {}
        return replace(base, **{"severity": "ok", **ranked, **fields})

    @property
    def answers_of_baseline(self) -> dict[str, Any]:
        """Evidence that identifies the typical answers: when the rounds of the baseline began, and how answers were compared."""
        times = [iso(aware_utc(self.rounds.times[place])) for place in self.changes.baseline]
        return {"baseline_times": times, **self.compared_by}

    @property
    def compared_by(self) -> dict[str, Any]:
        """Evidence of how answers were compared: as numbers, or as free text with the name of the encoder (None: hashed n-grams)."""
        numbers = {"numbers": True, "tolerance": self.rounds.tolerance} if self.rounds.values is not None else {}
        return {"free_text": self.rounds.free_text, **({"encoder": self.changes.encoder} if self.rounds.free_text else {}), **numbers}

    def dated(self, first: int, severity: Severity) -> dict[str, Any]:
        """Onset and news of a change that began with the round `first`; empty if the severity needs no action."""
        if not needs_action(severity):
            return {}
        onset = aware_utc(self.rounds.times[first])
        return {"onset": onset, "news": "new" if onset >= self.context.window.start else "ongoing"}


def severity_of_rate(hits: int, n: int, usual: float, p: float, budget: float) -> Severity:
    """The severity of a share above the usual share. It must be larger by enough and significantly; if it is larger by enough but not
    significantly, the severity is `unknown`.
    """
    more = hits / n - usual if n else 0.0
    if p <= budget / SURER and more >= MIN_ACT[0] and hits >= MIN_ACT[1]:
        return "act"
    if more < MIN_WATCH[0] or hits < MIN_WATCH[1]:
        return "ok"
    return "watch" if p <= budget else "unknown"


def limit_of_rate(severity: Severity, usual: float, n: int) -> float:
    """The share of n questions from which the severity is `act`, if it is `act`; otherwise the share from which it is `watch` or
    `unknown`.
    """
    more, hits = MIN_ACT if severity == "act" else MIN_WATCH
    return min(max(usual + more, hits / n if n else 0.0), 1.0)


def chance_words(severity: Severity) -> str:
    """A sentence that states why a share beyond its limit has the severity `unknown`; empty for other severities."""
    return " Rounds differ by chance as much: later ones will tell." if severity == "unknown" else ""


def changed_answers(judged: JudgedSet) -> Finding:
    """The finding about answers that differ from the baseline."""
    rounds, counts, last = judged.rounds, judged.changes.against_baseline, judged.last
    hits, n, usual = int(counts.hits[last]), int(counts.n[last]), counts.usual
    p = min(counts.p_value(last) * judged.sets, 1.0)
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    first = counts.onset(last, judged.changes.baseline) if needs_action(severity) else last
    usually = usual_words(usual, n)
    verb, beyond = "differs" if hits == 1 else "differ", tolerance_words(rounds)
    because = f"{hits} of {n} answers of `{rounds.model}` to set `{rounds.name}` {verb} from the baseline{beyond}; usually {usually}."
    because += chance_words(severity)
    if needs_action(severity):
        when = "in the newest round" if first == last else f"since {format_day(rounds.times[first])}"
        because = (
            f"{hits} of {n} answers of `{rounds.model}` to set `{rounds.name}` {verb} from the baseline{beyond} {when}; usually {usually}."
        )
        because += f" {version_words(rounds, first)}"
    fields = judged.dated(first, severity) if severity != "ok" else recovered_news(judged, counts)
    return judged.finding(
        CHANGED,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual, n),
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


def tolerance_words(rounds: ProbeRounds) -> str:
    """Words for how much a number must differ, to follow `differ from the baseline`; empty for answers that are not numbers."""
    if rounds.values is None:
        return ""
    return f" by more than {format_figure(rounds.tolerance)}" if rounds.tolerance is not None else " by more than their usual spread"


def recovered_news(judged: JudgedSet, counts: RoundCounts) -> dict[str, Any]:
    """The field `news` for a set that is as usual again, after an unusual round in this window."""
    rounds, budget = judged.rounds, judged.context.budget
    for place in range(judged.last):
        if aware_utc(rounds.times[place]) < judged.context.window.start or place in judged.changes.baseline:
            continue
        p = min(counts.p_value(place) * judged.sets, 1.0)
        if severity_of_rate(int(counts.hits[place]), int(counts.n[place]), counts.usual, p, budget) == "act":
            return {"news": "recovered"}
    return {}


def usual_words(share: float, n: int) -> str:
    """The usual number of answers among n questions, as text."""
    usual = share * n
    return f"{usual:.1f}".removesuffix(".0")


def version_words(rounds: ProbeRounds, first: int) -> str:
    """A sentence about the declared version at the start of a change: it stayed, it changed, or none is declared."""
    then = rounds.versions[first]
    before = next((version for version in reversed(rounds.versions[:first]) if version is not None), None)
    if then is None or before is None or then == "unknown":
        return "No version is declared."
    if then == before:
        return f"The declared version stayed `{then}`: a silent change."
    return f"The declared version changed from `{before}` to `{then}` in that round."


def flips_finding(judged: JudgedSet) -> Finding:
    """The finding about answers that differ from the previous round. Whether answers have lastingly changed is judged against the
    baseline.
    """
    rounds, counts, last = judged.rounds, judged.changes.against_last, judged.last
    hits, n, usual = int(counts.hits[last]), int(counts.n[last]), counts.usual
    if not n or not counts.total:
        return undecided_set_finding(
            judged.context, rounds, FLIPS, n, "There is no round before the newest one whose answers can be compared."
        )
    p = min(counts.p_value(last) * judged.sets, 1.0)
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    severity = "watch" if severity == "act" else severity
    because = f"{hits} of {n} answers to set `{rounds.name}` differ from the round before; usually {usual_words(usual, n)}."
    because += chance_words(severity)
    evidence = {"set": rounds.name, "baseline": usual, "baseline_n": counts.total, "p_value": p, **judged.compared_by}
    return judged.finding(
        FLIPS,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual, n),
        evidence=evidence,
        **rate_interval(hits, n).fields,
        **judged.dated(last, severity),
    )


def rate_finding(judged: JudgedSet, metric: str, counts: RoundCounts, p: float) -> Finding:
    """The finding about one share of the questions in the newest round."""
    hits, n, usual = int(counts.hits[judged.last]), int(counts.n[judged.last]), counts.usual
    severity = severity_of_rate(hits, n, usual, p, judged.context.budget)
    what = "questions" if metric == FAILED else "answers"
    because = f"{hits} of {n} {what} of set `{judged.rounds.name}` {NOUNS[metric]} in the newest round; usually {percent(usual)} of them."
    because += chance_words(severity)
    first = counts.onset(judged.last, judged.changes.baseline)
    return judged.finding(
        metric,
        n,
        because,
        severity=severity,
        limit=limit_of_rate(severity, usual, n),
        evidence={"set": judged.rounds.name, "baseline": usual, "baseline_n": counts.total, "p_adjusted": p},
        **rate_interval(hits, n).fields,
        **judged.dated(first, severity),
    )


def right_answers(judged: JudgedSet) -> tuple[tuple[Floats, Floats], float] | None:
    """For the questions with a known right answer: whether the answers of the newest round and the typical answers of the baseline are
    right, and McNemar's p-value.
    """
    rounds, typical = judged.rounds, judged.changes.typical
    before = np.where(typical >= 0, rounds.right[typical, np.arange(typical.size)], np.nan)
    now = rounds.right[judged.last]
    both = np.isfinite(before) & np.isfinite(now)
    if both.sum() < MIN_ROUNDS or judged.rounds.free_text or judged.rounds.values is not None:
        return None
    pair = (now[both], before[both])
    return pair, paired_rates(pair[0] > 0, pair[1] > 0).p_value


def right_finding(judged: JudgedSet, pair: tuple[Floats, Floats], p: float) -> Finding:
    """The finding about right answers; its evidence contains the interval of the paired difference."""
    now, before = (each > 0 for each in pair)
    compared = paired_rates(now, before)
    worse, budget = float(before.mean() - now.mean()), judged.context.budget
    sure = p <= budget and worse > 0
    severity: Severity = "ok" if worse < MIN_WATCH[0] else "unknown" if not sure else "act" if worse >= MIN_ACT[0] else "watch"
    hits, n = int(now.sum()), len(now)
    because = f"{hits} of {n} answers to set `{judged.rounds.name}` are right in the newest round, {int(before.sum())} in the baseline."
    if severity == "unknown":
        because += f" The fall of {100 * worse:.3g} points is not significant: more questions are needed."
    difference = compared.difference
    falls = np.array([_fall_of_right(judged, place) for place in range(judged.last + 1)])
    return judged.finding(
        RIGHT,
        n,
        because,
        severity=severity,
        limit=float(before.mean()) - (MIN_ACT if severity == "act" else MIN_WATCH)[0],
        evidence={
            "set": judged.rounds.name,
            "baseline": float(before.mean()),
            "difference": list(difference.triple),
            "p_adjusted": p,
            **judged.answers_of_baseline,
        },
        **rate_interval(hits, n).fields,
        **judged.dated(first_round_beyond(falls, judged.last, MIN_WATCH[0], above=True), severity),
    )


def _fall_of_right(judged: JudgedSet, place: int) -> float:
    """By how much the share of right answers in a round is smaller than the typical share on the same questions; NaN without such
    questions.
    """
    typical = judged.changes.typical
    before = np.where(typical >= 0, judged.rounds.right[typical, np.arange(typical.size)], np.nan)
    falls = before - judged.rounds.right[place]
    known = np.isfinite(falls)
    return float(falls[known].mean()) if known.any() else float("nan")
