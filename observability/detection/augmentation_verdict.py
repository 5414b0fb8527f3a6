"""Decide whether to keep or drop an augmentation of training data, from the measurements of accuracy, classes, groups and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from observability.core.finding import Finding

Verdict = Literal["keep", "drop", "hold"]
GAIN, SLICE_GAIN, LABELS = "augmentation_gain", "augmentation_slice_gain", "augmentation_label_changes"
LABEL_LIMIT = 0.05
"""An augmentation is reported if significantly more than this share of its copies has another label."""


@dataclass(frozen=True)
class AugmentationVerdict:
    """The verdict keep, drop or hold (measure more), with its reason as a clause. finding: the finding that decided it."""

    verdict: Verdict
    reason: str
    finding: Finding


def augmentation_verdict(findings: Sequence[Finding]) -> AugmentationVerdict | None:
    """Return the verdict on one augmentation of one version, from the findings about it; None if no finding is about its gain.

    A harm outweighs a gain. Harms are checked in this order: over all rows, in a class or group, labels that people found to be changed. If
    only trained models find changed labels, people are asked to check the copies.
    """
    by_metric = {each.metric: each for each in findings}
    gain, part, labels = (by_metric.get(metric) for metric in (GAIN, SLICE_GAIN, LABELS))
    if gain is None:
        return None
    effect = gain.evidence.get("effect", "unknown")
    lowers, raises = (
        ("raises the error", "lowers the error") if gain.evidence.get("of") == "mae" else ("lowers accuracy", "raises accuracy")
    )
    if effect == "harms":
        return AugmentationVerdict("drop", f"it {lowers}", gain)
    if part is not None and part.evidence.get("effect") == "harms":
        return AugmentationVerdict("drop", f"it {lowers} in {str(part.slice).replace('=', ' ')}", part)
    changed = labels is not None and labels.low is not None and labels.low > LABEL_LIMIT
    if labels is not None and changed:
        by_people = labels.evidence.get("by") == "checked"
        return AugmentationVerdict("drop" if by_people else "hold", "it changes labels" if by_people else "let people check copies", labels)
    words = {
        "helps": ("keep", f"it {raises} and harms no class or group that was compared"),
        "unknown": ("hold", "train with more seeds or rows"),
    }
    verdict, reason = words.get(str(effect), ("hold", "no gain that matters"))
    return AugmentationVerdict("keep" if verdict == "keep" else "hold", reason, gain)
