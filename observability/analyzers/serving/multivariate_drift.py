"""Detect drift of all inputs jointly, with a domain classifier.

A sample of limited size from both sides goes to a domain classifier (stats/domain.py). If the AUC exceeds both sampling noise and the usual
differences between days, the severity depends on the AUC alone, not on how long it has been high. Columns with one value a day (weekday,
holiday) are left out, because a week holds only seven values of each. If only these columns separate the sides, the finding says so. The
finding names drift that single features explain (serving/drift), and drift that the four weeks before show too. A finding that needs action
states how often an earlier drift coincided with a fall of this model's performance (detection/move_history.py). The rank correlation of
each pair of numeric features is tested as well (detection/correlation_changes.py), also on the last day alone, because a week would dilute
a correlation that broke yesterday; the finding names both features. With very many features, only the most important ones are compared
(`Context.most_important`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.analyzers.serving import drift
from observability.core.analyzer import DAY, Analyzer, Ask, Context, Frames
from observability.core.finding import DETAILS, Finding, Severity, needs_action
from observability.core.questions import Aggregate, Sample
from observability.core.standing_since import StandingSince, standing_since
from observability.core.window import EPOCH
from observability.detection import correlation_changes
from observability.detection.change import stated_limits
from observability.detection.correlation_changes import Correlations, ranked_samples
from observability.detection.correlation_claims import METRIC as CORRELATION
from observability.detection.correlation_claims import correlation_finding
from observability.detection.move_history import WEEKS, MoveRecord, move_record, weekly_falls
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import WEEK
from observability.metrics.histograms import CALENDAR_ROWS, CALENDAR_SHARE
from observability.proofs.rank_correlations import MULTIVARIATE_PROOFS, PAST_DAYS, PAST_ROWS, ROWS
from observability.stats import domain
from observability.stats.domain import Separation, WindowSeparation
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Sides = Mapping[str, Mapping[str, NDArray[Any]]]
"""The features of each sample, by name."""
NAME, METRIC = "serving/multivariate_drift", "domain_auc"
MIN_DAYS = 1.0
MIN_KNOWN_DAYS = 14
"""Smallest number of past days from which the variation between days is estimated: two of each weekday."""
WATCH, ACT = 0.55, 0.65
"""Evidently reports an AUC from 0.55 on; 0.65 is the upper limit of NannyML."""
MORE = 0.05
"""Smallest gain in AUC of pairs over single features that is reported in addition to features that drifted."""
ONE_SIDED_95 = 1.645
NAMED, NAMED_FROM = 3, 0.01
"""Largest number of features that are named, and the smallest AUC loss of a named feature."""


@dataclass(frozen=True)
class DomainVerdict:
    """Evidence for the verdict on one window.

    found: separation by the columns that vary within a day. inputs: number of compared features and of all features. compared: which
    features were compared, in words, if not all were. calendar: names of the columns with one value a day; calendar_auc: the AUC with these
    columns. moved: names of the features whose own distribution drifted. days: AUC against the days before; None if it was not asked for or
    is not known. weeks: whether each past week was beyond the limit too, newest first; None if unknown. record: how often drift in these
    weeks coincided with a fall of performance; None if it was not queried.
    """

    found: Separation
    moved: tuple[str, ...]
    act: float
    budget: float
    adjusted: float
    inputs: tuple[int, int] = (0, 0)
    compared: str = ""
    calendar: tuple[str, ...] = ()
    calendar_auc: float = 0.0
    days: WindowSeparation | None = None
    weeks: tuple[bool | None, ...] = ()
    record: MoveRecord | None = None

    @property
    def watch(self) -> float:
        """The AUC from which there is a warning."""
        return min(WATCH, self.act)

    @property
    def by_calendar(self) -> bool:
        """Whether only columns with one value a day separate the sides."""
        return self.found.auc < self.watch <= self.calendar_auc

    @property
    def beyond_chance(self) -> bool:
        """Whether the AUC is significant after adjustment for all tests of the run."""
        return self.found.auc > self.found.null_95 and self.adjusted <= self.budget

    @property
    def beyond_days(self) -> bool:
        """Whether the AUC of the window is larger than the AUC that other days of the same weekdays reach against each other; True if the
        latter is not known.
        """
        return self.days is None or self.found.auc > self.days.null_mean + ONE_SIDED_95 * self.days.null_sd

    @property
    def adds(self) -> bool:
        """Whether pairs of features separate the sides better than single features."""
        return self.found.auc - self.found.additive_auc >= max(MORE, 2 * self.found.null_sd)

    @property
    def news(self) -> bool:
        """Whether the window differs from the days before it by more than these days differ from each other."""
        return self.days is None or self.days.p_value <= self.budget

    @property
    def stands(self) -> bool:
        """Whether the drift is ongoing. Either the window is no farther from the days before than those are from each other, or the week
        before was also beyond the limit. The second case covers a drift that never stops: it differs from every month before it, but is
        still the same drift.
        """
        return not self.news or bool(self.weeks and self.weeks[0])

    @property
    def severity(self) -> Severity:
        """`act` or `watch`, by the level of the AUC, not by how long it has been high.

        It is `unknown` if the AUC is beyond a level, but within the noise of rows or of days, or only because of columns with one value a
        day.
        """
        if self.by_calendar:
            return "unknown"
        if self.found.auc < self.watch:
            return "ok"
        if not (self.beyond_chance and self.beyond_days):
            return "unknown"
        return "act" if self.found.auc >= self.act else "watch"


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: a sample of each side with every registered feature (for windows of at least a day), the features' histograms,
    and measured performance of the past weeks.
    """
    context = of_compared_inputs(context)
    columns = model_inputs(context)
    if not columns or not context.version.reference_rows or context.window.days < MIN_DAYS:
        return {"volume": Ask(Aggregate("predictions"))}
    dated = ("id", "at", *columns)
    return {
        **drift.needs(context),
        "current_rows": Ask(Sample("predictions", dated, ROWS)),
        "past_rows": Ask(Sample("predictions", dated, PAST_ROWS), span="past", days=PAST_DAYS),
        "reference_rows": Ask(Sample("predictions", ("id", *columns), ROWS), span="reference"),
    }


