"""Alarm rules of a model with their limits, a preview of a change over past weeks, and saved changes of settings.

A rule is an analyzer's metric with a limit (`analyzer.limits`), so the list of rules is derived from the analyzers. The preview evaluates
each past week as of its end, with the current and with the new settings. Saved changes are recorded as events with author and reason,
changes of monitored slices included.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.alerts.alert_state import Alert, AlertPrecision, alert_precision
from observability.analyzers import discover
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.limit_units import LIMIT_UNITS
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.core.window import Slice, Window
from observability.incidents.action_counts import ActionCounts, action_counts
from observability.monitoring import check

if TYPE_CHECKING:
    from observability.store.engine import Store

WEEKS = 8
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class AlarmRule:
    """One rule. usual: the analyzer's default limit (None: the rule applies only with an override). stated: the owner's override,
    or None.
    """

    analyzer: str
    metric: str
    usual: float | None
    stated: float | None = None

    @property
    def name(self) -> str:
        """The name in the settings: serving/drift/psi."""
        return f"{self.analyzer}/{self.metric}"

    @property
    def limit(self) -> float | None:
        """The limit that applies: the stated one, else the usual one; None if there is neither."""
        return self.usual if self.stated is None else self.stated

    @property
    def title(self) -> str:
        """The title of the metric."""
        return METRICS[self.metric].title

    @property
    def unit(self) -> str:
        """The unit of the limit: the metric's unit, unless the limit is a multiple or a rise."""
        return LIMIT_UNITS.get(self.name, METRICS[self.metric].unit)


def alarm_rules_of(settings: ModelSettings) -> list[AlarmRule]:
    """Every rule with the limit in force, ordered by analyzer."""
    return [
        AlarmRule(analyzer.name, metric, usual, settings.limits.get(f"{analyzer.name}/{metric}"))
        for analyzer in discover()
        for metric, usual in analyzer.limits.items()
    ]


@dataclass(frozen=True)
class WeekPreview:
    """Findings of one week that need action under the old and the new settings.

    before, after: number of findings under the old and the new settings. began: findings under the new settings alone. ended: findings
    under the old settings alone. changed: pairs (old, new) whose severity differs.
    """

    week: Week
    before: ActionCounts
    after: ActionCounts
    began: tuple[Finding, ...]
    ended: tuple[Finding, ...]
    changed: tuple[tuple[Finding, Finding], ...]


def preview_settings(
    store: "Store", name: str, settings: ModelSettings, *, now: datetime, weeks: int = WEEKS, progress: Progress | None = None
) -> list[WeekPreview]:
    """The findings of each of the last weeks under other settings, newest last, from records that had arrived by the week's end.

    A changed limit runs only the analyzers that it concerns; any other change runs all analyzers that work from counts
    (`is_partial_preview`). Weeks without predictions are left out. Raises NotFoundError for an unknown model.
    """
    model = store.catalog().model(name)
    only = analyzers_concerned(model.settings, settings)
    span = serving_period(store, model)
    if span is None:
        return []
    last = min(Week.before_now(now), Week.of(span[1]))
    previews = []
    for place in reversed(range(weeks)):
        week = last.back(place)
        if week.end <= span[0]:
            continue
        if progress:
            progress(1 - (place + 1) / weeks, f"checking week {week}")
        before, after = (findings_under(store, replace(model, settings=values), week, only) for values in (model.settings, settings))
        previews.append(compare_week(week, before, after))
    return previews


def analyzers_concerned(old: ModelSettings, new: ModelSettings) -> tuple[str, ...]:
    """Names of the analyzers that a change of limits concerns. Empty (which means all analyzers) if another setting changed."""
    if replace(old, limits=new.limits) != new:
        return ()
    names = {key for key in {*old.limits, *new.limits} if old.limits.get(key) != new.limits.get(key)}
    return tuple(sorted({name.rpartition("/")[0] for name in names}))


def serving_period(store: "Store", model: Model) -> tuple[datetime, datetime] | None:
    """Event times of a model's first and newest production prediction; None without predictions."""
    activity = store.activity()
    rows = activity[(activity["model"] == model.name) & (activity["environment"] == "production")]
    if rows.empty:
        return None
    first, last = (aware_utc(at.to_pydatetime()) for at in (rows["first"].min(), rows["last"].max()))
    return first, last


def is_partial_preview(old: ModelSettings, new: ModelSettings) -> bool:
    """Whether the preview leaves out the analyzers that read single rows. It does if it must run all analyzers, because that would take
    minutes.
    """
    return not analyzers_concerned(old, new)


