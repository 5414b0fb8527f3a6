"""Check the arrival of predictions and the quality of their values.

Each feature and the score is compared with the reference (or with its own past month if none is registered): null, NaN, absent, wrong type,
unseen, out of range, constant and stuck values. Arrivals are compared with the number expected at that hour of the week. A finding needs
action if the effect is large and statistically significant. If the effect is large but not significant, the severity is `unknown`. The
false discovery rate is controlled over all tests of the run.
"""

from collections.abc import Mapping
from typing import Literal

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.catalog import Edges, Kind
from observability.core.finding import Against, Finding, needs_action
from observability.core.questions import NULL, Aggregate, Bucket
from observability.detection import arrival, rejected_lines, stuck_values, value_checks
from observability.detection.arrival import arrival_claims
from observability.detection.hourly_volume import volume_hours
from observability.detection.rejected_lines import line_claims
from observability.detection.significant_claims import NAME, PAST_DAYS, settled_findings, worst_of_each
from observability.detection.stuck_values import still_claims
from observability.detection.value_checks import MINIMUM_ROWS, CheckedColumn, no_reference, no_rows, rate_claims, values_summaries
from observability.metrics.column_counts import NO_ROWS, ColumnCounts, counts_by_column, sums_by_column
from observability.proofs.values import QUALITY_PROOFS


def needs(context: Context) -> dict[str, Ask]:
    """Ask for predictions by hour and histograms by day of the window and of the past month, and histograms of the reference."""
    by_hour = Aggregate("predictions", keys=(Bucket("hour"),))
    asks = {"arrivals": Ask(by_hour, scope="model"), "past_arrivals": Ask(by_hour, span="past", days=PAST_DAYS, scope="model")}
    if columns := quality_columns(context):
        asks["current"] = Ask(Aggregate("predictions", keys=(Bucket("day"),), histogram=columns))
        if numbers := tuple(name for name in columns if column_kind(context, name) == "number"):
            asks["sums"] = Ask(Aggregate("predictions", keys=(Bucket("day"),), sums=numbers))
        if context.version.reference_rows:
            asks["reference"] = Ask(Aggregate("predictions", histogram=columns), span="reference")
        scope: Literal["version", "model"] = "version" if context.version.reference_rows else "model"
        asks["past"] = Ask(asks["current"].aggregate, span="past", days=PAST_DAYS, scope=scope)
    return asks


def quality_columns(context: Context) -> tuple[str, ...]:
    """Return the column references of the registered features (of all features seen, if nothing is registered) and of the score."""
    names = context.version.features if context.version.reference_rows else tuple(each.name for each in context.model.features())
    features = [f"feature.{name}" for name in names if context.model.column(f"feature.{name}")]
    has_score = bool(context.model.classes) or "score" in context.version.edges
    return (*features, *(("score",) if has_score else ()))


def column_kind(context: Context, reference: str) -> Kind:
    """Return the kind of a column; the score is a number."""
    column = context.model.column(reference)
    return column.kind if column else "number"


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about arrival, lines and each column."""
    hours = volume_hours(frames["arrivals"], frames["past_arrivals"], context)
    arriving, said = arrival_claims(hours, context)
    now = counts_by_column(frames["current"]) if "current" in frames else {}
    columns = columns_of_both_sides(now, frames, context)
    rows = now[first].rows if now and (first := quality_columns(context)[0]) in now else 0
    arriving += line_claims(context, rows)
    rates = rate_claims(columns, context)
    of_columns = [claim for each, of_rates in zip(columns, rates, strict=True) for claim in (*of_rates, *still_claims(each, context))]
    judged = settled_findings([*arriving, *of_columns], context.budget)
    beyond = [each for each in judged[len(arriving) :] if needs_action(each.severity) or each.severity == "unknown"]
    if "current" in frames and rows == 0:
        said.append(no_rows(context))
    elif "reference" not in frames:
        said.append(no_reference(context, rows))
    named = {each.subject for each in beyond}
    fine = values_summaries([each for each in columns if each.subject not in named], context)
    return [*worst_of_each(judged[: len(arriving)]), *said, *beyond, *fine]


def columns_of_both_sides(now: Mapping[str, ColumnCounts], frames: Frames, context: Context) -> list[CheckedColumn]:
    """Return every column that the query results of the window and of the baseline both contain; the runner reports columns whose query
    failed.
    """
    if "current" not in frames:
        return []
    baseline: Against = "reference" if "reference" in frames else "past"
    past = counts_by_column(frames["past"]) if "past" in frames else {}
    before = counts_by_column(frames["reference"]) if baseline == "reference" else past
    sums = sums_by_column(frames["sums"]) if "sums" in frames else {}
    found = []
    for reference in quality_columns(context):
        if reference not in now or (reference not in before and frames[baseline]["n"].sum()):
            continue
        feature = reference != "score"
        name = context.model.subject(reference)
        kind = column_kind(context, reference)
        edges = context.version.edges.get(reference, Edges())
        mine, theirs = now[reference], before.get(reference, NO_ROWS)
        if baseline == "past" and (theirs.rows < MINIMUM_ROWS or (never_seen(mine) and never_seen(theirs))):
            continue
        found.append(CheckedColumn(reference, name, kind, feature, edges, mine, theirs, baseline, past.get(reference), sums.get(reference)))
    return found


def never_seen(counts: ColumnCounts) -> bool:
    """Return whether no row had a value. Such a column may be new, or belong to other versions."""
    return not counts.by_bin[2, counts.bins != NULL].any()


LIMITS: dict[str, float | None] = {
    **dict.fromkeys(("null_rate", "nan_rate", "absent_rate", "wrong_type_rate", "unseen_rate", "out_of_range_rate"), value_checks.ACT),
    "constant": stuck_values.CONSTANT_SHARE,
    "stuck_hours": stuck_values.STUCK_ACT,
    **{metric: act for metric, (_, act) in rejected_lines.LIMITS.items()},
    "volume": arrival.FEWER_ACT,
    "silence_hours": arrival.SILENT_ACT,
    "freshness_hours": None,
}
ANALYZER = Analyzer(
    NAME,
    "Do predictions arrive on time, and are their values complete and valid?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    limits=LIMITS,
    proofs=QUALITY_PROOFS,
)
"""Exempt from law 1, because zero arrivals are a finding here: they are compared with the expected number."""
