"""Types of the parts of a case.

A part that is not available raises NotGivenError. The case then has None for that part, and `why` holds the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from observability.core.errors import ObservabilityError
from observability.core.finding import Basis, Finding
from observability.core.json_values import json_plain
from observability.investigation.label_types import Label
from observability.investigation.logged_prediction import Row

Flag = Literal["unseen", "null", "stale", "out_of_range", "absent", "wrong_type"]
Source = Literal["input", "far_from_reference", "label", "weak_slice", "boundary", "version", "degraded_path", "expected", "unknown"]


COMMON_SHARE = 0.05
"""A missing value is not flagged if it is missing in at least this share of the reference too."""


class NotGivenError(ObservabilityError):
    """Raised by a part of a case that is not available. Its text states the reason and the next step."""


@dataclass(frozen=True)
class Mark:
    """One event of the timeline. what: read, scored, acted, label, correction, complaint, or the kind of another event."""

    at: datetime
    what: str
    text: str


@dataclass(frozen=True)
class Happened:
    """The prediction and its outcome. cost: the cost of this error, in `currency`. It is None if it is unknown or there is no error;
    `cost_why` then states the reason.
    """

    sentence: str
    timeline: tuple[Mark, ...]
    cost: float | None = None
    currency: str | None = None
    cost_why: str | None = None


@dataclass(frozen=True)
class Input:
    """One feature's value compared with the reference. percentile: for numbers, 0 to 100 from the stored histogram, counting half of the
    equal values (exact: the value is on an edge or in a bin of one value; else interpolated). below, equal: percent of the reference's
    numbers that are below the value, and that equal it if known. share: share of reference rows with this level, or missing in the same
    way. read_at: when the value was read; age: seconds from then to the prediction. because: one sentence.
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
    below: float | None = None
    equal: float | None = None

    @property
    def flagged(self) -> bool:
        """Whether the input is flagged. A missing value that is common in the reference is not."""
        if not self.flags:
            return False
        common = self.share is not None and self.share >= COMMON_SHARE
        return bool(set(self.flags) - ({"null", "absent"} if common else set()))


@dataclass(frozen=True)
class Neighbour:
    """One of the nearest rows. distance: Euclidean over standardised numbers and category mismatches. label, prediction: canonical text."""

    id: str
    distance: float
    label: str | None
    prediction: str | None
    score: float | None = None
    environment: str = "production"
    at: datetime | None = None


UNLIKELY = 0.2
"""Model probability below which a label is called `unlikely`. At or above it, the label is called `less likely` (than another class)."""


@dataclass(frozen=True)
class LabelCheck:
    """Evidence on whether the label is wrong. self_confidence: probability of the given label, 0 to 1. threshold: mean self-confidence of
    its class (confident learning). instead: the class that the model is confident of. agree: share of nearest labelled rows with the same
    label. away: for a regression, the distance from the neighbours' median in robust standard deviations. votes: annotators by label.
    measured: the label was measured or corrected, so a hard case is more likely than a wrong label. unclear: some evidence against the
    label, too little to call it suspect. doubt: probability that the same number of new raters would give another label. supported:
    whether people support the label.
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
    doubt: float | None = None
    supported: bool = False

    @property
    def standing(self) -> str:
        """The state of a measured label that is suspect, in a word or two."""
        if self.doubt is not None:
            return "doubtful"
        return "unlikely" if self.self_confidence is None or self.self_confidence < UNLIKELY else "less likely"


@dataclass(frozen=True)
class Condition:
    """One condition of a rule: column reference, text, and what it tests (levels, or low ≤ x < high; null: the value is missing)."""

    reference: str
    text: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    null: bool = False


@dataclass(frozen=True)
class Rate:
    """Error rate with Wilson's interval. name: a day, the Monday of a week, or a group such as `sex=F`. days: for a week or day, in words,
    the days that its rows are from.
    """

    name: str
    n: int
    errors: int
    rate: float | None
    low: float | None
    high: float | None
    days: str = ""


@dataclass(frozen=True)
class ErrorRule:
    """The smallest rule that covers the case and similar errors. Its figures are measured on rows that the search did not use.

    n, errors: number of rows that the rule covers, and of errors among them; rate = errors / n with low, high; coverage: share of all
    errors. overall: error rate of all rows of the half. weak: whether the rate is significantly higher than the rate of the other rows.
    slice: as in a link, None if it cannot be expressed. counted: number of rows of the half. rows: the rows of both halves, in words.
    all_errors: number of errors covered in both halves, without the case; None if the rows were sampled. search: query for the page Cases.
    error: definition of an error. confirmed: False if the errors are known to be no significant excess over rows with the same scores.
    trend: error rates by week or day (`by`).
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
    by: Literal["day", "week"] = "day"
    groups: tuple[Rate, ...] = ()
    because: str = ""
    counted: int = 0
    rows: str = ""
    all_errors: int | None = None
    confirmed: bool = True

    @property
    def clear(self) -> bool:
        """Whether rows that meet the rule have more errors than the other rows, and more than their scores explain."""
        return self.weak and self.confirmed


@dataclass(frozen=True)
class Triage:
    """One possible source of the error, with its weight of evidence (0 to 1) and a sentence about it."""

    source: Source
    score: float
    because: str


