"""Check models that steer a system: regret against the old rule, tail harm, guardrails, predicted outcomes, feedback and the kill switch.

Reads predictions of environment `controller` with their labels. Each controller is evaluated over its own newest days. Decisions that are
close in time are correlated, so every interval is computed over blocks of time. Decisions by a guardrail or the kill switch are not
decisions of the model and are left out of the comparisons.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity
from observability.core.formatting import compact_count, format_day, format_minute, plural
from observability.core.numerals import format_figure, percent
from observability.metrics.controllers import (
    DECISIONS,
    GUARDRAIL,
    HEURISTIC,
    MODEL,
    OFF,
    TAILS,
    ControllerDecisions,
    compared_outcomes,
    compared_tails,
    controllers_of,
    feedback_by_feature,
    interval_coverage,
    relative_bias,
    steered_share,
)
from observability.proofs.controllers import CONTROLLER_PROOFS
from observability.stats.blocks import MIN_BLOCKS, BlockEstimate, estimate_difference, rows_for_quantile
from observability.stats.interval import Interval, rate_interval
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "operations/controllers"
REGRET, TAIL, GUARD = "controller_regret", "controller_tail_ratio", "controller_guardrail_rate"
BIAS, COVERAGE, FEEDBACK, SHARE_OFF = "controller_bias", "controller_coverage", "controller_feedback", "controller_off_share"
SUBJECT = "controller"
SURE = 0.999
"""Coverage of the interval that must lie entirely beyond a limit for `act`. For `watch`, a 95 % interval suffices."""
TAIL_TIMES = 1.25
BIAS_LIMITS, COVERAGE_GAPS, FEEDBACK_LIMITS = (0.10, 0.25), (0.05, 0.10), (0.05, 0.10)
"""Limits of `watch` and of `act`, for each of three metrics: relative bias; how far coverage is below the stated coverage; separation of an
input.
"""
UNSURE = "; not significant: more decisions are needed"
"""The end of a sentence about a value that is beyond its limit, but not significantly."""
GUARD_TIMES, GUARD_POINTS = 2.0, 0.02
"""A rise of the guardrail's share is reported if it reaches both this factor and this difference."""
LATELY, SILENT = 20, 100
"""LATELY: number of newest decisions from which the code determines who steers. SILENT: minimum number of consecutive decisions without the
model for a finding.
"""
MIN_ROWS = 50
"""Minimum number of decisions with an outcome; the sentence states how many more are needed."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for all decisions of controllers."""
    return {"decisions": Ask(DECISIONS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about each controller."""
    found: list[Finding] = []
    for controller in controllers_of(frames["decisions"], context.window):
        blank = partial(undecided_controller, context, controller)
        if not len(controller.rows):
            found.append(blank(REGRET, 0, "The controller made no decision in these days.", "level"))
            continue
        found += [regret_finding(controller, blank), *tail_findings(controller, blank), *guardrail_findings(controller, blank)]
        found += [bias_finding(controller, blank), *coverage_findings(controller, blank)]
        found += [*feedback_findings(controller, blank, context.budget), off_finding(controller, blank)]
    return found


def undecided_controller(
    context: Context, found: ControllerDecisions, metric: str, n: int, because: str, against: Against, subject: str = SUBJECT
) -> Finding:
    """Return the finding of severity `unknown` about a controller, on which the other findings are based."""
    blank = context.undecided(NAME, subject, metric, n, because, against=against, whole_model=True)
    return replace(
        blank,
        model=found.model,
        start=found.start.replace(tzinfo=context.window.start.tzinfo),
        end=found.end.replace(tzinfo=context.window.end.tzinfo),
    )


def severity_beyond(estimate: BlockEstimate, watch: float, act: float) -> Severity:
    """`act` if the SURE interval is above the act limit, `watch` if the 95 % interval is above the watch limit."""
    sure, likely = estimate.interval(SURE), estimate.interval()
    if sure.low is not None and sure.low > act:
        return "act"
    return "watch" if likely.low is not None and likely.low > watch else "ok"


def in_unit(found: ControllerDecisions, value: float) -> str:
    """An outcome with its unit, as text."""
    return f"{format_figure(value, 3)} {found.unit}".strip()


def blocks_needed(estimate: BlockEstimate) -> int:
    """The approximate number of further blocks that are needed for the whole interval to lie on one side of 0."""
    if estimate.value == 0 or estimate.error <= 0:
        return estimate.blocks
    return max(int(np.ceil(estimate.blocks * (2.1 * estimate.error / abs(estimate.value)) ** 2)) - estimate.blocks, 1)


def regret_finding(found: ControllerDecisions, blank: Any) -> Finding:
    """Return the finding that compares the mean outcome under the model with the mean outcome under the heuristic."""
    compared = compared_outcomes(found)
    known = len(found.outcomes(MODEL))
    if compared is None:
        paired, shared = len(found.pairs), len(found.outcomes(HEURISTIC))
        if known < MIN_ROWS:
            because = (
                f"The model cannot be compared with the heuristic yet: {plural(known, 'of its decisions has', 'of its decisions have')} an "
                f"outcome; the comparison needs about {MIN_ROWS - known} more."
            )
            return blank(REGRET, known, because, "peers")
        more = max(MIN_ROWS - max(paired, shared), 1)
        because = (
            f"The model cannot be compared with the heuristic yet: the heuristic's cost is known for "
            f"{plural(max(paired, shared), 'decision')}; the comparison needs about {more} more, with `baseline_outcome` or made by the "
            f"heuristic, in at least {MIN_BLOCKS} stretches of time."
        )
        return blank(REGRET, known, because, "peers")
    estimate, ends = compared.estimate, compared.estimate.interval()
    severity = severity_beyond(estimate, 0.0, 0.0)
    how = "of the same decisions" if compared.paired else f"in its share of the time ({compared.heuristic_n:,} decisions)"
    means = f"{in_unit(found, compared.model_mean)} against {in_unit(found, compared.heuristic_mean)} {how}"
    span = f"{percent(ends.low or 0.0)} to {percent(ends.high or 0.0)}"
    if severity != "ok":
        because = f"Decisions cost {percent(estimate.value)} more than the heuristic's ({span}): {means}."
    elif ends.high is not None and ends.high < 0:
        because = f"Decisions cost {percent(-estimate.value)} less than the heuristic's ({span}): {means}."
    else:
        more = blocks_needed(estimate)
        needed = f"About {compact_count(more)} more stretches of time are needed."
        because = f"No significant difference from the heuristic ({span}): {means}. {needed}"
    evidence = {"paired": compared.paired, "heuristic_n": compared.heuristic_n, "baseline": 0.0, "blocks": estimate.blocks}
    return replace(
        blank(REGRET, compared.n, because, "peers"),
        **ends.fields,
        severity=severity,
        limit=0.0,
        likely_source=None if severity == "ok" else "model",
        evidence=evidence,
    )


def tail_findings(found: ControllerDecisions, blank: Any) -> Iterator[Finding]:
    """Yield the finding about the highest quantile for which both sides have enough decisions."""
    tails = compared_tails(found)
    if not tails:
        return
    usable = [each for each in tails if each.ratio.low is not None]
    if not usable:
        n = tails[-1].n
        more = max(rows_for_quantile(TAILS[-1]) - n, 1)
        because = (
            f"The tail cannot be compared yet on {plural(n, 'decision')}: the 95th percentile of both sides needs about {more} more, with "
            "outcomes above 0."
        )
        yield blank(TAIL, n, because, "peers")
        return
    best = usable[0]
    sure = next(each for each in compared_tails(found, 0.99) if each.q == best.q).ratio
    ratio, name = best.ratio, f"p{100 * best.q:g}"
    severity: Severity = "ok"
    if ratio.low is not None and ratio.low > 1.0:
        surely = sure.low is not None and sure.low > 1.0
        severity = "act" if surely and (ratio.value or 0.0) >= TAIL_TIMES else "watch"
    values = f"{in_unit(found, best.model.value or 0.0)} against {in_unit(found, best.heuristic.value or 0.0)}"
    claim = "is worse than" if severity != "ok" else "is not significantly worse than"
    because = f"The {name} of the outcome {claim} the heuristic's: {values}."
    if best.q < TAILS[0]:
        more = max(rows_for_quantile(TAILS[0]) - int(min(best.model.n, best.heuristic.n)), 1)
        because += f" p99.9 needs about {more:,} more independent decisions."
    yield replace(
        blank(TAIL, best.n, because, "peers"),
        **ratio.fields,
        severity=severity,
        limit=1.0,
        likely_source=None if severity == "ok" else "model",
        evidence={"quantile": best.q, "paired": len(found.pairs) > 0, "model": best.model.value, "heuristic": best.heuristic.value},
    )


def block_share_interval(estimate: BlockEstimate, hits: int) -> Interval:
    """The interval of a share over blocks of time. It is made at least as wide as the interval for independent rows."""
    own, plain = estimate.interval(), rate_interval(float(hits), estimate.n)
    low, high = min(own.low or 0.0, plain.low or 0.0), max(own.high or 0.0, plain.high or 0.0)
    return Interval(estimate.value, max(low, 0.0), min(high, 1.0), estimate.n)


def guardrail_findings(found: ControllerDecisions, blank: Any) -> Iterator[Finding]:
    """Yield the finding about the share of decisions that a guardrail took over from the model, compared with the four weeks before."""
    among = (MODEL, GUARDRAIL)
    now, before = steered_share(found.rows, GUARDRAIL, among), steered_share(found.past, GUARDRAIL, among)
    rows = found.steered(*among)
    hits, n = int((rows["by"] == GUARDRAIL).sum()), len(rows)
    if now is None:
        because = f"The guardrail's share cannot be measured yet: the decisions ({n:,}) are in fewer than {MIN_BLOCKS} stretches of time."
        yield blank(GUARD, n, because, "past")
        return
    share, said = block_share_interval(now, hits), f"A guardrail took {hits:,} of {n:,} decisions from the model ({percent(now.value)})"
    if before is None:
        yield blank(GUARD, n, f"{said}; a comparison needs decisions of earlier weeks in {MIN_BLOCKS} stretches of time.", "past")
        return
    gap, least = estimate_difference(now, before), rate_interval(float(hits), n).low or 0.0
    raised = now.value >= GUARD_TIMES * before.value and now.value - before.value >= GUARD_POINTS and least > before.value
    severity = severity_beyond(gap, 0.0, 0.0) if raised else "ok"
    yield replace(
        blank(GUARD, n, f"{said}; the share was {percent(before.value)} in the four weeks before.", "past"),
        **share.fields,
        severity=severity,
        limit=max(GUARD_TIMES * before.value, before.value + GUARD_POINTS),
        likely_source=None if severity == "ok" else "system",
        evidence={"baseline": before.value, "baseline_n": before.n},
    )


def bias_finding(found: ControllerDecisions, blank: Any) -> Finding:
    """Return the finding about predicted outcomes that are too low or too high on average."""
    estimate = relative_bias(found)
    if estimate is None:
        n = int(found.outcomes(MODEL)["predicted"].notna().sum())
        more = max(MIN_ROWS - n, 1)
        because = (
            f"Outcomes cannot be compared with predictions yet: {plural(n, 'decision has', 'decisions have')} both; the comparison needs "
            f"about {more} more, in at least {MIN_BLOCKS} stretches of time."
        )
        return blank(BIAS, n, because, "level")
    mirrored = estimate if estimate.value >= 0 else replace(estimate, value=-estimate.value)
    severity = severity_beyond(mirrored, *BIAS_LIMITS)
    ends, word = estimate.interval(), "worse" if estimate.value > 0 else "better"
    span = f"{percent(ends.low or 0.0)} to {percent(ends.high or 0.0)}, {estimate.n:,} decisions"
    unsure = severity == "ok" and mirrored.value > BIAS_LIMITS[0]
    because = f"Outcomes are {percent(abs(estimate.value))} {word} than predicted on average ({span})" + UNSURE * unsure + "."
    limit = BIAS_LIMITS[severity == "act"]
    return replace(
        blank(BIAS, estimate.n, because, "level"),
        **ends.fields,
        severity="unknown" if unsure else severity,
        limit=(-limit, limit),
        likely_source=None if severity == "ok" else "model",
    )


def coverage_findings(found: ControllerDecisions, blank: Any) -> Iterator[Finding]:
    """Yield the finding about how often the actual outcome is inside the predicted interval; none if no interval is logged."""
    measured = interval_coverage(found)
    if measured is None:
        return
    share, stated = measured
    short = replace(share, value=stated - share.value)
    severity = severity_beyond(short, *COVERAGE_GAPS)
    hits = round(share.value * share.n)
    unsure = severity == "ok" and short.value > COVERAGE_GAPS[0]
    because = (
        f"{percent(share.value)} of {share.n:,} outcomes are inside the predicted interval; the interval states {percent(stated)}"
        + UNSURE * unsure
        + "."
    )
    yield replace(
        blank(COVERAGE, share.n, because, "level"),
        **block_share_interval(share, hits).fields,
        severity="unknown" if unsure else severity,
        limit=stated - COVERAGE_GAPS[severity == "act"],
        likely_source=None if severity == "ok" else "model",
        evidence={"stated": stated},
    )


def feedback_findings(found: ControllerDecisions, blank: Any, budget: float) -> Iterator[Finding]:
    """Yield the finding about the input that differs most between the periods in which the model steers and those in which the heuristic
    steers.
    """
    inputs = feedback_by_feature(found)
    if not inputs:
        rows = found.steered(HEURISTIC)
        blocks = int(rows["block"].nunique())
        more = max(MIN_BLOCKS - blocks, 1)
        because = (
            "It is unknown whether decisions change their own inputs: the heuristic steered "
            f"{plural(blocks, 'stretch', 'stretches')} of time; the comparison needs about {more} more."
        )
        yield blank(FEEDBACK, len(rows), because, "peers")
        return
    p_values = [2 * min(each.p_above(0.0), replace(each, value=-each.value).p_above(0.0)) for _, each in inputs]
    adjusted = benjamini_hochberg(p_values, budget)[0].tolist()

    def severity(estimate: BlockEstimate, p: float) -> Severity:
        size = replace(estimate, value=abs(estimate.value))
        return severity_beyond(size, *FEEDBACK_LIMITS) if p <= budget else "ok"

    order = {"act": 0, "watch": 1, "ok": 2}
    judged = [(severity(each, p), name, each, p) for (name, each), p in zip(inputs, adjusted)]
    worst, name, estimate, p = min(judged, key=lambda each: (order[each[0]], -abs(each[2].value)))
    chance, where = percent(0.5 + abs(estimate.value)), "higher" if estimate.value > 0 else "lower"
    if worst == "ok":
        because = (
            f"No input differs significantly between model and heuristic ({plural(len(inputs), 'input')} tested; `{name}` differs most)."
        )
    else:
        because = (
            f"`{name}` is {where} while the model steers: a model decision has the {where} value in {chance} of pairs with a "
            "heuristic decision."
        )
        others = sum(each[0] != "ok" for each in judged) - 1
        because += f" {plural(others, 'more input differs', 'more inputs differ')}." if others else ""
    ends, limit = estimate.interval(), FEEDBACK_LIMITS[worst == "act"]
    unsure = worst == "ok" and abs(estimate.value) > limit
    yield replace(
        blank(FEEDBACK, estimate.n, because, "peers", name),
        **ends.fields,
        severity="unknown" if unsure else worst,
        limit=(-limit, limit),
        likely_source=None if worst == "ok" else "model",
        evidence={"p_adjusted": p, "compared": len(inputs)},
    )


def off_finding(found: ControllerDecisions, blank: Any) -> Finding:
    """Return the finding about the kill switch, and about a model that no longer steers although the switch is not on."""
    rows = found.rows
    newest = rows.sort_values("at", kind="stable").tail(LATELY)
    off = int((rows["by"] == OFF).sum())
    share, last = rate_interval(float(off), len(rows)), str(newest["by"].iloc[-1])
    base = replace(blank(SHARE_OFF, len(rows), "", "level"), **share.fields)
    if last == OFF:
        since = format_minute(rows.loc[rows["by"] != OFF, "at"].max()) if off < len(rows) else f"before {format_day(found.start)}"
        because = f"The kill switch has been on since {since} UTC: the heuristic steers ({percent(off / len(rows))} of decisions)."
        return replace(base, severity="watch", because=because, likely_source="system")
    silent, usual = silent_decisions([*found.past["by"], *rows["by"]])
    if silent >= max(SILENT, 2 * usual):
        by = "a guardrail" if (newest["by"] == GUARDRAIL).mean() > 0.5 else "the heuristic"
        because = (
            f"The model does not steer, and no kill switch is on: {by} made the last {silent:,} decisions. The longest such series "
            f"before was {plural(usual, 'decision')}."
        )
        return replace(base, severity="act", because=because, likely_source="system")
    because = f"The model steers; the kill switch was on for {percent(off / len(rows))} of decisions."
    return replace(base, severity="ok", because=because)


def silent_decisions(by: list[str]) -> tuple[int, int]:
    """The number of newest consecutive decisions made by neither the model nor the kill switch, and the length of the longest earlier
    series of such decisions. by: who made each decision, oldest first.
    """
    steers = np.isin(np.array([MODEL, *by], dtype=object).astype(str), (MODEL, OFF))
    gaps = np.diff(np.append(np.flatnonzero(steers), steers.size)) - 1
    return int(gaps[-1]), int(gaps[:-1].max()) if gaps.size > 1 else 0


ANALYZER = Analyzer(
    NAME,
    "Does a model that steers a system do better than the old rule, in the mean and in the tail, as predicted, and without feedback?",
    needs,
    analyze,
    exceptions=frozenset({2}),  # one frame contains both the days and the weeks before them, because each controller has its own days
    about="records",
    proofs=CONTROLLER_PROOFS,
)
