"""The audits of data that `audit-data` stores in dataset records: the rows that each check found, and how dropping them affects a model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.metrics.data_audit import CHECKS, SUSPECTS
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

DATA_AUDITS = Records("dataset", ("dataset", "version", "at", "rows", "extra"), ever=True)
PROPOSED = "audit: "
"""Beginning of the name of a rule that an audit proposes; the name of the check follows."""


@dataclass(frozen=True)
class AuditedRule:
    """The rows that a check found or that a person's own rule drops, and the metric of a model fitted on all rows (before) and without
    these rows (after).

    share: the share of all rows (for suspect labels: of the model's rows), with its 95 % interval. low, high: 95 % interval of the
    difference. kept: the metric of the model fitted on all rows, measured only on rows that the check did not find. metric: None if no
    model was fitted; then the numbers are None too.
    """

    name: str
    found: int
    share: Interval
    metric: str | None
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    kept: float | None

    @property
    def own(self) -> bool:
        """Whether this is a person's own rule (`audit-data --rule`), not a check."""
        return self.name not in CHECKS

    @property
    def title(self) -> str:
        """The name as pages show it: a check begins with a capital letter, an own rule keeps its name."""
        return self.name if self.own else self.name.capitalize()


@dataclass(frozen=True)
class AuditedData:
    """An audit of one version of a dataset, as stored in a record. model: name and version of the model that is trained on the data."""

    dataset: str
    version: str
    at: datetime
    rows: int
    model: tuple[str, str] | None
    content: Mapping[str, Any]

    @property
    def chance(self) -> float:
        """The share of the pairs of equal rows that is expected by chance."""
        return stored_number(self.content.get("chance")) or 0.0

    @property
    def rules(self) -> list[AuditedRule]:
        """The results of the checks, in the order of CHECKS, then of a person's own rules."""
        counts, effects = _counts(self.content.get("rules")), _mapping(self.content.get("effects"))
        names = [*(name for name in CHECKS if name in counts), *(name for name in counts if name not in CHECKS)]
        return [self._rule(name, counts[name], _mapping(effects.get(name))) for name in names]

    def rule(self, name: str) -> AuditedRule | None:
        """The result of one check; None if it was not made."""
        return next((each for each in self.rules if each.name == name), None)

    def _rule(self, name: str, found: int, effect: Mapping[str, Any]) -> AuditedRule:
        """The result of one check or own rule."""
        numbers = (stored_number(effect.get(part)) for part in ("before", "after", "low", "high", "metric_of_kept_rows"))
        rows = int(stored_number(self.content.get("model_rows")) or 0) if name == SUSPECTS else self.rows
        return AuditedRule(name, found, rate_interval(found, rows or self.rows), effect.get("metric"), *numbers)

    @property
    def held_out(self) -> Mapping[str, Any] | None:
        """The values rows, in_training, same_label, low, high, chance for the held-out rows; None if they were not counted."""
        held = _mapping(self.content.get("held_out"))
        return held if {"rows", "in_training"} <= _counts(held).keys() else None

    @property
    def columns_alone(self) -> dict[str, Interval]:
        """How well each column alone predicts the label, from 0 (chance) to 1 (perfect), the best first."""
        n = int(stored_number(self.content.get("model_rows")) or 0)
        told = _mapping(self.content.get("columns_alone")).items()
        found = (
            (str(name), Interval(stored_number(each[0]), stored_number(each[1]), stored_number(each[2]), n))
            for name, each in told
            if isinstance(each, list) and len(each) == 3
        )
        return dict(sorted(found, key=lambda item: (-(item[1].value or 0.0), item[0])))

    @property
    def leakage_of(self) -> tuple[str, str] | None:
        """The model version whose leakage audit judges how well each column alone predicts the label. None if this audit judges it, because
        the data have no model or their model is not registered.
        """
        return self.model if self.content.get("leakage_audit", True) else None

    @property
    def outliers_by_column(self) -> dict[str, int]:
        """The number of outliers of each column that has any, most outliers first."""
        counts = _counts(self.content.get("outliers_by_column"))
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def examples(self) -> Sequence[Mapping[str, Any]]:
        """The fields check, row, with and differs of some example rows."""
        return self.content.get("examples") or []


def data_audits(frame: "DataFrame") -> Iterator[tuple[AuditedData, AuditedData | None]]:
    """Yield the newest audit of each dataset, by name, with the one before it. frame: rows of DATA_AUDITS."""
    of: dict[str, list[AuditedData]] = {}
    for row in frame.to_dict("records"):
        content = _mapping(_mapping(row["extra"]).get("data_audit"))
        if not _mapping(content.get("rules")):
            continue
        model = content.get("model")
        named = (str(model[0]), str(model[1])) if isinstance(model, list) and len(model) == 2 else None
        found = AuditedData(str(row["dataset"]), str(row["version"]), aware_utc(row["at"]), int(row["rows"]), named, content)
        of.setdefault(found.dataset, []).append(found)
    for _, audits in sorted(of.items()):
        ordered = sorted(audits, key=lambda audit: (audit.at, audit.version))
        yield ordered[-1], ordered[-2] if len(ordered) > 1 else None


def stored_number(value: Any) -> float | None:
    """A finite number from a record; None for any other value."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _counts(value: Any) -> dict[str, int]:
    """The counts in an object, by name; other values are left out."""
    known = {str(name): stored_number(count) for name, count in _mapping(value).items()}
    return {name: int(count) for name, count in known.items() if count is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    """An object from a record; empty if the value is no object."""
    return value if isinstance(value, Mapping) else {}
