"""Compute the usefulness of alarm rules: how many alerts each rule raised, and how many of these were rated useful."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from observability.alerts.alarm_rules import alarm_rules_of
from observability.alerts.alert_state import Alert, AlertPrecision, alert_precision
from observability.core.formatting import metric_title
from observability.core.settings import ModelSettings

ENOUGH = 3
"""Minimum number of ratings for a rule to count as useless; it is useless if fewer than half of the ratings are useful."""


@dataclass(frozen=True)
class RuleUse:
    """Ratings of one rule's alerts. rule: its name in the settings, such as serving/drift/psi. last: when it last raised an alert, or
    None.
    """

    rule: str
    answers: AlertPrecision
    last: datetime | None = None

    @property
    def fired(self) -> int:
        """Number of alerts that the rule raised."""
        return self.answers.all

    @property
    def useless(self) -> bool:
        """Whether most ratings of the rule's alerts are "not useful", with enough ratings."""
        return self.answers.judged >= ENOUGH and 2 * self.answers.useful < self.answers.judged

    @property
    def title(self) -> str:
        """The title of the metric."""
        return metric_title(self.rule.rpartition("/")[2])


def rule_uses(alerts: Iterable[Alert]) -> list[RuleUse]:
    """Every rule: useless ones first, then by number of alerts; rules without alerts last, by name."""
    by_rule: dict[str, list[Alert]] = {name: [] for name in declared_rules()}
    for alert in alerts:
        if alert.rule:
            by_rule.setdefault(alert.rule, []).append(alert)
    uses = [RuleUse(name, alert_precision(own), max((alert.opened_at for alert in own), default=None)) for name, own in by_rule.items()]
    return sorted(uses, key=lambda use: (not use.useless, -use.fired, use.rule))


def declared_rules() -> list[str]:
    """Name of every rule that the analyzers declare."""
    return [rule.name for rule in alarm_rules_of(ModelSettings())]
