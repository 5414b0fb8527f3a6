"""Decides the state of a model as a whole from its findings. Pages, reviews and exports all use this module."""

from collections.abc import Iterable
from dataclasses import dataclass

from observability.core.finding import Finding, Severity

VERDICTS = ("serving/performance", "serving/estimated_performance", "serving/drift", "data/quality")
"""Analyzers that judge performance, drift and data quality. Without a verdict from any of them, a model is unknown."""
NO_VERDICT = frozenset(
    ("volume", "freshness_hours", "silence_hours", "duplicate_rate", "rejected_rate", "unknown_columns", "judged", "label_maturity")
)
"""Metrics of these analyzers about arrived records, which show nothing about the quality of the model."""


def is_verdict(finding: Finding) -> bool:
    """Whether a finding compares performance, inputs or data quality with the reference or a stated level.

    A comparison with the model's own past does not count, because the past may have been bad too.
    """
    return (
        finding.analyzer in VERDICTS
        and finding.severity != "unknown"
        and finding.against in ("reference", "level")
        and finding.metric not in NO_VERDICT
    )


def verdict_severity(findings: Iterable[Finding]) -> Severity:
    """The worst severity of findings that need action. Without such findings, `ok` if performance, drift or quality could be judged, else
    `unknown`.
    """
    known = list(findings)
    for severity in ("act", "watch"):
        if any(finding.severity == severity for finding in known):
            return severity
    return "ok" if any(map(is_verdict, known)) else "unknown"


def not_judged_reason(findings: Iterable[Finding]) -> str | None:
    """Why a model is unknown: the sentence of the first `unknown` finding about performance, drift or quality. None if there is none."""
    return next((finding.because for finding in findings if finding.analyzer in VERDICTS and finding.severity == "unknown"), None)


@dataclass(frozen=True)
class DriftCounts:
    """The drift of a model's columns (inputs and scores). drifted: the names of drifted columns, in the order of the findings. columns:
    number of checked columns, including those that cannot be judged. undecided: number of columns that cannot be judged.
    """

    drifted: tuple[str, ...]
    columns: int
    undecided: int

    @property
    def undecided_words(self) -> str | None:
        """`10 cannot be judged`; None if all can be judged."""
        return f"{self.undecided} cannot be judged" if self.undecided else None

    def words(self, columns: str = "columns") -> str:
        """The counts in words, for example `1 of 21 columns drifted, 10 cannot be judged`. columns: the word for the columns."""
        share = f"{len(self.drifted)} of {self.columns} {columns} drifted"
        return ", ".join(filter(None, (share, self.undecided_words)))


def drift_counts(findings: Iterable[Finding]) -> DriftCounts:
    """The counts of columns with a finding of drift. A column counts once: as drifted if any of its findings needs action, as undecided if
    none of them could be judged.
    """
    by_column: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.analyzer == "serving/drift" and finding.subject != "model":
            by_column.setdefault(finding.subject, []).append(finding)
    drifted = tuple(name for name, own in by_column.items() if any(finding.needs_action for finding in own))
    undecided = sum(all(finding.severity == "unknown" for finding in own) for own in by_column.values())
    return DriftCounts(drifted, len(by_column), undecided)
