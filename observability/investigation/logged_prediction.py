"""One logged prediction with its labels, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from observability.core.analyzer import most_important_names
from observability.core.catalog import Column, Model, Version
from observability.core.formatting import format_day
from observability.core.time import aware_utc, naive_utc
from observability.investigation.label_types import Label, Revision
from observability.records.kinds import KEPT_IN_EXTRA

OPTIONAL: tuple[str, ...] = (
    "status",
    "latency_ms",
    "subject",
    "device",
    "replica",
    "batch",
    "environment",
    "threshold",
    "energy_j",
    "cost",
    "weight",
)
OPTIONAL += ("feature_at", "acted_at", "attributions", "base_value", "attributions_link")
"""Fields that are in the record of a prediction only if they are known."""


@dataclass(frozen=True)
class OtherAnswer:
    """The answer of another version under the same id, or of the same version in another environment. Times are UTC."""

    version: str
    environment: str
    at: datetime
    arrived: datetime
    score: float | None
    probabilities: Mapping[str, float] | None
    answer: str | None

    @property
    def words(self) -> str:
        """Version and environment, as `version 2 in shadow`."""
        return f"version {self.version} in {self.environment}"

    @property
    def selector(self) -> str:
        """Environment and version, as `shadow/2`. They select this prediction among several with the same id."""
        return f"{self.environment}/{self.version}"


@dataclass(frozen=True)
class Row:
    """One stored prediction. Times are UTC.

    stored: all fields as the store returns them (times naive UTC). features, groups: by name, as stored (None: null, absent or of another
    type; `absent` and `wrong_type` distinguish these). decision: class index, −1 if unknown or for a regression. revisions: labels in order
    of arrival. other_answers: the other predictions with the same id, those in production first. as_of: records that arrived after this
    time are ignored.
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
    other_answers: tuple[OtherAnswer, ...] = ()
    as_of: datetime | None = None

    @cached_property
    def own_features(self) -> tuple[Column, ...]:
        """The features of the version. If the version names none, all features of the model."""
        wanted = set(self.version.features)
        return tuple(column for column in self.model.features() if not wanted or column.name in wanted)

    @cached_property
    def compared_features(self) -> tuple[Column, ...]:
        """The features in the distance between rows: those of the version, or only the most important ones if there are very many."""
        wanted = set(most_important_names([column.name for column in self.own_features], self.model.settings.importance))
        return tuple(column for column in self.own_features if column.name in wanted)

    @property
    def threshold(self) -> float:
        """The decision threshold that was logged with the prediction, else the model's."""
        own = self.stored.get("threshold")
        return float(own) if own is not None else self.model.settings.threshold

    @property
    def answer(self) -> str | None:
        """The decision as text: a class, or the score of a regression; None if there is no decision."""
        return answer_text(self.model, self.decision, self.prediction, self.score)

    @property
    def selector(self) -> str | None:
        """Environment and version, as `shadow/2`. They select this prediction among several with the same id. None if it is the
        only one.
        """
        return f"{self.environment}/{self.version.name}" if self.other_answers else None

    @cached_property
    def current_revision(self) -> Revision | None:
        """The current revision of the label; None without a label."""
        return next((revision for revision in self.revisions if revision.current), None)

    @cached_property
    def label(self) -> Label | None:
        """The current label; None if there is none."""
        current = self.current_revision
        return Label(current.value, current.at, self.revisions) if current else None

    @property
    def label_source(self) -> str | None:
        """The source of the current label; None if unknown."""
        return self.current_revision.source if self.current_revision else None

    @property
    def label_code(self) -> int:
        """Class index of the label; −1 if unknown or not a class. For a regression: 0 if the label is a number."""
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
        return self.current_revision.number if self.current_revision else None

    @property
    def error(self) -> float | None:
        """Regression: score − label; None if unknown."""
        if self.model.task != "regression" or self.score is None or self.label_number is None:
            return None
        return self.score - self.label_number

    @property
    def lake_note(self) -> str:
        """A sentence if the row comes from the lake; empty if the store still holds it."""
        day, since = self.stored.get("from_lake"), self.model.rows_from
        return (
            "" if day is None or since is None else f"From the lake, day {format_day(day)}; the store keeps rows since {format_day(since)}."
        )

    @property
    def wrong(self) -> bool | None:
        """Classification: whether the decision differs from the label; None if unknown, and for a regression."""
        return None if self.model.task == "regression" or self.decision < 0 or self.label_code < 0 else self.decision != self.label_code

    def record(self) -> dict[str, Any]:
        """The prediction as a record (contract section 1); fields that no record defines are under `extra`."""
        given = {name: value for name, value in self.features.items() if f"feature.{name}" not in (*self.absent, *self.wrong_type)}
        extra = self.stored.get("extra") or {}
        wrong, exact = (extra[name] if isinstance(extra.get(name), dict) else {} for name in ("features", "groups"))
        score = self.probabilities if self.probabilities is not None else self.score
        body = {
            "kind": "prediction",
            "id": self.id,
            "at": self.at,
            "model": self.model.name,
            "version": self.version.name,
            "features": {**given, **wrong},
            "score": score,
            "prediction": self.prediction,
            "groups": {**self.groups, **exact} or None,
            **{name: self.stored.get(name) for name in OPTIONAL},
            **{name: extra.get(name) for name in KEPT_IN_EXTRA},
            "received_at": self.arrived,
            "extra": {name: value for name, value in extra.items() if name not in ("features", "groups", *KEPT_IN_EXTRA)} or None,
        }
        kept = ("kind", "id", "at", "model", "version", "features")
        return {name: value for name, value in body.items() if value is not None or name in kept}


