"""The request to register a model version, and the properties that were inferred from its reference file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from observability.core.catalog import Kind, Task
from observability.core.errors import ObservabilityError, UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.stats.arrays import Floats


@dataclass(frozen=True)
class RegistrationRequest:
    """Everything that can be specified about a version. A field that is left out is inferred, or has the default of the contract.

    score: column names, or `class=COLUMN` for each class. features: their names; None or empty means every remaining column. renames: name
    in the file → name in the store. positive: label value of the positive class. in_sample: the reference holds rows on which the model was
    fitted. settings: a TOML file. kinds: corrections of inferred kinds, by feature name. decimal: the decimal
    sign of a CSV file, see LoadDefaults. timezone: IANA name for times without an offset; None takes them as UTC. sample: part of the
    sample fleet.
    """

    model: str
    version: str
    reference: Path | None = None
    task: Task | None = None
    label: str | None = None
    score: tuple[str, ...] = ()
    prediction: str | None = None
    at: str | None = None
    sensitive: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    artifact: Path | None = None
    in_sample: bool = False
    settings: Path | None = None
    positive: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    sample: bool = False
    decimal: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        for what, value in (("model", self.model), ("version", self.version)):
            if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 200:
                raise UsageError(f"the {what} needs a name", got=repr(value)[:80], expected="1 to 200 printable characters")
        if self.task is not None and self.task not in get_args(Task):
            raise UsageError("unknown task", got=repr(self.task), expected="binary, regression or multiclass")


@dataclass(frozen=True)
class FeatureColumn:
    """A feature or a sensitive attribute of the version. source: the column of the table that holds it.

    bands: for a sensitive attribute with many numbers, the limits between its groups (each group includes its lower limit).
    """

    name: str
    source: str
    kind: Kind
    role: Literal["feature", "group"] = "feature"
    sensitive: bool = False
    bands: tuple[float, ...] = ()


@dataclass(frozen=True)
class Inference:
    """Content of a reference file, and the properties that were inferred from it. Not yet stored.

    rows: rows of the file; usable: rows with a score or a prediction; labelled: usable rows with a label. scores: (class, column).
    features, groups: in the order of the file. left_out: column → why it is not a feature. suggested_sensitive: features whose names
    suggest it. codes: sensitive numbers that are taken for categories. at: the column of event times, if any. metrics: see
    `targets.reference_metrics`. records: the file holds prediction records, not flat rows. notes, warnings: sentences. sensitive_roles: for
    sensitive columns of a flat file, why each is a feature or not; those whose role is a guess are left out. timezone: as in the request.
    """

    model: str
    version: str
    task: Task
    rows: int
    usable: int
    labelled: int
    label: str
    scores: tuple[tuple[str | None, str], ...]
    prediction: str | None
    at: str | None
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    features: tuple[FeatureColumn, ...]
    groups: tuple[FeatureColumn, ...]
    left_out: Mapping[str, str]
    suggested_sensitive: tuple[str, ...]
    codes: tuple[str, ...]
    metrics: Mapping[str, float]
    threshold: float
    in_sample: bool
    records: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    sensitive_roles: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The columns of features, then those of groups."""
        return self.features + self.groups

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each feature and group."""
        return {column.name: column.kind for column in self.columns}

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Names of the sensitive features and groups."""
        return tuple(column.name for column in self.columns if column.sensitive)

    @property
    def positive(self) -> str | None:
        """The positive class of a binary model."""
        return self.classes[1] if self.task == "binary" else None

    def as_json(self) -> dict[str, Any]:
        """The form that pages show and `corrected_request` accepts: task, label, score, prediction, at, positive, sensitive, features,
        kinds.
        """
        return {
            "model": self.model,
            "version": self.version,
            "task": self.task,
            "label": self.label,
            "score": [
                column if name is None or self.objects else f"{name}={column}"
                for name, column in self.scores[: 1 if self.objects else None]
            ],
            "prediction": self.prediction,
            "at": self.at,
            "timezone": self.timezone,
            "positive": self.positive,
            "classes": list(self.classes),
            "class_counts": list(self.class_counts),
            "features": [feature.name for feature in self.features],
            "groups": [group.name for group in self.groups],
            "kinds": self.kinds,
            "sensitive": list(self.sensitive),
            "suggested_sensitive": list(self.suggested_sensitive),
            "bands": {column.name: list(column.bands) for column in self.columns if column.bands},
            "left_out": dict(self.left_out),
            "rows": self.rows,
            "usable": self.usable,
            "labelled": self.labelled,
            "metrics": dict(self.metrics),
            "in_sample": self.in_sample,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    @property
    def objects(self) -> bool:
        """Whether the scores of all classes are in one column."""
        return len({column for _, column in self.scores}) < len(self.scores) or (self.task == "multiclass" and len(self.scores) == 1)


CORRECTABLE = (
    "task",
    "label",
    "score",
    "prediction",
    "at",
    "timezone",
    "positive",
    "sensitive",
    "features",
    "kinds",
    "renames",
    "in_sample",
)


def corrected_request(request: RegistrationRequest, changes: Mapping[str, Any]) -> RegistrationRequest:
    """The request with a person's corrections: any of CORRECTABLE, in the form of `Inference.as_json`. Raises UsageError for other keys.

    An empty text or null means that the value is inferred. renames: as in the request.
    """
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in CORRECTABLE:
            raise UsageError(f"{name!r} cannot be corrected", expected=", ".join(CORRECTABLE))
        if name in ("score", "sensitive", "features"):
            values[name] = tuple(value or ())
        elif name in ("kinds", "renames"):
            values[name] = {**getattr(request, name), **(value or {})}
        elif name == "in_sample":
            values[name] = bool(value)
        else:
            values[name] = value or None
    return replace(request, **values)


@dataclass(frozen=True)
class Registration:
    """The result of a registration. rows: rows of the reference. sentences: what was inferred and done; they are kept with the version."""

    model: str
    version: str
    rows: int
    sentences: tuple[str, ...]
    inference: Inference


class NotScoredError(ObservabilityError):
    """A model file could not be run here. This does not mean that the file is wrong."""


@dataclass(frozen=True)
class ScoredReference:
    """Scores of some rows by a model file, with shape (n,) or (n, classes) in multiclass, and the columns that the model takes.

    kinds: what the model takes in a column, number or category, as far as its file states this. unknown: columns in which the model knows
    none of the values, with some of the categories that it knows.
    """

    scores: "Floats"
    columns: tuple[str, ...]
    kinds: Mapping[str, Literal["number", "category"]] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[str]] = field(default_factory=dict)


ReferenceScorer = Callable[[Path, "DataFrame", str, tuple[str, ...]], ScoredReference]
"""Scores rows (columns by name, as logged) with a model file, for a task and its classes. Raises UsageError if the file does not take
them, NotScoredError if it cannot be run here."""
