"""What was logged about one prediction, and what was said of it since, as plain values that every part of a case reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from observability.core.catalog import Model, Version
from observability.core.time import aware_utc, naive_utc
from observability.investigation.label_types import Label, Revision

OPTIONAL = (
    "status", "latency_ms", "subject", "device", "replica", "batch", "environment", "threshold", "energy_j", "cost", "weight", "feature_at",
    "acted_at", "attributions", "base_value", "attributions_link",
)  # fmt: skip
"""Fields of a prediction that its record names only where they are known."""


@dataclass(frozen=True)
class Row:
    """One stored prediction. Times are UTC.

    stored: everything as store.listing.row gives it (times naive UTC). features, groups: by name, as stored (None: null, absent or of another
    type; `absent` and `wrong` name which). decision: class index, -1 unknown or a regression. revisions: labels that had arrived, in order of
    arrival. as_of: only what had arrived by then counts. error: score - label of a regression; wrong: decision ≠ label of a classifier; None where unknown.
    """

    model: Model
    version: Version
    environment: str
    id: str
    at: datetime
    arrived: datetime
    features: Mapping[str, Any]
    groups: Mapping[str, Any]
    score: float | None
    probabilities: Mapping[str, float] | None
    prediction: str | None
    decision: int
    status: str
    absent: tuple[str, ...] = ()
    wrong_type: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    stored: Mapping[str, Any] = field(default_factory=dict)
    also_in: tuple[str, ...] = ()
    as_of: datetime | None = None

    @property
    def threshold(self) -> float:
        """The score from which the decision was the positive class: the row's own, else the model's."""
        own = self.stored.get("threshold")
        return float(own) if own is not None else self.model.settings.threshold

    @property
    def answer(self) -> str | None:
        """What was decided, in words: the class, of a regression the score; None where nothing was."""
        if self.decision >= 0 and self.decision < len(self.model.classes):
            return self.model.classes[self.decision]
        return self.prediction if self.score is None or self.model.classes else f"{self.score:.12g}"

    @cached_property
    def label(self) -> Label | None:
        """The current label, None where there is none yet."""
        current = next((each for each in self.revisions if each.current), None)
        return Label(current.value, current.at, self.revisions) if current else None

    @property
    def label_code(self) -> int:
        """The class index of the label (regression: 0 where it is a number); -1 where it is not known or names no class."""
        if self.label is None:
            return -1
        if self.model.task == "regression":
            return -1 if self.label_number is None else 0
        known = {name: index for index, name in enumerate(self.model.classes)}
        if self.model.classes == ("0", "1"):
            known |= {"false": 0, "true": 1}
        return known.get(self.label.value, -1)

    @property
    def label_number(self) -> float | None:
        """The label as a number."""
        return next((each.number for each in self.revisions if each.current), None)

    @property
    def error(self) -> float | None:
        """Score less label, of a regression."""
        if self.model.task != "regression" or self.score is None or self.label_number is None:
            return None
        return self.score - self.label_number

    @property
    def wrong(self) -> bool | None:
        """Whether a classifier's decision was not the label; None where either is unknown, and of a regression."""
        return None if self.model.task == "regression" or self.decision < 0 or self.label_code < 0 else self.decision != self.label_code

    def record(self) -> dict[str, Any]:
        """The prediction as a record (contract section 1), what is not known left out."""
        given = {name: value for name, value in self.features.items() if f"feature.{name}" not in (*self.absent, *self.wrong_type)}
        extra = self.stored.get("extra") or {}
        wrong = extra.get("features") if isinstance(extra.get("features"), dict) else {}
        score = self.probabilities if self.probabilities is not None else self.score
        body = {
            "kind": "prediction",
            "id": self.id,
            "at": self.at,
            "model": self.model.name,
            "version": self.version.name,
            "features": {**given, **(wrong or {})},
            "score": score,
            "prediction": self.prediction,
            "groups": self.groups or None,
            **{name: self.stored.get(name) for name in OPTIONAL},
            "received_at": self.arrived,
            "extra": {name: value for name, value in extra.items() if name != "features"} or None,
        }
        kept = ("kind", "id", "at", "model", "version", "features")
        return {name: value for name, value in body.items() if value is not None or name in kept}


def row_from(stored: Mapping[str, Any], model: Model, as_of: datetime | None, also_in: tuple[str, ...] = ()) -> Row:
    """The row behind what store.listing.row gives; labels that had not arrived by `as_of` are left out."""
    limit = None if as_of is None else naive_utc(as_of)
    known = [each for each in stored["labels"] if limit is None or each["arrived"] <= limit]
    current = max(known, key=lambda each: (each["at"], each["arrived"], each["value"]), default=None)
    revisions = tuple(
        Revision(
            value=each["value"],
            at=aware_utc(each["at"]),
            arrived=aware_utc(each["arrived"]),
            number=each["number"],
            source=each["source"],
            annotator=each["annotator"],
            guideline=each["guideline"],
            current=each is current,
            extra=each["extra"] if isinstance(each["extra"], dict) else {},
        )
        for each in known
    )
    decision = stored["decision"]
    return Row(
        model=model,
        version=model.version(stored["version"]) or Version(stored["version"]),
        environment=stored["environment"],
        id=stored["id"],
        at=aware_utc(stored["at"]),
        arrived=aware_utc(stored["arrived"]),
        features=stored["features"],
        groups=stored["groups"],
        score=stored["score"],
        probabilities=stored["probabilities"],
        prediction=stored["prediction"],
        decision=-1 if decision is None else int(decision),
        status=stored["status"] or "ok",
        absent=tuple(stored["absent"]),
        wrong_type=tuple(stored["wrong"]),
        revisions=revisions,
        stored=stored,
        also_in=also_in,
        as_of=as_of,
    )
