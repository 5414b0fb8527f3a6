"""What does the model itself say about one prediction: why, how near the edge, and what other versions say? The frozen shapes of these answers.

Everything here can be missing, each on its own: a part that needs the artifact raises NotGivenError with what to do. `basis` says whether a number was measured
(logged, or the model's own answer to the stored input), estimated (sampled, with an error) or simulated (an input that never was).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from observability.core.finding import Basis

Against = Literal["average", "similar", "twins"]
AGAINST: dict[Against, str] = {"average": "the average", "similar": "similar cases", "twins": "correct twins"}
"""What a prediction's attributions are held against, in the order in which a reader asks."""


@dataclass(frozen=True)
class Bar:
    """One feature's part of the output, in the space of the link. value: the input. standard_error: where it was sampled, else None."""

    feature: str
    value: Any
    attribution: float
    standard_error: float | None = None


@dataclass(frozen=True)
class Stability:
    """Would another background tell the same story? stars: 1 to 5. correlation: mean rank correlation (Spearman) of the sizes of the attributions, and
    overlap: mean share of the three largest that stay, over `draws` resamples of the background. score: the mean of both, 0 to 1, from
    which the stars follow. because: one sentence.
    """

    stars: int
    score: float
    correlation: float
    overlap: float
    draws: int
    rows: int
    because: str


@dataclass(frozen=True)
class Contrast:
    """Attributions of one prediction against one background: base_value + Σ bars + residual == output, in the space of `link`.

    against: average, similar or twins. background: what the base value is the mean of, in words; background_rows: None where the trees' own counts
    stand for it. outcomes: of the background, what was decided: {class: rows}. bars: largest first. adds_up: the residual is small enough for the bars to be
    shown. source: stored, logged or computed. class_name: multiclass, the class that is explained. words: what pushed up, what pushed down, by how much.
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


@dataclass(frozen=True)
class Contrasts:
    """A prediction against each background. why: for those that cannot be given, a sentence by name. seconds: in the worker."""

    average: Contrast | None = None
    similar: Contrast | None = None
    twins: Contrast | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Margin:
    """How far the score is from another answer. margin: binary, score - threshold; multiclass, the largest probability less the second (`runner_up`);
    regression, the half width of the band (`low`, `high`) that its usual error gives. share_nearer: of the reference's rows, how many stand as
    near or nearer to the edge; None without a reference. because: one sentence.
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
    """The score if one feature had another value and all else stayed (ICE). values: numbers in order, or levels; scores: one each. at: the row's
    own value, and score the model's answer to it. flips: the values at which the answer is another. locked: nobody can change this feature.
    """

    feature: str
    kind: Literal["number", "category", "boolean"]
    values: tuple[Any, ...]
    scores: tuple[float, ...]
    at: Any
    score: float
    flips: tuple[bool, ...]
    locked: bool = False
    basis: Basis = "simulated"


@dataclass(frozen=True)
class Opposite:
    """The nearest real row that was answered otherwise. distance: as of the neighbours (investigation/neighbours.py). changes: feature: (this row's value, its value), largest
    difference first. searched: rows among which it is the nearest.
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


@dataclass(frozen=True)
class Goal:
    """What counts as another answer. kind: above (score ≥ low), below (score < high), other (another class than `place` is the most
    probable), outside or inside (of low to high, of a regression). text: in words.
    """

    kind: Literal["above", "below", "other", "outside", "inside"]
    text: str
    low: float | None = None
    high: float | None = None
    place: int = -1


@dataclass(frozen=True)
class WhatIf:
    """The model's answer to inputs that never were. changes: as asked. before: the model's answer to the stored input. flips: the goal is reached."""

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
    """What one version says to the stored input. role: this, previous, next, challenger (a shadow) or baseline (the reference's commonest class or mean label).
    source: logged (this version), shadow (a prediction of the same id) or computed. right: against the label, None where unknown.
    absolute_error: of a regression. missing: features that this version takes and the input lacks. why: where it cannot answer.
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


@dataclass(frozen=True)
class Share:
    """A share of rows with Wilson's 95 % interval; None where there are no rows."""

    n: int
    of: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Regressed:
    """A row that one version had right and the other has wrong. score_a, score_b, label as logged or computed."""

    id: str
    score_a: float
    score_b: float
    label: str


@dataclass(frozen=True)
class Churn:
    """How two versions differ on the same rows. a: the version that answered, b: the other. flips: decided otherwise (regression: whose scores differ by
    more than the usual error); worse: right with a and wrong with b; better: the reverse, both among labelled rows. regressed: the worst rows of `worse`.
    rows: looked at; window: in words. because: one sentence.
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
