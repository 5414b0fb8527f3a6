"""What is said about one prediction? The frozen shapes that every part of a case comes in.

A part that cannot be given raises NotGivenError with a sentence; the case then holds None for it, and the sentence in `why`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from observability.core.errors import ObservabilityError
from observability.core.finding import Basis, Finding, iso
from observability.investigation.label_types import Label

if TYPE_CHECKING:
    from observability.investigation.logged_prediction import Row

Flag = Literal["unseen", "null", "stale", "out_of_range", "absent", "wrong_type"]
Source = Literal["input", "far_from_reference", "label", "weak_slice", "boundary", "version", "degraded_path", "unknown"]


class NotGivenError(ObservabilityError):
    """A part of a case that cannot be given; `str()` says why, and what would give it."""


@dataclass(frozen=True)
class Mark:
    """One moment of the timeline. what: read, scored, acted, label, correction, complaint, or an event's own word."""

    at: datetime
    what: str
    text: str


@dataclass(frozen=True)
class Happened:
    """What we said, what was true. cost: of this error, in `currency`, None where nobody said what it costs or there was none (`cost_why`)."""

    sentence: str
    timeline: tuple[Mark, ...]
    cost: float | None = None
    currency: str | None = None
    cost_why: str | None = None


@dataclass(frozen=True)
class Input:
    """One feature's value against the reference. percentile: 0 to 100, of numbers, from the stored histogram (exact: the value stands on an edge or
    in a bin of its own; else it is interpolated inside its bin). share: of the reference's rows that hold this level, or are missing as this is.
    read_at: when it was read; age: seconds from then to the prediction. because: one sentence.
    """

    feature: str
    value: Any
    percentile: float | None = None
    flags: tuple[Flag, ...] = ()
    share: float | None = None
    exact: bool = True
    read_at: datetime | None = None
    age: float | None = None
    because: str = ""


@dataclass(frozen=True)
class Neighbour:
    """One of the rows nearest to the case. distance: Euclidean over standardised numbers and mismatches. label, prediction: canonical text."""

    id: str
    distance: float
    label: str | None
    prediction: str | None
    score: float | None = None
    environment: str = "production"
    at: datetime | None = None


@dataclass(frozen=True)
class LabelCheck:
    """Is it the label that is wrong? self_confidence: how much the evidence believes the given label, 0 to 1. threshold: what a label of this
    class gets on average (confident learning). instead: the class that the model is confident of. agree: share of the nearest labelled rows that
    have the same label. away: of a number, robust standard deviations from the neighbours' median. votes: what annotators said, label: count.
    measured: the label was measured or put right already, so evidence against it rather speaks of a hard case. unclear: something speaks against the label,
    too little to call it suspect.
    """

    suspect: bool
    because: str
    self_confidence: float | None = None
    threshold: float | None = None
    instead: str | None = None
    votes: Mapping[str, int] = field(default_factory=dict)
    agree: float | None = None
    away: float | None = None
    basis: Basis = "estimated"
    measured: bool = False
    unclear: bool = False


@dataclass(frozen=True)
class Condition:
    """One condition of a rule: column reference, words, and how a row is tested (levels, or low ≤ x < high; null: a missing value holds)."""

    reference: str
    text: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    null: bool = False


@dataclass(frozen=True)
class Rate:
    """Errors among rows, with Wilson's interval. name: a day, a week, or a group as `sex=F`."""

    name: str
    n: int
    errors: int
    rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Rule:
    """The smallest rule that covers this case and similar errors. Figures are of rows that the search did not see.

    n, errors: rows that the rule covers, and the errors among them; rate = errors / n with low, high; coverage: share of all errors that it covers.
    overall: the error rate of all those rows. weak: the rule's rate is higher than that of the other rows beyond chance. slice: as in an address,
    numbers as bands; None where it cannot be one. counted: rows of the half that n is of. all_errors: errors that the rule covers in both halves, this case
    left out; None where the rows were a sample of more. search: as the page Cases takes it, to find all like this. error: what counts as an error, in words.
    """

    text: str
    n: int
    errors: int
    rate: float | None
    coverage: float | None
    low: float | None
    high: float | None
    overall: float | None = None
    weak: bool = False
    conditions: tuple[Condition, ...] = ()
    slice: str | None = None
    search: str | None = None
    error: str = ""
    trend: tuple[Rate, ...] = ()
    groups: tuple[Rate, ...] = ()
    because: str = ""
    counted: int = 0
    all_errors: int | None = None