def of_compared_inputs(context: Context) -> Context:
    """Return the context with only the features that are compared in its version: all of them, or the most important if there are very
    many, in their order.
    """
    return replace(context, version=replace(context.version, features=context.most_important(context.version.features)))


def compared_inputs(context: Context, every: int) -> str:
    """Return in words which features are compared if there are too many, as the end of a sentence; empty if all are."""
    few = len(context.version.features)
    if few >= every:
        return ""
    chosen = "most important" if context.model.settings.importance else "first"
    return f", over the {few:,} {chosen} of {every:,} inputs"


def model_inputs(context: Context) -> tuple[str, ...]:
    """Return references of the features that the version was registered with."""
    names = (f"feature.{name}" for name in context.version.features)
    return tuple(name for name in names if context.model.column(name) and name in context.version.edges)


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the finding about all inputs jointly, and one about the correlations of pairs."""
    inputs = len(context.version.features)
    context = of_compared_inputs(context)
    if "volume" in frames:
        n = int(frames["volume"]["n"].sum())
        if not context.version.reference_rows or not model_inputs(context):
            return [
                undecided_domain(
                    context, n, "There is no reference to compare the inputs with: register this version with held-out predictions."
                )
            ]
        return [undecided_domain(context, n, "Joint drift of the inputs is measured over a day or more.")]
    current, reference = frames["current_rows"], frames["reference_rows"]
    n, m = len(current), len(reference)
    wanted = domain.rows_for_auc_gap(m, WATCH - 0.5)
    if n < wanted or m < domain.rows_for_auc_gap(ROWS, WATCH - 0.5):
        more = "a larger reference" if np.isinf(wanted) or n >= wanted else f"about {max(round(wanted - n), 1):,} more predictions"
        return [
            undecided_domain(
                context,
                n,
                f"Joint drift of the inputs cannot be measured on {n:,} predictions: the comparison needs {more}.",
            )
        ]
    sides = sides_of(frames, context)
    calendar = columns_of_the_day(sides, sample_days(frames["current_rows"]))
    within = {side: {name: values for name, values in columns.items() if name not in calendar} for side, columns in sides.items()}
    found = domain.separate_samples(within["reference"], within["current"])
    if found is None and calendar:
        names = joined_words([f"`{name}`" for name in calendar])
        varying = f"only {names} vary{compared_inputs(context, inputs)}, with one value a day."
        return [undecided_domain(context, n, f"Joint drift of the inputs cannot be measured: {varying}")]
    if found is None:
        return [undecided_domain(context, n, f"Joint drift cannot be measured: the inputs do not vary{compared_inputs(context, inputs)}.")]
    singly = drift.analyze(frames, context)
    moved = tuple(each.subject for each in singly if needs_action(each.severity) and each.evidence.get("column") != "score")
    correlations = correlations_of(frames, sides, context)
    pairs = [change for change in correlations.changes(context.budget) if not set(change.names) & set(moved)] if correlations else []
    adjusted, _ = benjamini_hochberg([found.p_value, *(pair.p_value for pair in pairs)], context.budget)
    judged = DomainVerdict(
        found,
        moved,
        context.model.settings.limits.get(f"{NAME}/{METRIC}", ACT),
        context.budget,
        float(adjusted[0]),
        (len(context.version.features), inputs),
        compared_inputs(context, inputs),
        calendar,
        domain.sample_auc(sides["reference"], sides["current"]) or 0.0 if calendar else 0.0,
    )
    if needs_action(judged.severity):
        judged = replace(judged, days=against_days(frames, within))
    if needs_action(judged.severity):
        weeks = past_moves(judged, frames, within, context)
        judged = replace(judged, weeks=tuple(weeks), record=move_record(weeks, weekly_falls(frames, context), context))
    of_pairs = [correlation_finding(correlations, pairs, adjusted[1:].tolist(), context)] if correlations and pairs else []
    return [about_all(judged, context, n, frames), *of_pairs]


def columns_of_the_day(sides: Sides, days: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the columns that have one value per day, such as weekday or holiday, but several values in the reference.

    days: the day of each row of the window. A column that is constant for a week is stuck, and does not count.
    """
    found = []
    for name, values in sides["current"].items():
        by_day = [most_frequent(values[days == day]) for day in np.unique(days) if (days == day).sum() >= CALENDAR_ROWS]
        if not by_day or most_frequent(sides["reference"][name])[1] >= CALENDAR_SHARE:
            continue
        differs = len(by_day) < WEEK or len({value for value, _ in by_day}) > 1
        if differs and np.mean([share >= CALENDAR_SHARE for _, share in by_day]) >= CALENDAR_SHARE:
            found.append(name)
    return tuple(found)