@dataclass(frozen=True)
class InputRepair:
    """The model's simulated answer with repaired inputs (input_repair.py). before: its answer to the stored input. middle, low, high:
    median and central 80 % of the answers to `n` repaired inputs. right: number of repaired answers that are right; None if the label is
    unknown or the original answer was right. nearer: by how much the median is nearer to the truth; part: what share of the error that is.
    key: the column of the source.
    """

    features: tuple[str, ...]
    source: str
    before: float
    middle: float
    low: float
    high: float
    n: int
    right: int | None = None
    nearer: float = 0.0
    part: float = 0.0
    key: str | None = None
    because: str = ""

    @property
    def cause(self) -> float:
        """How large the majority of repairs is that make the answer right: from 0 (at most half of the repairs) to 1 (all of them). It is 0
        if the median moves no nearer to the truth.
        """
        return max(2 * self.right / self.n - 1, 0.0) if self.right and self.nearer > 0 else 0.0


@dataclass(frozen=True)
class Explained:
    """Attributions (score_explanation.py): base_value + Σ attributions + residual is the model's output in the link space.

    attributions: by feature; for a multiclass model, those of the decided class. method: the worker's method, or "logged". mismatch: a
    sentence if the model file gives other scores than the logged ones; else empty.
    """

    attributions: Mapping[str, float]
    base_value: float | None
    link: str | None
    residual: float | None
    method: str = ""
    note: str = ""
    mismatch: str = ""


@dataclass(frozen=True)
class Counterfactual:
    """A change of the input that leads to another outcome (counterfactuals.py). changes: feature: (from, to). score: the score of the
    changed row. reached: whether the outcome changes.
    """

    changes: Mapping[str, tuple[Any, Any]]
    score: Any
    reached: bool


@dataclass(frozen=True)
class Replayed:
    """The score that another version gives to the stored input (version_replay.py). prediction: its decision as text. since: the time of
    that version's first answer, if it is after the request; the version may then have learned from the outcome.
    """

    version: str
    score: Any
    prediction: str | None
    since: datetime | None = None


@dataclass(frozen=True)
class Case:
    """Evidence about one prediction. A part that is not available is None; `why[part]` states the reason.

    also_in: other models with this prediction id. verdicts: records, newest first.
    """

    row: Row
    happened: Happened | None = None
    label: Label | None = None
    inputs: tuple[Input, ...] | None = None
    repair: InputRepair | None = None
    explanation: Explained | None = None
    neighbours: tuple[Neighbour, ...] | None = None
    label_check: LabelCheck | None = None
    counterfactuals: tuple[Counterfactual, ...] | None = None
    rule: ErrorRule | None = None
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
            "inputs": parts_json(self.inputs, "feature", "value", "percentile", "flags"),
            "attributions": explained.attributions if explained else None,
            "base_value": explained.base_value if explained else None,
            "attributions_link": explained.link if explained else None,
            "residual": explained.residual if explained else None,
            "neighbours": parts_json(self.neighbours, "id", "distance", "label", "prediction"),
            "counterfactuals": parts_json(self.counterfactuals, "changes", "score", "reached"),
            "rule": fields_json(self.rule, "text", "n", "errors", "rate", "coverage", "low", "high") if self.rule else None,
            "versions": parts_json(self.versions, "version", "score", "prediction"),
            "triage": None if self.triage is None else [triage_json(source) for source in self.triage],
            "findings": None if self.findings is None else [finding.to_json() for finding in self.findings],
            "verdicts": self.verdicts,
        }
        said = self.why.get("explanation") or (explained.note if explained else "")
        parts = {name: said for name in OF_ATTRIBUTIONS if body[name] is None and said}
        parts |= {NAMES.get(part, part): sentence for part, sentence in self.why.items() if part not in UNNAMED}
        body["why"] = self.other_scores() | parts
        found = json_plain(body)
        assert isinstance(found, dict)
        return found

    def other_scores(self) -> dict[str, str]:
        """One sentence for each part that comes from a model file whose scores differ from the logged ones."""
        said = self.explanation.mismatch if self.explanation else ""
        return {"attributions": said} | ({} if self.counterfactuals is None else {"counterfactuals": said}) if said else {}


NAMES = {"explanation": "attributions"}
"""Parts with another name in the JSON."""
OF_ATTRIBUTIONS = ("base_value", "attributions_link", "residual")
"""Parts that belong to the attributions. If the attributions are null, these are null too, for the same reason."""
UNNAMED = ("happened", "label_check", "repair")
"""Parts that the JSON leaves out."""


def fields_json(part: Any, *names: str) -> dict[str, Any]:
    """Fields of an object by name."""
    return {name: getattr(part, name) for name in names}


def parts_json(parts: tuple[Any, ...] | None, *names: str) -> list[Any] | None:
    """The named fields of each part; None stays None."""
    return None if parts is None else [fields_json(part, *names) for part in parts]


def triage_json(found: Triage) -> dict[str, Any]:
    """A possible source, under one of the contract's names. The contract has no name for a rare but expected error: its `source` is
    `unknown` and its `detail` is `expected`. For all others, `detail` is None.
    """
    expected = found.source == "expected"
    return {**fields_json(found, "source", "score", "because"), "detail": "expected" if expected else None} | (
        {"source": "unknown"} if expected else {}
    )


def label_json(label: Label | None) -> dict[str, Any] | None:
    """The label with its revisions."""
    if label is None:
        return None
    names = ("value", "at", "source", "annotator", "guideline", "current")
    revisions = [{**fields_json(revision, *names), "received_at": revision.arrived} for revision in label.revisions]
    return {"value": label.value, "at": label.at, "revisions": revisions}
