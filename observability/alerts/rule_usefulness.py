"""Which rules raised alarms, were these useful, and which rules never raised one?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from observability.alerts.alert_state import Alert, Precision, precision
from observability.analyzers import discover
from observability.core.metric_definitions import METRICS

ENOUGH = 3
"""Answers from which on a rule is called useless, if fewer than half of them say useful."""


@dataclass(frozen=True)
class Use:
    """What became of the alarms of one rule. rule: as the settings name it, serving/drift/psi. last: when it last opened one; None where it never did."""

    rule: str
    answers: Precision
    last: datetime | None = None

    @property
    def fired(self) -> int:
        """Alerts that it opened."""
        return self.answers.all

    @property
    def useless(self) -> bool:
        """Whether people said so of most of its alarms."""
        return self.answers.judged >= ENOUGH and 2 * self.answers.useful < self.answers.judged

    @property
    def title(self) -> str:
        """In words."""
        metric = self.rule.rpartition("/")[2]
        return METRICS[metric].title if metric in METRICS else metric.replace("_", " ")


def uses(alerts: Iterable[Alert]) -> list[Use]:
    """Every rule: those whose alarms were mostly useless first, then those that fired most; those that never fired last, by name."""
    by_rule: dict[str, list[Alert]] = {name: [] for name in names()}
    for each in alerts:
        if each.rule:
            by_rule.setdefault(each.rule, []).append(each)
    found = [Use(name, precision(own), max((each.opened_at for each in own), default=None)) for name, own in by_rule.items()]
    return sorted(found, key=lambda each: (not each.useless, -each.fired, each.rule))


def names() -> list[str]:
    """Every rule that the analyzers declare, as the settings name it."""
    return [f"{each.name}/{metric}" for each in discover() for metric in each.limits]