def most_frequent(values: NDArray[Any]) -> tuple[str, float]:
    """Return the most frequent value as a text, and its share; a missing value counts as a value."""
    names, counts = np.unique(values.astype(str), return_counts=True)
    return str(names[counts.argmax()]), float(counts.max() / counts.sum())


def past_moves(judged: DomainVerdict, frames: Frames, sides: Sides, context: Context) -> list[bool | None]:
    """Return whether each of the past weeks reached the limit that the window reached, newest first; None if it is unknown."""
    limit = judged.act if judged.severity == "act" else judged.watch
    ages = ((context.window.start - EPOCH).days - 1 - sample_days(frames["past_rows"])) // WEEK
    names = [name for name, values in sides["reference"].items() if sides["past"][name].dtype.kind == values.dtype.kind]
    moved: list[bool | None] = []
    for week in range(WEEKS):
        auc = domain.sample_auc(
            {name: sides["reference"][name] for name in names}, {name: sides["past"][name][ages == week] for name in names}
        )
        moved.append(None if auc is None else auc >= limit)
    return moved


def weeks_beyond(judged: DomainVerdict, context: Context) -> dict[str, Any]:
    """Return as evidence the week since which a standing drift has been beyond the limit; empty if it was not beyond it in the week before
    the window.
    """
    count = next((place for place, moved in enumerate(judged.weeks) if not moved), len(judged.weeks))
    if not judged.stands or not count:
        return {}
    return StandingSince((context.window.start - count * WEEK * DAY).date(), earlier=count == len(judged.weeks)).evidence


def about_all(judged: DomainVerdict, context: Context, n: int, frames: Frames) -> Finding:
    """Return the finding about all inputs jointly."""
    found, severity = judged.found, judged.severity
    when = since_when(found, frames, context) if needs_action(severity) and not judged.stands else None
    finding = replace(
        undecided_domain(context, n, ""),
        value=found.auc,
        low=min(found.low, found.auc),
        high=max(found.high, found.auc),
        limit=judged.act if severity == "act" else judged.watch,
        severity=severity,
        likely_source="input" if needs_action(severity) else None,
        onset=when.at if when else None,
        rank=max(2 * found.auc - 1, 0.0),
        evidence=domain_evidence(judged)
        | (when.evidence if when else {})
        | weeks_beyond(judged, context)
        | ({DETAILS: domain_details(judged)} if needs_action(severity) else {}),
    )
    return replace(finding, because=domain_sentence(judged, finding))