def answer_text(model: Model, decision: int | None, prediction: str | None, score: float | None) -> str | None:
    """The decision as text: a class, or the score of a regression; None if there is no decision."""
    if decision is not None and 0 <= decision < len(model.classes):
        return model.classes[decision]
    return prediction if score is None or model.classes else f"{score:.12g}"


def other_answer(model: Model, stored: Mapping[str, Any]) -> OtherAnswer:
    """Another prediction with the same id, made from the store's fields."""
    return OtherAnswer(
        stored["version"],
        stored["environment"],
        aware_utc(stored["at"]),
        aware_utc(stored["arrived"]),
        stored["score"],
        stored["probabilities"],
        answer_text(model, stored["decision"], stored["prediction"], stored["score"]),
    )


def row_from(stored: Mapping[str, Any], model: Model, as_of: datetime | None, also_in: tuple[str, ...] = ()) -> Row:
    """The row, made from the store's fields. Labels that had not arrived by `as_of` are left out."""
    limit = None if as_of is None else naive_utc(as_of)
    known = [label for label in stored["labels"] if limit is None or label["arrived"] <= limit]
    current = max(known, key=lambda label: (label["at"], label["arrived"], label["value"]), default=None)
    revisions = tuple(
        Revision(
            **{name: label[name] for name in ("value", "number", "source", "annotator", "guideline")},
            at=aware_utc(label["at"]),
            arrived=aware_utc(label["arrived"]),
            current=label is current,
            extra=label["extra"] if isinstance(label["extra"], dict) else {},
        )
        for label in known
    )
    decision = stored["decision"]
    return Row(
        model=model,
        version=model.version(stored["version"]) or Version(stored["version"]),
        **{name: stored[name] for name in ("environment", "id", "features", "groups", "score", "probabilities", "prediction")},
        at=aware_utc(stored["at"]),
        arrived=aware_utc(stored["arrived"]),
        decision=-1 if decision is None else int(decision),
        status=stored["status"] or "ok",
        absent=tuple(stored["absent"]),
        wrong_type=tuple(stored["wrong"]),
        revisions=revisions,
        stored=stored,
        also_in=also_in,
        other_answers=tuple(other_answer(model, each) for each in stored["other_answers"] if limit is None or each["arrived"] <= limit),
        as_of=as_of,
    )
