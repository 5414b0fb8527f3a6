"""Recorded audits of models: their headline figure, and whether it is worse than before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from observability.core.metric_definitions import METRICS
from observability.core.time import aware_utc

AuditKind = Literal["robustness", "membership", "explanations", "fairness", "leakage"]
KINDS: tuple[AuditKind, ...] = ("robustness", "membership", "explanations", "fairness", "leakage")
HEADLINES: dict[str, str] = {
    "robustness": "robust_accuracy",
    "membership": "membership_exposure",
    "explanations": "explanation_stability",
    "fairness": "shifted_fairness_gap",
    "leakage": "label_leakage",
}
"""For each kind of audit, the metric of its headline (main figure)."""
FURTHER: dict[str, tuple[str, ...]] = {"leakage": ("training_overlap",)}
"""For each kind of audit, the metrics that are judged in addition to its headline."""


@dataclass(frozen=True)
class StoredAudit:
    """An audit as it was recorded. value, low, high, n: figures of its headline; None if the audit has no result. at,
    expires: aware UTC.
    """

    model: str
    version: str
    kind: str
    at: datetime
    expires: datetime | None
    results: Mapping[str, Any]

    def is_of_file(self, artifact: str | None) -> bool:
        """Whether the audit ran this model file, judged by the digest in the file's name; True if either digest is unknown."""
        ran = self.results.get("artifact")
        return not isinstance(ran, str) or artifact is None or ran.rpartition("/")[2] == artifact.rpartition("/")[2]

    def has_expired(self, due: datetime) -> bool:
        """Whether the audit's date of expiry has passed at an instant."""
        return self.expires is not None and self.expires <= due

    @property
    def metric(self) -> str | None:
        """The metric of the audit's headline; None for a kind of audit without one."""
        stated = self.headline.get("metric")
        return stated if stated in FURTHER.get(self.kind, ()) else HEADLINES.get(self.kind)

    @property
    def further(self) -> "list[StoredAudit]":
        """For each further figure of the results that has a value, a copy of the audit with this figure as its headline."""
        listed = self.results.get("further")
        given = {name: listed.get(name) for name in FURTHER.get(self.kind, ())} if isinstance(listed, Mapping) else {}
        made = [
            replace(self, results={**self.results, "headline": {**head, "metric": name}})
            for name, head in given.items()
            if isinstance(head, Mapping)
        ]
        return [audit for audit in made if audit.value is not None]

    @property
    def headline(self) -> Mapping[str, Any]:
        """The fields value, low, high and n of the headline, and `why` if there is no value; empty if the results have another format."""
        found = self.results.get("headline")
        return found if isinstance(found, Mapping) else {}

    @property
    def value(self) -> float | None:
        """The value of the headline."""
        return _number(self.headline.get("value"))

    @property
    def point(self) -> float | None:
        """The field `at` of the headline as a number, for example the attacker's budget; None if it is not a number."""
        return _number(self.headline.get("at"))

    @property
    def low(self) -> float | None:
        """The lower end of the interval of the headline."""
        return _number(self.headline.get("low"))

    @property
    def high(self) -> float | None:
        """The upper end of the interval of the headline."""
        return _number(self.headline.get("high"))

    @property
    def rows(self) -> int:
        """The number of rows that the headline value was measured on."""
        return int(_number(self.headline.get("n")) or 0)