def since_when(found: Separation, frames: Frames, context: Context) -> OnsetEstimate:
    """Estimate the onset date, from the classifier's mean score of each day's held-out rows."""
    scores, days = found.scores, sample_days(frames["current_rows"])
    names = np.unique(days)
    parts = [scores[days == day] for day in names]
    errors = [float(each.std(ddof=1) / np.sqrt(each.size)) if each.size > 1 else float("nan") for each in parts]
    before = (float(found.reference_scores.mean()), float(found.reference_scores.std(ddof=1) / np.sqrt(found.reference_scores.size)))
    return estimate_onset(
        [np.datetime64(int(day), "D") for day in names],
        [float(each.mean()) for each in parts],
        errors,
        start=context.window.start,
        before=before,
        worse=1,
    )


def against_days(frames: Frames, sides: Sides) -> WindowSeparation | None:
    """Return the AUC of the window against the four weeks before it, and the AUC of the days of those weeks against each other.

    None if the past has too few days.
    """
    current, past = frames["current_rows"], frames["past_rows"]
    if not len(past) or len(np.unique(sample_days(past))) < MIN_KNOWN_DAYS:
        return None
    then, now = sides["past"], sides["current"]
    alike = [name for name in then if then[name].dtype.kind == now[name].dtype.kind]
    return domain.separate_from_other_days(
        {name: then[name] for name in alike}, {name: now[name] for name in alike}, sample_days(past), sample_days(current)
    )


def correlations_of(frames: Frames, sides: Sides, context: Context) -> Correlations | None:
    """Return the correlations of the numeric features in all samples; None if there are fewer than two such features."""
    current, past, reference = frames["current_rows"], frames["past_rows"], frames["reference_rows"]
    samples = [sides[name] for name in ("reference", "current", "past")]
    names = [name for name, values in samples[0].items() if values.dtype.kind == "f" and samples[1][name].dtype.kind == "f"]
    if len(names) < 2:
        return None
    held = [reference, current, past]
    if not len(past) or any(samples[2][name].dtype.kind != "f" for name in names):
        held[2], samples[2] = current.iloc[:0], {name: np.empty(0) for name in names}
    days = [np.zeros(len(reference), np.int64), sample_days(current), sample_days(held[2])]
    chosen = [{name: each[name] for name in names} for each in samples]
    of_reference, now, before = ranked_samples(chosen, days)
    stated = stated_limits(context.model.settings, f"{NAME}/{CORRELATION}", correlation_changes.WATCH, correlation_changes.ACT)
    return Correlations(tuple(names), of_reference, now, before, context.whole_days[1], context.window.days, stated)


def sample_days(rows: "DataFrame") -> NDArray[np.int64]:
    """Return the day of each row of a sample since 1970, in the order of the ids."""
    ordered = rows.sort_values("id", kind="stable")
    return np.asarray(ordered["at"].to_numpy("datetime64[D]").astype(np.int64))


def sides_of(frames: Frames, context: Context) -> Sides:
    """Return the features of the three samples."""
    return {name: drift_sample_columns(frames[f"{name}_rows"], model_inputs(context)) for name in ("reference", "current", "past")}


