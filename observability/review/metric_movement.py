"""Measure how an action's target metric changed after the action was done, with an interval: improved, not improved, or unknown.

An action that is not done yet cannot have caused a change. The answer is then `moved before the action` or `not done yet`. In the week in
which the action was done, the answer is `too early`.

If another version serves than before, the two versions are compared on the same rows. Otherwise a week is compared with the week before the
action. That does not prove causation, and the sentence says so.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.weeks import Week
from observability.core.window import Slice
from observability.metrics.metric_limits import LIMITS
from observability.monitoring import check
from observability.review import paired_versions
from observability.review.fleet_strip import finding_interval
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval
from observability.store.engine import Store

Answer = Literal["yes", "no", "cannot tell", "moved before the action", "not done yet", "too early"]
How = Literal["same rows", "weeks"]
SAME_ROWS = ("serving/performance", "serving/slices")
"""Analyzers for whose metrics two versions can be compared on the same rows, either on all rows or in a slice."""


@dataclass(frozen=True)
class Target:
    """Target metric of an action: a metric of a model (of a subject, in a slice), as an analyzer reports it; goal: value to reach."""

    model: str
    analyzer: str
    metric: str
    subject: str = "model"
    slice: str | None = None
    goal: float | None = None


@dataclass(frozen=True)
class MetricMovement:
    """The change of a target metric. improvement: in the metric's unit, positive is better, with its 95 % interval. before, now: value,
    low, high, n.
    """

    answer: Answer
    sentence: str
    how: How
    before: tuple[float | None, float | None, float | None, int] | None = None
    now: tuple[float | None, float | None, float | None, int] | None = None
    improvement: tuple[float | None, float | None, float | None] | None = None
    goal_reached: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """The movement as a JSON object."""
        return asdict(self)


def movement_of_action(store: Store, target: Target, since: Week, done: Week | None, now: Week) -> MetricMovement:
    """How an action's target changed from the week of the action (`since`) to the week `now`; it is judged only in the weeks after the
    action was done.

    done: the week in which the action was done, None if it is not done. Raises NotFoundError if the model was removed.
    """
    if done is not None and done >= now:
        return MetricMovement("too early", f"Done in {done}: judged from {done.back(-1)} on.", "weeks")
    found = metric_movement(store, target, since, now)
    if done is not None:
        return found
    if found.answer == "yes":
        return replace(found, answer="moved before the action", sentence=f"The metric moved before the action was done. {found.sentence}")
    return replace(found, answer="not done yet", sentence=f"Not done yet. {found.sentence}")


def metric_movement(store: Store, target: Target, since: Week, now: Week) -> MetricMovement:
    """How the target changed from the week of the action (`since`) to the week `now`, as known at the end of `now`.

    Raises NotFoundError if the model was removed.
    """
    model = store.catalog().model(target.model)
    if target.analyzer in SAME_ROWS and target.subject == "model":
        both = paired_versions.compare_paired(store, model, target.metric, since, now, Slice.parse(target.slice))
        if both is not None:
            return on_same_rows(target, both, now)
    before, after = (target_value(store, model, target, week, now) for week in (since, now))
    return compare_weeks(target, before, after, since, now)


def target_value(store: Store, model: Model, target: Target, week: Week, known: Week) -> Finding | None:
    """The analyzer's finding about the target in a week, as of the end of the week `known`; None if there is none."""
    scope = Slice.parse(target.slice) if target.slice and target.analyzer != "serving/slices" else None
    report = check.check(
        store,
        model=model.name,
        start=week.start,
        end=week.end,
        as_of=known.end,
        now=week.end,
        slice=scope,
        only=(target.analyzer,),
        with_records=False,
    )
    found = [finding for finding in report.findings if (finding.metric, finding.subject) == (target.metric, target.subject)]
    return max((finding for finding in found if finding.value is not None), key=lambda finding: finding.n, default=None)


def compare_weeks(target: Target, before: Finding | None, after: Finding | None, since: Week, now: Week) -> MetricMovement:
    """Comparison of a week with the week of the action."""
    title = METRICS[target.metric].title
    if before is None or after is None:
        which = since if before is None else now
        return MetricMovement("cannot tell", f"{title} was not measured in {which}.", "weeks")
    sign = improvement_sign(target.metric, before)
    change = difference_interval(finding_interval(before), finding_interval(after))
    improvement = signed_improvement(change, sign)
    answer = movement_verdict(improvement, relevant_improvement(target, before.value))
    reached = goal_reached(target, after.value)
    words = (
        f"{title}: {value_with_interval_text(before)} in {since}, {value_with_interval_text(after)} in {now}: "
        f"{movement_sentence(answer, improvement)}{goal_words(target, reached)} A comparison of weeks does not prove causation."
    )
    return MetricMovement(answer, words, "weeks", value_body(before), value_body(after), improvement.triple, reached)


