"""Did what we decided work? One metric after an action against before it, with an interval: yes, no, or cannot tell.

Where another version answers than before, the two are compared on the same rows (same_rows.py). Everything else is a week against the week
before the action: weeks differ by themselves, and the sentence says so.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.weeks import Week
from observability.core.window import Slice
from observability.metrics.metric_limits import LIMITS
from observability.monitoring import check
from observability.review import paired_versions
from observability.review.fleet_strip import interval
from observability.stats.interval import Interval, difference_interval

if TYPE_CHECKING:
    from observability.core.catalog import Model
    from observability.store.db.database import Store

Answer = Literal["yes", "no", "cannot tell"]
How = Literal["same rows", "weeks"]
SAME_ROWS = ("serving/performance", "serving/slices")
"""Analyzers whose metrics two versions can be compared by on the same rows, all or those of a slice."""


@dataclass(frozen=True)
class Target:
    """What an action was to move: a metric of a model (of a subject, in a slice), as an analyzer states it; goal is the value to reach."""

    model: str
    analyzer: str
    metric: str
    subject: str = "model"
    slice: str | None = None
    goal: float | None = None


@dataclass(frozen=True)
class Moved:
    """The answer. improvement: by how much it got better (in the metric's unit), with its 95 % interval. before, now: value, low, high, n."""

    answer: Answer
    sentence: str
    how: How
    before: tuple[float | None, float | None, float | None, int] | None = None
    now: tuple[float | None, float | None, float | None, int] | None = None
    improvement: tuple[float | None, float | None, float | None] | None = None
    goal_reached: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def moved(store: "Store", target: Target, since: Week, now: Week) -> Moved:
    """Whether the target moved for the better from the week of the action (`since`, or its last days) to the week `now`, known at the end of `now`.

    Raises NotFoundError where the model is gone.
    """
    model = store.catalog().model(target.model)
    if target.analyzer in SAME_ROWS and target.subject == "model":
        both = paired_versions.compared(store, model, target.metric, since, now, Slice.parse(target.slice))
        if both is not None:
            return on_same_rows(target, both, now)
    before, after = (value_of(store, model, target, week, now) for week in (since, now))
    return weeks(target, before, after, since, now)


def value_of(store: "Store", model: "Model", target: Target, week: Week, known: Week) -> Finding | None:
    """What the analyzer says of the target in a week, as of the end of the week `known`; None where it says nothing."""
    scope = Slice.parse(target.slice) if target.slice and target.analyzer != "serving/slices" else None
    report = check.check(
        store, model=model.name, start=week.start, end=week.end, as_of=known.end, now=week.end, slice=scope, only=(target.analyzer,), with_records=False
    )  # fmt: skip
    found = [each for each in report.findings if each.metric == target.metric and each.subject == target.subject and each.value is not None]
    return max(found, key=lambda each: each.n) if found else None


def weeks(target: Target, before: Finding | None, after: Finding | None, since: Week, now: Week) -> Moved:
    """A week against the week of the action."""
    title = METRICS[target.metric].title
    if before is None or after is None:
        which = since if before is None else now
        return Moved("cannot tell", f"{title} could not be measured in {which}, so nothing can be said.", "weeks")
    better = sign(target.metric, before)
    change = difference_interval(interval(before), interval(after))
    improvement = oriented(change, better)
    answer = judged(improvement, worthwhile(target, before.value))
    reached = goal_reached(target, after.value)
    words = (
        f"{title} was {said(before)} in {since} and is {said(after)} in {now}: "
        f"{in_words(answer, improvement)}{goal_words(target, reached)} Weeks differ by themselves, so this is no proof that the action did it."
    )
    return Moved(answer, words, "weeks", told(before), told(after), triple(improvement), reached)


def sign(metric: str, before: Finding) -> float:
    """+1 where a lower value is better, -1 where a higher one is. Of a bias nearer to zero is better; others without a side: back to the reference."""
    better = METRICS[metric].better
    if better is not None:
        return 1.0 if better == "low" else -1.0
    base = before.evidence.get("baseline") if metric != "bias" else 0.0
    return 1.0 if before.value is not None and before.value > float(base or 0.0) else -1.0


def oriented(change: Interval, better: float) -> Interval:
    """Before - after, turned so that positive is better."""
    if change.value is None or better > 0:
        return change
    low = None if change.high is None else -change.high
    high = None if change.low is None else -change.low
    return Interval(-change.value, low, high, change.n)


def judged(improvement: Interval, least: float) -> Answer:
    """Yes where it surely got better, no where it surely did not by as much as matters, else cannot tell."""
    if improvement.value is None or improvement.low is None or improvement.high is None:
        return "cannot tell"
    if improvement.low > 0:
        return "yes"
    return "no" if improvement.high < least else "cannot tell"


def worthwhile(target: Target, before: float | None) -> float:
    """The smallest improvement that matters: half of the way to the goal, else what the performance analyzer would call a change worth watching,
    else a tenth of the value.
    """
    value = abs(before or 0.0)
    if target.goal is not None:
        return abs((before or 0.0) - target.goal) / 2
    kind, watch, _ = LIMITS.get(target.metric, ("relative", 0.1, 0.25))
    return watch if kind == "points" else watch * value


def goal_reached(target: Target, after: float | None) -> bool | None:
    """Whether the value is at the goal or beyond; None without one."""
    if target.goal is None or after is None:
        return None
    return after <= target.goal if METRICS[target.metric].better != "high" else after >= target.goal


def on_same_rows(target: Target, both: paired_versions.Both, now: Week) -> Moved:
    """The paired answer in words."""
    one = both.difference
    improvement = oriented(one.change, 1.0 if METRICS[target.metric].better == "high" else -1.0)
    answer = judged(improvement, worthwhile(target, one.b.value))
    reached = goal_reached(target, one.a.value)
    place = f" in `{target.slice}`" if target.slice else ""
    words = (
        f"On the same {both.labelled:,} labelled predictions of {now}{place}, {METRICS[target.metric].title} is {number(one.a.value)} with version {both.new} and "
        f"{number(one.b.value)} with version {both.then} ({both.how}): {in_words(answer, improvement)}{goal_words(target, reached)}"
    )
    before, after = ((each.value, each.low, each.high, both.labelled) for each in (one.b, one.a))
    return Moved(answer, words, "same rows", before, after, triple(improvement), reached)


def in_words(answer: Answer, improvement: Interval) -> str:
    """The answer with its interval."""
    if improvement.value is None or improvement.low is None or improvement.high is None:
        return "whether it got better cannot be told."
    reach = f"{number(improvement.low)} to {number(improvement.high)}"
    if answer == "yes":
        return f"better by {number(improvement.value)} (95 % interval {reach})."
    if answer == "no":
        if improvement.high < 0:
            return f"worse by {number(-improvement.value)} (95 % interval {number(-improvement.high)} to {number(-improvement.low)})."
        return f"not better by as much as matters: between {number(-improvement.low)} worse and {number(improvement.high)} better (95 % interval)."
    return f"whether it got better cannot be told (change for the better {number(improvement.value)}, 95 % interval {reach})."


def goal_words(target: Target, reached: bool | None) -> str:
    """What became of the goal."""
    if reached is None:
        return ""
    return f" The goal of {number(target.goal)} is {'reached' if reached else 'not reached'}."


def told(finding: Finding) -> tuple[float | None, float | None, float | None, int]:
    """Value, interval, rows."""
    return finding.value, finding.low, finding.high, finding.n


def triple(each: Interval) -> tuple[float | None, float | None, float | None]:
    """Value and interval."""
    return each.value, each.low, each.high


def said(finding: Finding) -> str:
    """A value with its interval in words."""
    if finding.low is None or finding.high is None:
        return number(finding.value)
    return f"{number(finding.value)} ({number(finding.low)} to {number(finding.high)})"


def number(value: float | None) -> str:
    """Three significant digits."""
    return "unknown" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def target_of(action: dict[str, Any], findings: Sequence[dict[str, Any]]) -> Target | None:
    """What an action was to move: the metric of the finding it was taken on, in the frozen week, else its own metric of the model; None without."""
    about = next((each for each in findings if each["id"] == action.get("finding")), None)
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