@dataclass(frozen=True)
class Triage:
    """One possible source, with how much speaks for it (0 to 1) and the sentence that says what."""

    source: Source
    score: float
    because: str


@dataclass(frozen=True)
class Explained:
    """Why the score is what it is (investigation/score_explanation.py): base_value + Σ attributions + residual is the model's output in the space of the link.

    attributions: by feature; multiclass: of the decided class. method: as the worker says, or "logged".
    """

    attributions: Mapping[str, float]
    base_value: float | None
    link: str | None
    residual: float | None
    method: str = ""
    note: str = ""


@dataclass(frozen=True)
class Counterfactual:
    """A change that would have given another answer (investigation/counterfactuals.py). changes: feature: (from, to). score: of the changed row. reached: the answer
    really changes.
    """

    changes: Mapping[str, tuple[Any, Any]]
    score: Any
    reached: bool


@dataclass(frozen=True)
class Replayed:
    """What another version says to the stored input (investigation/version_replay.py). prediction: its answer, in words."""

    version: str
    score: Any
    prediction: str | None


@dataclass(frozen=True)
class Case:
    """The evidence about one prediction. A part that cannot be given is None, and `why[part]` says why.

    also_in: other models that hold a prediction of this id. verdicts: what people concluded, as records, newest first.
    """

    row: "Row"
    happened: Happened | None = None
    label: Label | None = None
    inputs: tuple[Input, ...] | None = None
    explanation: Explained | None = None
    neighbours: tuple[Neighbour, ...] | None = None
    label_check: LabelCheck | None = None
    counterfactuals: tuple[Counterfactual, ...] | None = None
    rule: Rule | None = None
    versions: tuple[Replayed, ...] | None = None
    triage: tuple[Triage, ...] | None = None
    findings: tuple[Finding, ...] | None = None
    verdicts: tuple[Mapping[str, Any], ...] | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    also_in: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The case as the contract's JSON object (section 5)."""
        explained = self.explanation
        body = {
            "prediction": self.row.record(),
            "label": label_json(self.label),
            "inputs": listed(self.inputs, lambda i: {"feature": i.feature, "value": i.value, "percentile": i.percentile, "flags": i.flags}),
            "attributions": explained.attributions if explained else None,
            "base_value": explained.base_value if explained else None,
            "attributions_link": explained.link if explained else None,
            "residual": explained.residual if explained else None,
            "neighbours": listed(
                self.neighbours, lambda n: {"id": n.id, "distance": n.distance, "label": n.label, "prediction": n.prediction}
            ),
            "counterfactuals": listed(self.counterfactuals, lambda c: {"changes": c.changes, "score": c.score, "reached": c.reached}),
            "rule": rule_json(self.rule),
            "versions": listed(self.versions, lambda v: {"version": v.version, "score": v.score, "prediction": v.prediction}),
            "triage": listed(self.triage, lambda t: {"source": t.source, "score": t.score, "because": t.because}),
            "findings": listed(self.findings, Finding.to_json),
            "verdicts": listed(self.verdicts, dict),
            "why": {NAMES.get(part, part): sentence for part, sentence in self.why.items() if part not in UNNAMED},
        }
        found = plain(body)
        assert isinstance(found, dict)
        return found


NAMES = {"explanation": "attributions"}
"""Parts whose name in the JSON differs."""
UNNAMED = ("happened", "label_check")
"""Parts that the JSON does not have."""


def listed(parts: "tuple[Any, ...] | None", each: Any) -> list[Any] | None:
    """Each part as JSON; None stays None."""
    return None if parts is None else [each(part) for part in parts]


def label_json(label: Label | None) -> dict[str, Any] | None:
    """The label with its revisions."""
    if label is None:
        return None
    revisions = [
        {
            "value": each.value,
            "at": each.at,
            "received_at": each.arrived,
            "source": each.source,
            "annotator": each.annotator,
            "guideline": each.guideline,
            "current": each.current,
        }
        for each in label.revisions
    ]
    return {"value": label.value, "at": label.at, "revisions": revisions}


def rule_json(rule: Rule | None) -> dict[str, Any] | None:
    """The rule's figures."""
    if rule is None:
        return None
    return {name: getattr(rule, name) for name in ("text", "n", "errors", "rate", "coverage", "low", "high")}


def plain(value: Any) -> Any:
    """Values as JSON has them: instants RFC 3339, tuples lists, NaN and infinities the contract's strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else iso(value) + "Z"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value
