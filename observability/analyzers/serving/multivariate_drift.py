"""Do all inputs together look as they did in the reference, where each of them alone may?

A bounded sample of both sides goes to a domain classifier (stats/domain.py). It speaks up where it tells them apart by more than chance and by
enough to matter, where single features that moved (serving/drift) do not already say so (one move is one alarm), and where the window is told from the
four weeks before it by more than days differ among themselves. Beside it each two numbers are
looked at (_pairs.py): a correlation that broke yesterday shows in the last day while the week still dilutes it, and is named by its features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.analyzers.serving import drift
from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, needs_action
from observability.core.questions import Aggregate, Sample
from observability.detection import correlation_claims
from observability.detection.correlation_changes import Together, prepared
from observability.detection.onset import Since, since
from observability.stats import domain
from observability.stats.domain import AgainstDays, Separation
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Sides = Mapping[str, Mapping[str, NDArray[Any]]]
"""The features of each sample by name."""
NAME, METRIC = "serving/multivariate_drift", "domain_auc"
ROWS, PAST_ROWS, PAST_DAYS = 2000, 4000, 28
"""Rows of each side, those with the smallest hashes of their ids; and of the own past."""
LEAST_DAYS = 1.0
FEWEST_DAYS = 14
"""Days of past below which nobody can say how much days differ: two of each weekday."""
WATCH, ACT = 0.55, 0.65
"""An AUC from 0.55 on is reported by Evidently, and 0.65 is the upper limit of NannyML."""
MORE = 0.05
"""What pairs of features must add to the AUC of single ones to be said beside features that moved."""
NAMED, NAMED_FROM = 3, 0.01
"""So many features are named at most, those without which the AUC falls by so much."""


@dataclass(frozen=True)
class Judged:
    """What one window is judged by. moved: names of the features whose own distribution moved. days: how it is told from the days before it; None where that
    was not asked, or cannot be.
    """

    found: Separation
    moved: tuple[str, ...]
    act: float
    budget: float
    adjusted: float
    days: AgainstDays | None = None

    @property
    def beyond_chance(self) -> bool:
        """More than the null explains, all looks of the run counted."""
        return self.found.auc > self.found.null_95 and self.adjusted <= self.budget

    @property
    def adds(self) -> bool:
        """Whether pairs of features show more than features one at a time."""
        return self.found.auc - self.found.additive_auc >= max(MORE, 2 * self.found.null_sd)

    @property
    def news(self) -> bool:
        """Whether it differs from the days before it by more than those do among themselves."""
        return self.days is None or self.days.p_value <= self.budget

    @property
    def severity(self) -> Severity:
        """Act or watch where it is far enough, more than chance and news; beside features that moved only where pairs add to them, and then watch. As far as
        an act but no news: watch.
        """
        if not self.beyond_chance or self.found.auc < min(WATCH, self.act):
            return "ok"
        if self.moved:
            return "watch" if self.adds and self.news else "ok"
        if self.found.auc >= self.act:
            return "act" if self.news else "watch"
        return "watch" if self.news else "ok"


def needs(context: Context) -> dict[str, Ask]:
    """A sample of each side with every registered feature, in windows of a day and more; and the histograms that single features are judged by."""
    columns = asked(context)
    if not columns or not context.version.reference_rows or context.window.days < LEAST_DAYS:
        return {"volume": Ask(Aggregate("predictions"))}
    dated = ("id", "at", *columns)
    return {
        **drift.needs(context),
        "current_rows": Ask(Sample("predictions", dated, ROWS)),
        "past_rows": Ask(Sample("predictions", dated, PAST_ROWS), span="past", days=PAST_DAYS),
        "reference_rows": Ask(Sample("predictions", ("id", *columns), ROWS), span="reference"),
    }


def asked(context: Context) -> tuple[str, ...]:
    """References of the features that the version was registered with."""
    names = (f"feature.{name}" for name in context.version.features)
    return tuple(name for name in names if context.model.column(name) and name in context.version.edges)


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """The finding about all inputs together, and one about each two numbers."""
    if "volume" in frames:
        n = int(frames["volume"]["n"].sum())
        if not context.version.reference_rows or not asked(context):
            return [
                unknown(context, n, "There is no reference to compare all inputs with: register this version with held-out predictions.")
            ]
        return [unknown(context, n, "All inputs together are compared with the reference over a day or more.")]
    current, reference = frames["current_rows"], frames["reference_rows"]
    n, m = len(current), len(reference)
    wanted = domain.rows_needed(m, WATCH - 0.5)
    if n < wanted or m < domain.rows_needed(ROWS, WATCH - 0.5):
        more = "a larger reference" if np.isinf(wanted) or n >= wanted else f"about {max(round(wanted - n), 1):,} more predictions"
        return [
            unknown(
                context,
                n,
                f"Whether all inputs together look as in the reference cannot be told from {n:,} predictions: that needs {more}.",
            )
        ]
    sides = sides_of(frames, context)
    found = domain.separate(sides["reference"], sides["current"])
    if found is None:
        return [unknown(context, n, "The inputs do not vary, so there is nothing by which they could be told from the reference.")]
    singly = drift.analyze(frames, context)
    moved = tuple(each.subject for each in singly if needs_action(each.severity) and each.evidence.get("column") != "score")
    together = numbers(frames, sides, context)
    pairs = [each for each in together.pairs(context.budget) if not set(each.names) & set(moved)] if together else []
    adjusted, _ = benjamini_hochberg([found.p_value, *(each.p_value for each in pairs)], context.budget)
    judged = Judged(found, moved, context.model.settings.limits.get(f"{NAME}/{METRIC}", ACT), context.budget, float(adjusted[0]))
    if judged.severity != "ok":
        judged = replace(judged, days=against_days(frames, sides))
    of_pairs = [correlation_claims.judged(together, pairs, [float(each) for each in adjusted[1:]], context)] if together and pairs else []
    return [about_all(judged, context, n, frames), *of_pairs]


def about_all(judged: Judged, context: Context, n: int, frames: Frames) -> Finding:
    """The finding about all inputs together."""
    found, severity = judged.found, judged.severity
    when = since_when(found, frames, context) if needs_action(severity) else None
    finding = replace(
        unknown(context, n, ""),
        value=found.auc,
        low=min(found.low, found.auc),
        high=max(found.high, found.auc),
        limit=judged.act if severity == "act" else min(WATCH, judged.act),
        severity=severity,
        likely_source="input" if needs_action(severity) else None,
        onset=when.at if when else None,
        rank=max(2 * found.auc - 1, 0.0),
        evidence=evidence(judged) | (when.evidence if when else {}),
    )
    return replace(finding, because=sentence(judged, finding))


def since_when(found: Separation, frames: Frames, context: Context) -> Since:
    """The day from which rows are told from the reference: by the classifier's mean score of each day's rows, that were held out."""
    scores, days = found.scores, day_numbers(frames["current_rows"])
    names = np.unique(days)
    parts = [scores[days == day] for day in names]
    errors = [float(each.std(ddof=1) / np.sqrt(each.size)) if each.size > 1 else float("nan") for each in parts]
    before = (float(found.reference_scores.mean()), float(found.reference_scores.std(ddof=1) / np.sqrt(found.reference_scores.size)))
    return since(
        [np.datetime64(int(day), "D") for day in names], [float(each.mean()) for each in parts], errors, start=context.window.start,
        before=before, worse=1,
    )  # fmt: skip


def against_days(frames: Frames, sides: Sides) -> AgainstDays | None:
    """How the window is told from the four weeks before it, against how their days are told from each other; None where the past has too few days."""
    current, past = frames["current_rows"], frames["past_rows"]
    if not len(past) or len(np.unique(day_numbers(past))) < FEWEST_DAYS:
        return None
    then, now = sides["past"], sides["current"]
    alike = [name for name in then if then[name].dtype.kind == now[name].dtype.kind]
    return domain.against_days(
        {name: then[name] for name in alike}, {name: now[name] for name in alike}, day_numbers(past), day_numbers(current)
    )


def numbers(frames: Frames, sides: Sides, context: Context) -> Together | None:
    """The numbers of all samples; None where there are fewer than two."""
    current, past, reference = frames["current_rows"], frames["past_rows"], frames["reference_rows"]
    samples = [sides[name] for name in ("reference", "current", "past")]
    names = [name for name, values in samples[0].items() if values.dtype.kind == "f" and samples[1][name].dtype.kind == "f"]
    if len(names) < 2:
        return None
    held = [reference, current, past]
    if not len(past) or any(samples[2][name].dtype.kind != "f" for name in names):
        held[2], samples[2] = current.iloc[:0], {name: np.empty(0) for name in names}
    days = [np.zeros(len(reference), np.int64), day_numbers(current), day_numbers(held[2])]
    chosen = [{name: each[name] for name in names} for each in samples]
    of_reference, now, before = prepared(chosen, days)
    return Together(tuple(names), of_reference, now, before, context.whole_days[1], context.window.days)


def day_numbers(rows: "DataFrame") -> NDArray[np.int64]:
    """The day of each row of a sample since 1970, in the order of the ids."""
    ordered = rows.sort_values("id", kind="stable")
    return np.asarray(ordered["at"].to_numpy("datetime64[D]").astype(np.int64))


def sides_of(frames: Frames, context: Context) -> Sides:
    """The features of the three samples."""
    return {name: columns_of(frames[f"{name}_rows"], asked(context)) for name in ("reference", "current", "past")}


def columns_of(rows: "DataFrame", references: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    """The columns of a sample by the features' names, in the order of the ids: whatever order the rows came in."""
    ordered = rows.sort_values("id", kind="stable")
    return {reference.partition(".")[2]: plain(ordered[reference].to_numpy()) for reference in references}


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as floats, infinities as missing as NaN is; all else as texts, None where missing."""
    if values.dtype != object:
        numbers = values.astype(float)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    return np.array([None if each is None or each != each else str(each) for each in values], object)


def evidence(judged: Judged) -> dict[str, Any]:
    """What the page draws."""
    found = judged.found
    pair = None
    if found.pair is not None:
        one, other, before, after = found.pair
        pair = {"features": [one, other], "correlation_reference": round(before, 4), "correlation": round(after, 4)}
    return {
        "n_reference": found.rows[0],
        "p_value": found.p_value,
        "p_adjusted": judged.adjusted,
        "null_95": found.null_95,
        "null_mean": found.null_mean,
        "null_sd": found.null_sd,
        "limits": {"watch": min(WATCH, judged.act), "act": judged.act},
        "single_features_auc": found.additive_auc,
        "moved_alone": list(judged.moved),
        "against_days": None
        if judged.days is None
        else {"auc": judged.days.auc, "usual": judged.days.null_mean, "sd": judged.days.null_sd, "p_value": judged.days.p_value},
        "importance": [[name, round(loss, 6)] for name, loss in found.importance],
        "pair": pair,
    }


def sentence(judged: Judged, finding: Finding) -> str:
    """What it says, in plain words, with the numbers."""
    found, least = judged.found, min(WATCH, judged.act)
    auc = f"AUC {found.auc:.2f}, chance alone stays under {found.null_95:.2f}"
    rows = f"over {found.rows[1]:,} predictions and {found.rows[0]:,} reference rows"
    if finding.severity == "ok" and not judged.beyond_chance and found.auc > found.null_95:
        chance = f"p {judged.adjusted:.2g} over all that was looked at"
        return f"All inputs together moved no farther than chance may explain ({chance}): a classifier tells them apart with {auc}, {rows}."
    if finding.severity == "ok" and not judged.beyond_chance:
        return f"All inputs together look as in the reference: a classifier cannot tell them apart ({auc}) {rows}."
    if finding.severity == "ok" and found.auc < least:
        return f"All inputs together look nearly as in the reference ({auc}; watch from {least:g}) {rows}."
    if not judged.news and judged.days is not None:
        usual = f"the four weeks before are as far from it: told from those the window has AUC {judged.days.auc:.2f}, and other days of them {judged.days.null_mean:.2f}"
        return f"A classifier tells this window from the reference{names(judged)} ({auc}), but {usual}, {rows}."
    if finding.severity == "ok":
        return f"A classifier tells this window from the reference{names(judged)} ({auc}), and the features that moved alone already say so, {rows}."
    more = ", more than the single features show" if judged.adds else ""
    apart = f"a classifier tells them apart{names(judged)} ({auc}; limit {finding.limit:g}) {rows}"
    return f"All inputs together moved away from the reference{more}: {apart}{paired(judged)}."


def names(judged: Judged) -> str:
    """The features by which the two sides are told apart."""
    named = [f"`{name}`" for name, loss in judged.found.importance if loss >= NAMED_FROM][:NAMED]
    return f", mostly by {listed(named)}" if named else ""


def paired(judged: Judged) -> str:
    """The correlation that changed, where single features do not tell the sides apart as well and it did change."""
    pair = judged.found.pair
    if pair is None or not judged.adds or abs(pair[3] - pair[2]) < 0.1:
        return ""
    return f"; the rank correlation of `{pair[0]}` and `{pair[1]}` went from {pair[2]:.2f} to {pair[3]:.2f}"


def listed(words: Sequence[str]) -> str:
    """Words with commas and an `and`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def unknown(context: Context, n: int, because: str) -> Finding:
    """A finding that says it cannot tell, to be filled in where it can."""
    return context.undecided(NAME, "model", METRIC, n, because)


ANALYZER = Analyzer(
    NAME,
    "Do all inputs together look as they did in the reference, where each of them alone may?",
    needs,
    analyze,
    limits={METRIC: ACT, correlation_claims.METRIC: correlation_claims.ACT},
)
