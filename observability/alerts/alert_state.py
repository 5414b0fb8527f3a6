"""In which state is the alert of an incident: open, acknowledged, snoozed, resolved; was it useful?

Read from what was said about it, oldest first; nothing else is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from observability.core.finding import SEVERITIES
from observability.stats.interval import Interval, rate_interval

State = Literal["open", "acknowledged", "snoozed", "resolved"]
SAYS = ("opened", "worse", "resolved", "acknowledged", "snoozed", "woken", "reopened", "useful", "not_useful", "note")
"""What can be said about an alert; the first three are said by the dashboard too, `woken` (a snooze is over and the incident still there) by it alone."""


@dataclass(frozen=True)
class Alert:
    """One alert. state: as of the last word, a snooze that is over being open again. severity: the worst that was told. told: how many times somebody
    was told (opened, worse, woken), which is part of the keys of its messages. useful: None until somebody said. by: who spoke last. rule: analyzer/metric of the finding that led it.
    claims: what its findings were about when it was told last, the leading one first; value: of that one; woke: its snooze is over and nobody was told yet.
    """

    incident: str
    model: str | None
    title: str
    source: str
    severity: str
    state: State
    opened_at: datetime
    changed_at: datetime
    until: datetime | None = None
    useful: bool | None = None
    by: str | None = None
    told: int = 1
    owner: str | None = None
    rule: str | None = None
    claims: tuple[str, ...] = ()
    value: float | None = None
    woke: bool = False


def standing(said: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, Alert]:
    """The alerts by incident. said: records of kind `alert`, oldest first; what is said about an incident that was never opened does nothing."""
    alerts: dict[str, Alert] = {}
    for each in said:
        incident, says = each["incident"], each["says"]
        known = alerts.get(incident)
        if known is None:
            if says == "opened":
                alerts[incident] = opened(each)
        else:
            alerts[incident] = after(known, each)
    return {name: awake(each, now) for name, each in alerts.items()}


def opened(said: Mapping[str, Any]) -> Alert:
    """The alert as it begins."""
    return Alert(
        said["incident"], said.get("model"), str(said.get("title") or said["incident"]), str(said.get("source") or "unknown"),
        str(said.get("severity") or "act"), "open", said["at"], said["at"], by=said["author"], owner=said.get("owner"), rule=said.get("rule"),
        claims=tuple(said.get("claims") or ()), value=said.get("value"),
    )  # fmt: skip


def after(alert: Alert, said: Mapping[str, Any]) -> Alert:
    """The alert after one more word."""
    says, at, by = said["says"], said["at"], said["author"]
    if says in ("useful", "not_useful"):
        return replace(alert, useful=says == "useful", by=by)
    if says == "note":
        return replace(alert, by=by)
    moved = replace(alert, changed_at=at, by=by, until=None)
    if says == "acknowledged":
        return replace(moved, state="acknowledged")
    if says == "snoozed":
        return replace(moved, state="snoozed", until=said.get("until"))
    if says == "resolved":
        return replace(moved, state="resolved")
    told = replace(moved, state="open", told=alert.told + 1) if says in ("opened", "worse", "woken") else replace(moved, state="open")
    return replace(
        told,
        severity=said.get("severity") or alert.severity,
        title=said.get("title") or alert.title,
        claims=tuple(said.get("claims") or alert.claims),
        value=said["value"] if said.get("value") is not None else alert.value,
    )


def awake(alert: Alert, now: datetime) -> Alert:
    """A snooze whose time is over is open again."""
    if alert.state == "snoozed" and alert.until is not None and alert.until <= now:
        return replace(alert, state="open", until=None, woke=True)
    return alert


def worse(one: str, other: str) -> bool:
    """Whether a severity is worse than another."""
    return SEVERITIES.index(one) < SEVERITIES.index(other)  # type: ignore[arg-type] # both are severities


@dataclass(frozen=True)
class Precision:
    """How many of the alerts that somebody judged were useful: the share with its 95 % interval (None below 5 answers), useful, judged, all."""

    share: Interval | None
    useful: int
    judged: int
    all: int

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.judged:
            return f"No alert was judged useful or not yet; a share is said from {ENOUGH} answers on."
        if self.share is None or self.share.value is None or self.share.low is None or self.share.high is None:
            return f"{self.useful} of {self.judged} judged alerts were useful; a share is said from {ENOUGH} answers on."
        return f"{self.useful} of {self.judged} judged alerts were useful: {100 * self.share.value:.0f} % (95 % interval {100 * self.share.low:.0f} % to {100 * self.share.high:.0f} %)."


ENOUGH = 5


def precision(alerts: Iterable[Alert]) -> Precision:
    """How often alerts were judged useful."""
    everything = list(alerts)
    judged = [each.useful for each in everything if each.useful is not None]
    useful = sum(judged)
    return Precision(rate_interval(useful, len(judged)) if len(judged) >= ENOUGH else None, useful, len(judged), len(everything))