def changes_no_finding(old: ModelSettings, new: ModelSettings) -> bool:
    """Whether the only settings that changed are ones that no analyzer reads."""
    return replace(old, **{name: getattr(new, name) for name in NOT_RECORDED}) == new


def findings_under(store: "Store", model: Model, week: Week, only: tuple[str, ...]) -> list[Finding]:
    """Findings of a model's week under its settings. `only`: run these analyzers with all their data; without it, run all analyzers that
    need only counts.
    """
    window = Window(model.name, week.start, week.end, as_of=week.end)
    found = check.model_findings(store, model, window, week.end, only, "all" if only else "counts")
    if only:
        found += check.record_findings(
            store, model.name, start=week.start, end=week.end, as_of=week.end, now=week.end, only=only, beside=window, tried=model
        )
    return check.unique_findings(found)


def compare_week(week: Week, before: list[Finding], after: list[Finding]) -> WeekPreview:
    """Compare the findings of one week under the old and the new settings."""
    old, new = ({finding.id: finding for finding in side if finding.needs_action} for side in (before, after))
    return WeekPreview(
        week,
        action_counts(before),
        action_counts(after),
        began=tuple(finding for name, finding in new.items() if name not in old),
        ended=tuple(finding for name, finding in old.items() if name not in new),
        changed=tuple((finding, new[name]) for name, finding in old.items() if name in new and new[name].severity != finding.severity),
    )


def rule_precision(alerts: Iterable[Alert], rule: AlarmRule) -> AlertPrecision:
    """Precision of the alerts that a rule raised."""
    return alert_precision(alert for alert in alerts if alert.rule == rule.name)


def change_settings(
    store: "Store", name: str, settings: ModelSettings, *, author: str, said: Iterable[str], why: str = "", what: str = "threshold"
) -> list[str]:
    """Save settings of a model, and record the change as an event with its author, its reason and one sentence for each changed setting
    (`said`).

    Returns the store's notes about consequences. Raises NotFoundError for an unknown model, UsageError or StoreBrokenError
    if the settings cannot be written.
    """
    text = f"{author}: {'; '.join(said)}.{f' {why.strip()}' if why.strip() else ''}"
    notes = store.update_settings(name, settings)
    store.write_records([{"kind": "event", "what": what, "model": name, "text": text}])
    return notes


LIMITING = ("threshold", "limits", "fairness_criterion", "primary_metric", "service_level_availability", "service_level_latency_ms")
"""Settings that decide severities: changing one of them may explain a finding."""
NOT_RECORDED = ("owner", "team", "tags", "description", "runbooks")
"""Settings that no analyzer reads; `save_settings` records no event if only these change."""


def save_settings(store: "Store", name: str, settings: ModelSettings, *, author: str) -> list[str]:
    """Save settings of a model, and record what changed, if anything. Return value and exceptions are those of `change_settings`."""
    model = store.catalog().by_name.get(name)
    before, after = asdict(ModelSettings() if model is None else model.settings), asdict(settings)
    changed = [key for key in after if key not in NOT_RECORDED and before[key] != after[key]]
    if not changed:
        return store.update_settings(name, settings)
    texts = [setting_change_text(key, before[key], after[key]) for key in changed]
    what = "threshold" if set(changed) & {*LIMITING} else "note"
    return change_settings(store, name, settings, author=author, said=texts, what=what)


def setting_change_text(name: str, before: object, after: object) -> str:
    """A changed setting as text: `threshold: 0.5 → 0.6`. For a table, only the entries that differ are written."""
    words = name.replace("_", " ")
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        return f"{words}: " + ", ".join(f"{key} {setting_text(before.get(key))} → {setting_text(after.get(key))}" for key in keys)
    return f"{words}: {setting_text(before)} → {setting_text(after)}"


def setting_text(value: object) -> str:
    """A setting in words; `not set` for an empty one."""
    if value in (None, (), {}):
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else f"{value:g}" if isinstance(value, float) else str(value)


def set_watched_slice(store: "Store", name: str, part: Slice, *, author: str, why: str = "", on: bool = True) -> bool:
    """Add a slice to the model's monitored slices, or remove it if `on` is False. Returns whether anything changed.

    `serving/slices` and the comparison report a monitored slice whatever its severity. Raises NotFoundError for an unknown column.
    """
    model = store.catalog().model(name)
    for column, _ in part.conditions:
        if on:
            model.resolve(column)
    held, text = model.settings.slices, str(part)
    if (text in held) == on:
        return False
    slices = (*held, text) if on else tuple(name for name in held if name != text)
    change = f"the slice {text} is monitored from now on" if on else f"the slice {text} is no longer monitored"
    change_settings(store, name, replace(model.settings, slices=slices), author=author, said=[change], why=why)
    return True
