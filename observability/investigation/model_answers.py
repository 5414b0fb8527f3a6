"""Types of a model's answers about one prediction: attributions, distance to another decision, other versions.

Each part can be missing. A part that needs the model file raises NotGivenError, which states the next step. `basis`: measured (logged, or
the model's score of the stored input), estimated (sampled, with an error) or simulated (an input that never occurred).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from observability.core.finding import Basis

Against = Literal["average", "similar", "twins"]
AGAINST: dict[Against, str] = {"average": "the average", "similar": "similar cases", "twins": "correct twins"}
"""Backgrounds of attributions, in the order in which they are shown."""


@dataclass(frozen=True)
class Bar:
    """One feature's attribution in the link space. value: the input. standard_error: None unless the attribution was sampled."""

    feature: str
    value: Any
    attribution: float
    standard_error: float | None = None


@dataclass(frozen=True)
class Stability:
    """Stability of attributions over `draws` resamples of the background. stars: 1 to 5. correlation: mean rank correlation (Spearman) of
    absolute attributions. overlap: mean share of the three largest that stay among the three largest. score: mean of correlation and
    overlap, 0 to 1, from which the stars follow. because: one sentence.
    """

    stars: int
    score: float
    correlation: float
    overlap: float
    draws: int
    rows: int
    because: str


@dataclass(frozen=True)
class AttributionContrast:
    """Attributions of one prediction against one background: base_value + Σ bars + residual == output, in the space of `link`.

    against: average, similar or twins. background: description; background_rows: None if the trees' own counts are used. outcomes:
    decisions in the background, {class: rows}. bars: largest first. adds_up: the residual is small enough to show the bars. source: stored,
    logged or computed. class_name: for a multiclass model, the explained class. words: sentences. mismatch: by how much the scores of the
    model file differ from the logged ones, here and at its registration; empty if they do not. unit: the unit of a regression's values.
    """

    against: Against
    background: str
    background_rows: int | None
    base_value: float
    output: float
    residual: float
    adds_up: bool
    link: str
    bars: tuple[Bar, ...]
    method: str
    source: Literal["stored", "logged", "computed"]
    basis: Basis = "measured"
    class_name: str | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    stability: Stability | None = None
    words: tuple[str, ...] = ()
    note: str = ""
    mismatch: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Contrasts:
    """Attributions against each background. why: for each missing one, the reason, by name. seconds: worker time."""

    average: AttributionContrast | None = None
    similar: AttributionContrast | None = None
    twins: AttributionContrast | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Margin:
    """Distance of the score from another decision. margin: for a binary model, score − threshold; for a multiclass model, the largest
    probability minus the second (`runner_up`); for a regression, the half width of the band (`low`, `high`) of the median error.
    share_nearer: share of reference rows whose margin is at most as large; None without a reference. because: one sentence.
    """

    margin: float
    edge: float | None
    because: str
    runner_up: str | None = None
    low: float | None = None
    high: float | None = None
    share_nearer: float | None = None
    rows: int = 0


@dataclass(frozen=True)
class Curve:
    """The score as a function of one feature, all else equal (ICE). values: numbers in order, or levels; scores: one for each value. at:
    the row's own value; score: the model's score of the row. flips: values that reach the goal. goal: the goal in words. locked: whether
    the feature is immutable.
    """

    feature: str
    kind: Literal["number", "category", "boolean"]
    values: tuple[Any, ...]
    scores: tuple[float, ...]
    at: Any
    score: float
    flips: tuple[bool, ...]
    locked: bool = False
    goal: str = ""
    basis: Basis = "simulated"


@dataclass(frozen=True)
class Opposite:
    """The nearest real row with another decision. distance: computed as in neighbours.py. changes: feature: (value of this row, value of
    the nearest row), largest difference first. searched: number of sampled rows. others: number of them with the other outcome. goal: the
    other outcome in words.
    """

    id: str
    environment: str
    distance: float
    score: float | None
    prediction: str | None
    label: str | None
    changes: Mapping[str, tuple[Any, Any]]
    searched: int
    basis: Basis = "measured"
    others: int = 0
    goal: str = ""


@dataclass(frozen=True)
class Goal:
    """Defines which outcomes count as different from the one predicted. kind: above (score ≥ low), below (score < high), other (the most
    probable class is not `place`), outside or inside (of low to high, regression). text: in words; short: the end of a sentence, without
    the words for the rows.
    """

    kind: Literal["above", "below", "other", "outside", "inside"]
    text: str
    low: float | None = None
    high: float | None = None
    place: int = -1
    short: str = ""


@dataclass(frozen=True)
class WhatIf:
    """The model's score of a changed input. changes: as requested. before: the model's score of the stored input. flips: whether the
    decision changes.
    """

    changes: Mapping[str, tuple[Any, Any]]
    score: float
    before: float
    prediction: str
    flips: bool
    probabilities: Mapping[str, float] | None = None
    seconds: float = 0.0
    basis: Basis = "simulated"


@dataclass(frozen=True)
class Answered:
    """One version's score of the stored input. role: this, previous, next, challenger (shadow) or baseline (most frequent class or mean
    label of the reference). source: logged (this version), shadow (a prediction of the same request) or computed. right: whether the
    decision equals the label, None if unknown. since: time of the version's first answer, if it is after the request; the version may then
    have learned from the outcome. absolute_error: for a regression. missing: features that the version needs and the input lacks. why: the
    reason if there is no score.
    """

    version: str
    role: Literal["this", "previous", "next", "challenger", "baseline"]
    score: Any
    prediction: str | None
    source: Literal["logged", "shadow", "computed", "baseline"] | None
    right: bool | None = None
    absolute_error: float | None = None
    missing: tuple[str, ...] = ()
    why: str | None = None
    basis: Basis = "measured"
    since: datetime | None = None


@dataclass(frozen=True)
class Share:
    """A share of rows with Wilson's 95 % interval; None if there are no rows."""

    n: int
    of: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Regressed:
    """A row on which one version was right and the other is wrong. score_a, score_b, label: as logged or computed."""

    id: str
    score_a: float
    score_b: float
    label: str


@dataclass(frozen=True)
class Churn:
    """Differences between two versions on the same rows. a: the version that served, b: the other. flips: number of rows with different
    decisions (regression: scores that differ by more than the median error); worse: number of labelled rows that are right with a and wrong
    with b; better: the reverse. regressed: the worst rows of `worse`. because: one sentence.
    """

    a: str
    b: str
    rows: int
    labelled: int
    flips: Share
    worse: Share
    better: Share
    regressed: tuple[Regressed, ...]
    because: str
    source: Literal["shadow", "computed"] = "computed"
    basis: Basis = "simulated"