def improvement_sign(metric: str, before: Finding) -> float:
    """The sign by which the change `before − after` is multiplied to give an improvement: +1 if lower is better, −1 if higher is better.

    For bias, a value nearer to zero is better. For metrics without a better side, a value nearer to the reference is better.
    """
    better = METRICS[metric].better
    if better is not None:
        return 1.0 if better == "low" else -1.0
    base = before.evidence.get("baseline") if metric != "bias" else 0.0
    return 1.0 if before.value is not None and before.value > float(base or 0.0) else -1.0


def signed_improvement(change: Interval, sign: float) -> Interval:
    """A change times its sign (`improvement_sign`), so that positive is better."""
    if change.value is None or sign > 0:
        return change
    low = None if change.high is None else -change.high
    high = None if change.low is None else -change.low
    return Interval(-change.value, low, high, change.n)


def movement_verdict(improvement: Interval, least: float) -> Answer:
    """`yes` if the whole interval is above zero, `no` if it excludes a relevant improvement, else `cannot tell`."""
    if improvement.value is None or improvement.low is None or improvement.high is None:
        return "cannot tell"
    if improvement.low > 0:
        return "yes"
    return "no" if improvement.high < least else "cannot tell"


def relevant_improvement(target: Target, before: float | None) -> float:
    """Smallest improvement that is relevant: half of the distance to the goal, else the Warning limit of the performance analyzer, else a
    tenth of the value.
    """
    value = abs(before or 0.0)
    if target.goal is not None:
        return abs((before or 0.0) - target.goal) / 2
    kind, watch, _ = LIMITS.get(target.metric, ("relative", 0.1, 0.25))
    return watch if kind == "points" else watch * value


def goal_reached(target: Target, after: float | None) -> bool | None:
    """Whether the value has reached the goal; None without a goal."""
    if target.goal is None or after is None:
        return None
    return after <= target.goal if METRICS[target.metric].better != "high" else after >= target.goal


def on_same_rows(target: Target, both: paired_versions.PairedVersions, now: Week) -> MetricMovement:
    """The result of comparing two versions on the same rows."""
    paired = both.difference
    improvement = signed_improvement(paired.change, 1.0 if METRICS[target.metric].better == "high" else -1.0)
    answer = movement_verdict(improvement, relevant_improvement(target, paired.b.value))
    reached = goal_reached(target, paired.a.value)
    place = f" in `{target.slice}`" if target.slice else ""
    words = (
        f"On the same {both.labelled:,} labelled predictions of {now}{place}, {METRICS[target.metric].title} is "
        f"{movement_number(paired.a.value)} with version {both.new} and {movement_number(paired.b.value)} with version {both.then} "
        f"({both.how}): {movement_sentence(answer, improvement)}{goal_words(target, reached)}"
    )
    before, after = ((side.value, side.low, side.high, both.labelled) for side in (paired.b, paired.a))
    return MetricMovement(answer, words, "same rows", before, after, improvement.triple, reached)


def movement_sentence(answer: Answer, improvement: Interval) -> str:
    """The result with its interval, as the end of a sentence."""
    if improvement.value is None or improvement.low is None or improvement.high is None:
        return "improvement unknown."
    value, low, high, worse, least, most = (
        movement_number(end) for side in (1, -1) for end in (side * improvement.value, side * improvement.low, side * improvement.high)
    )
    if answer == "yes":
        return f"improved by {value} (95 % interval {low} to {high})."
    if answer == "cannot tell":
        return f"improvement uncertain ({value}, 95 % interval {low} to {high})."
    if improvement.high < 0:
        return f"worse by {worse} (95 % interval {most} to {least})."
    return f"no relevant improvement (95 % interval from {least} worse to {high} better)."


def goal_words(target: Target, reached: bool | None) -> str:
    """Whether the goal was reached, as a sentence; empty without a goal."""
    return "" if reached is None else f" Goal {movement_number(target.goal)} {'reached' if reached else 'not reached'}."


def value_body(finding: Finding) -> tuple[float | None, float | None, float | None, int]:
    """Value, interval and rows of a finding."""
    return finding.value, finding.low, finding.high, finding.n


def value_with_interval_text(finding: Finding) -> str:
    """A finding's value with its interval."""
    if finding.low is None or finding.high is None:
        return movement_number(finding.value)
    return f"{movement_number(finding.value)} ({movement_number(finding.low)} to {movement_number(finding.high)})"


def movement_number(value: float | None) -> str:
    """A number with three significant digits; from 1,000 on, a whole number."""
    return "unknown" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def target_of(action: dict[str, Any], findings: Sequence[dict[str, Any]]) -> Target | None:
    """Target of an action: the metric of its finding in the frozen week, else the metric that the action itself names. None if it has
    neither.
    """
    about = next((finding for finding in findings if finding["id"] == action.get("finding")), None)
    metric, model = action.get("metric") or (about or {}).get("metric"), action.get("model") or (about or {}).get("model")
    if not metric or not model or metric not in METRICS:
        return None
    if about is not None and about["metric"] == metric:
        return Target(model, about["analyzer"], metric, about["subject"], about["slice"], action.get("goal"))
    return Target(
        model,
        action.get("analyzer") or "serving/performance",
        metric,
        action.get("subject") or "model",
        action.get("slice"),
        action.get("goal"),
    )