def drift_sample_columns(rows: "DataFrame", references: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    """Return the columns of a sample by feature name, sorted by row id, so that the order in which the rows arrived has no effect."""
    ordered = rows.sort_values("id", kind="stable")
    return {reference.partition(".")[2]: plain_values(ordered[reference].to_numpy()) for reference in references}


def plain_values(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as floats, with infinities and NaN as missing; other values as texts, None if missing."""
    if values.dtype != object:
        numbers = values.astype(float)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    return np.array([None if each is None or each != each else str(each) for each in values], object)


def domain_evidence(judged: DomainVerdict) -> dict[str, Any]:
    """Return the evidence that the page draws."""
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
        "limits": {"watch": judged.watch, "act": judged.act},
        "single_features_auc": found.additive_auc,
        "moved_alone": list(judged.moved),
        "standing": judged.stands,
        **({"compared_inputs": judged.inputs[0], "inputs": judged.inputs[1]} if judged.compared else {}),
        "calendar": list(judged.calendar),
        "calendar_auc": judged.calendar_auc if judged.calendar else None,
        "against_days": None
        if judged.days is None
        else {"auc": judged.days.auc, "usual": judged.days.null_mean, "sd": judged.days.null_sd, "p_value": judged.days.p_value},
        "importance": [[name, round(loss, 6)] for name, loss in found.importance],
        "pair": pair,
        **(judged.record.evidence if judged.record else {}),
    }


def domain_sentence(judged: DomainVerdict, finding: Finding) -> str:
    """Return the sentence of the finding: the AUC of the domain classifier, the sampling noise and the compared rows."""
    found, days = judged.found, judged.days
    auc = f"AUC {found.auc:.2f}, sampling noise up to {found.null_95:.2f}"
    rows = f"over {found.rows[1]:,} predictions and {found.rows[0]:,} reference rows{judged.compared}{without_calendar(judged)}"
    if judged.by_calendar:
        names = joined_words([f"`{name}`" for name in judged.calendar])
        return (
            f"Only inputs with one value a day separate window and reference: AUC {judged.calendar_auc:.2f} with {names}, {found.auc:.2f} "
            f"without. A few days are too few to compare such inputs with the reference."
        )
    if finding.severity == "ok" and not judged.beyond_chance and found.auc > found.null_95:
        chance = f"adjusted p {judged.adjusted:.2g}"
        return f"No significant joint drift of the inputs ({chance}): {auc}, {rows}."
    if finding.severity == "ok" and not judged.beyond_chance:
        return f"No joint drift of the inputs: a classifier cannot separate window and reference ({auc}) {rows}."
    if finding.severity == "ok":
        return f"Joint drift of the inputs is below the limit ({auc}; warning from {judged.watch:g}) {rows}."
    if finding.severity == "unknown":
        why = f"adjusted p {judged.adjusted:.2g}"
        if days is not None and not judged.beyond_days:
            why = f"single days reach AUC {days.null_mean + ONE_SIDED_95 * days.null_sd:.2f}"
        return f"Whether the joint drift of the inputs exceeds chance is unknown ({auc}): {why}, {rows}."
    alike = not judged.news and days is not None and standing_since(finding) is None
    past = "; not clearly different from the past four weeks" if alike else ""
    apart = f"(domain-classifier AUC {found.auc:.2f}, limit {finding.limit:g})"
    return f"The inputs drifted from the reference {apart}{telling_features(judged)}{past}."


def domain_details(judged: DomainVerdict) -> list[str]:
    """Return further sentences about a joint drift: on rows, features, the pair, the past, and the performance after earlier drift."""
    found, days = judged.found, judged.days
    rows = f"{found.rows[1]:,} predictions and {found.rows[0]:,} reference rows{judged.compared}{without_calendar(judged)}"
    details = [f"Sampling noise reaches AUC {found.null_95:.2f} over {rows}."]
    if judged.adds:
        details.append(f"Pairs of inputs show more than single inputs (alone: AUC {found.additive_auc:.2f}){changed_correlation(judged)}.")
    elif judged.moved:
        details.append(f"These inputs also drifted on their own: {joined_words([f'`{name}`' for name in judged.moved])}.")
    if days is not None:
        details.append(f"AUC {days.auc:.2f} against the past four weeks; {days.null_mean:.2f} between days of those weeks.")
    if judged.record:
        details.append(f"{judged.record.in_words[:1].upper()}{judged.record.in_words[1:]}.")
    return details


def without_calendar(judged: DomainVerdict) -> str:
    """Return which inputs were left out because they have one value a day."""
    names = [f"`{name}`" for name in judged.calendar]
    return f", without {joined_words(names)} (one value a day)" if names else ""


def telling_features(judged: DomainVerdict) -> str:
    """Return the features that separate the two sides most."""
    named = [f"`{name}`" for name, loss in judged.found.importance if loss >= NAMED_FROM][:NAMED]
    return f", mostly {joined_words(named)}" if named else ""


def changed_correlation(judged: DomainVerdict) -> str:
    """Return a clause about the pair of features whose correlation changed, if pairs separate the sides better than single features; else
    empty.
    """
    pair = judged.found.pair
    if pair is None or not judged.adds or abs(pair[3] - pair[2]) < 0.1:
        return ""
    return f"; the rank correlation of `{pair[0]}` and `{pair[1]}` went from {pair[2]:.2f} to {pair[3]:.2f}"


def joined_words(words: Sequence[str]) -> str:
    """Return words joined with commas and `and`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def undecided_domain(context: Context, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown`, whose fields are replaced if a verdict is possible."""
    return context.undecided(NAME, "model", METRIC, n, because)


ANALYZER = Analyzer(
    NAME,
    "Did the inputs drift jointly from the reference?",
    needs,
    analyze,
    limits={METRIC: ACT, CORRELATION: correlation_changes.ACT},
    proofs=MULTIVARIATE_PROOFS,
)