def _number(value: Any) -> float | None:
    """A finite number, else None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if known else None


def stored_audits(rows: Sequence[Mapping[Any, Any]]) -> list[StoredAudit]:
    """Audits from records of kind `audit`, oldest first. Kinds that are not judged, and audits of data, are left out."""
    return _audits_of(rows, headline=True)


def _audits_of(rows: Sequence[Mapping[Any, Any]], *, headline: bool, kinds: Sequence[str] = KINDS) -> list[StoredAudit]:
    """Audits of some kinds (by default the judged kinds), oldest first: those with a headline or those without one. Audits of data are left
    out.
    """
    found = []
    for row in rows:
        results = row["results"] if isinstance(row["results"], Mapping) else {}
        if row["audit"] in kinds and ("headline" in results) is headline and "data" not in results:
            found.append(stored_audit(row))
    return sorted(found, key=lambda audit: audit.at)


def stored_audit(row: Mapping[Any, Any]) -> StoredAudit:
    """An audit from the row of its record, of any kind."""
    expires = row["expires"]
    until = None if expires is None or expires != expires else aware_utc(expires)
    results = row["results"] if isinstance(row["results"], Mapping) else {}
    return StoredAudit(str(row["model"]), str(row["version"]), row["audit"], aware_utc(row["at"]), until, results)


def made_by(audits: Iterable[StoredAudit], due: datetime) -> list[StoredAudit]:
    """The audits that had been made by an instant. Both a check and the agenda of a review apply this to the records that have arrived."""
    return [audit for audit in audits if audit.at <= due]


def other_audits(rows: Sequence[Mapping[Any, Any]]) -> list[StoredAudit]:
    """Audits of the judged kinds, oldest first, whose results have no headline to judge, because another tool recorded them."""
    return _audits_of(rows, headline=False)


def precision_audits(rows: Sequence[Mapping[Any, Any]]) -> list[StoredAudit]:
    """Audits of the forms of a model version, oldest first."""
    return _audits_of(rows, headline=False, kinds=("precision",))


def audits_for_schedule(rows: Sequence[Mapping[Any, Any]]) -> list[StoredAudit]:
    """Audits of every kind that the dashboard can run, oldest first: audits with a headline, and audits of forms (precision or runtime)."""
    return sorted([*stored_audits(rows), *precision_audits(rows)], key=lambda audit: audit.at)


def recorded_numbers(audit: StoredAudit) -> list[str]:
    """The numbers in the results of an audit, at any depth, written as `linf/0.1 0.62`."""
    return [f"{name} {value:.4g}" for name, value in flat_numbers(audit.results).items()]


def flat_numbers(value: Any, path: str = "") -> dict[str, float]:
    """The numbers in an object or list, at any depth, by the path of names that leads to each. Other values are left out."""
    if isinstance(value, Mapping | list):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
        found = [flat_numbers(part, f"{path}/{name}" if path else str(name)) for name, part in parts]
        return {name: number for part in found for name, number in part.items()}
    return {path: float(value)} if path and isinstance(value, int | float) and not isinstance(value, bool) else {}


def comparable_audits(now: StoredAudit, before: StoredAudit) -> bool:
    """Whether two audits of a kind can be compared. Both need a value with an interval, of the same metric and at the same point (`at`,
    such as the attacker's budget), and the attacker may change the same features at the same costs in the same directions.
    """
    ends = (now.value, now.low, now.high, before.value, before.low, before.high)
    return None not in ends and (now.metric, now.headline.get("at"), attack_terms(now)) == (
        before.metric,
        before.headline.get("at"),
        attack_terms(before),
    )


def attack_terms(audit: StoredAudit) -> tuple[frozenset[str], frozenset[tuple[str, float]], frozenset[tuple[str, str]]]:
    """Locked features, costs and directions of a robustness audit; empty for other kinds of audit."""
    locked, costs, directions = (audit.results.get(name) for name in ("locked", "costs", "directions"))
    stated = {(str(name), _number(cost) or 0.0) for name, cost in costs.items()} if isinstance(costs, Mapping) else ()
    ways = {(str(name), str(way)) for name, way in directions.items()} if isinstance(directions, Mapping) else ()
    return frozenset(map(str, locked if isinstance(locked, list) else ())), frozenset(stated), frozenset(ways)


def worse_than_before(now: StoredAudit, before: StoredAudit) -> bool:
    """Whether the headline is worse than the earlier headline by more than the two intervals explain.

    The distance is compared with the root of the sum of the squared half-widths. Without a real change, 5 % of pairs of independent samples
    differ by more than this, half of them for the worse.
    """
    if not comparable_audits(now, before):
        return False
    ends = (now.value, now.low, now.high, before.value, before.low, before.high)
    value, low, high, earlier, earlier_low, earlier_high = (float(end) for end in ends if end is not None)
    if METRICS[str(now.metric)].better == "low":
        return value - earlier > float(np.hypot(value - low, earlier_high - earlier))
    return earlier - value > float(np.hypot(high - value, earlier - earlier_low))
