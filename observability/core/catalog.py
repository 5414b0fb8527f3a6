"""The catalog: models, versions, columns and bin edges of the store as plain values. Nothing here opens a database."""

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from observability.core.distinct_names import distinct_names
from observability.core.errors import NotFoundError, UsageError
from observability.core.settings import ModelSettings

Task = Literal["binary", "regression", "multiclass"]
Kind = Literal["number", "category", "boolean"]
ARTIFACT_DIFFERS = "Warning: the scores of the model file differ from the logged ones"
"""Beginning of the sentence that a registration stores if the scores of a model file differ slightly from the logged ones."""
FIELDS_TO_GROUP_BY = ("version", "replica", "device", "batch", "status")
OWN_CONTROLLER = "explanation-scheduler"
"""The name of the controller with which the product schedules its own background work (enrichment/step_schedule.py)."""


@dataclass(frozen=True)
class Column:
    """A feature or a sensitive attribute of a model. `name`: its name in the records; `column`: the safe, unique name of its column in the
    predictions table.

    id: small integer, from 1, unique within the model: the measure id in the rollups. role: "group" is a sensitive attribute that is not a
    feature. sensitive: fairness is evaluated on it.
    """

    id: int
    name: str
    column: str
    kind: Kind
    role: Literal["feature", "group"] = "feature"
    sensitive: bool = False

    @property
    def reference(self) -> str:
        """The column reference in aggregates."""
        return f"{self.role}.{self.name}"


@dataclass(frozen=True)
class Edges:
    """The bins of one column for one model version (see stats/edges.py).

    For numbers: edges, strictly increasing; deciles[i] is the reference decile group of bin i (len(edges)+1 entries); positions[i] is the
    reference mean inside bin i, or its middle; scale is the reference standard deviation; low and high are the winsorising limits; lowest
    and highest are the reference's range without isolated outliers (None in versions that were registered before this range was stored).
    For categories and booleans: levels, in the order of their bins.
    """

    edges: tuple[float, ...] = ()
    deciles: tuple[int, ...] = ()
    positions: tuple[float, ...] = ()
    scale: float | None = None
    low: float | None = None
    high: float | None = None
    levels: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None

    @property
    def limits(self) -> tuple[float, float] | None:
        """The reference's range (both ends belong to it) without isolated outliers; None without numbers."""
        if not self.edges:
            return None
        low = self.edges[0] if self.lowest is None else self.lowest
        return low, math.nextafter(self.edges[-1], -math.inf) if self.highest is None else self.highest

    @property
    def span_with_outliers(self) -> tuple[float, float] | None:
        """The reference's smallest and largest number, if isolated outliers lie beyond `limits`; None if there are no such outliers."""
        limits = self.limits
        if limits is None:
            return None
        span = self.edges[0], math.nextafter(self.edges[-1], -math.inf)
        return span if span[0] < limits[0] or span[1] > limits[1] else None

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bins if they are bands of a sensitive attribute."""
        return tuple(band_names(self.edges))


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names by the numbers in them: `9` before `10`, `1.9` before `1.10`."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts if part)


def band_names(limits: Iterable[float]) -> list[str]:
    """Names of the bands between limits; a band is closed on the left."""
    texts = [f"{limit:.12g}" for limit in limits]
    return [f"below {texts[0]}", *(f"{a} to below {b}" for a, b in itertools.pairwise(texts)), f"{texts[-1]} and above"] if texts else []


def band_limits(name: str) -> tuple[float, float] | None:
    """The limits (low, high), half open, of a name returned by `band_names`; None for any other text."""
    found = re.fullmatch(r"(?:below (?P<b>\S+)|(?P<l>\S+) to below (?P<h>\S+)|(?P<a>\S+) and above)", name)
    if found is None:
        return None
    try:
        low, high = (float(found[part]) if found[part] else None for part in ("l" if found["l"] else "a", "h" if found["h"] else "b"))
    except ValueError:
        return None
    return -math.inf if low is None else low, math.inf if high is None else high


@dataclass(frozen=True)
class Version:
    """One version of a model. A version that was only seen in predictions is unregistered: its `registered_at` is None, and it has no edges
    and no reference.

    edges: by column reference (`feature.age`; `score` and `error` of a regression; `band.age` for the bands of a sensitive number).
    features: names of the features with which it was registered. in_sample: whether the reference contains rows on which the model was
    fitted. reference_rows: 0 if there is no reference. left_out: columns of the reference that are not features, with the reason. scores:
    (class, column) of each score column of the reference; the class is None for binary and regression.
    """

    name: str
    registered_at: datetime | None = None
    features: tuple[str, ...] = ()
    edges: dict[str, Edges] = field(default_factory=dict)
    reference_rows: int = 0
    in_sample: bool = False
    artifact: str | None = None
    inferred: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[tuple[str | None, str], ...] = ()

    @property
    def registered(self) -> bool:
        """Whether the version was registered with a reference."""
        return self.registered_at is not None

    @property
    def artifact_difference(self) -> str | None:
        """By how much the model file's scores differed from the logged scores when it was registered; None if they did not differ."""
        said = next((sentence for sentence in self.inferred if sentence.startswith(ARTIFACT_DIFFERS)), None)
        return None if said is None else f"T{said.removeprefix('Warning: t')}"


COMPUTED = "\0computed "
EXPORTED = "\0exports"
"""A store counts records of exports under this name. Only findings about exports depend on them; findings about models do not."""
RECORDED = "\0records"
"""A store counts under this name the records that concern one model and are neither predictions nor labels, such as its events."""
UNNAMED = "\0unnamed"
"""A store counts under this name the records that name no model, and records that are read together with them (decisions). Findings about a
model's records may depend on these; findings about its rows do not. Records of a run also count for the model of the run.
"""
NOTED = "\0notes"
"""A store counts under this name the entries of people (`NOTES` of records/kinds.py), on which no finding depends."""


def computed_values(model: str) -> str:
    """The name under which a store counts changes of values that are computed from a model's rows: explanations and estimated errors. It
    begins with a NUL, which no model's name does.
    """
    return f"{COMPUTED}{model}"


@dataclass(frozen=True)
class Model:
    """One model. key: a small integer in the names of its tables (`predictions_3`). task: None if the model was never registered.

    classes: names of the classes in the order of their index (binary: negative, positive); empty for regression. redecided: whether
    `settings` are those of another time with another threshold; decisions are then computed from scores and not read from the store.
    name_in_sql: its name in SQL views if an earlier model's name differs from it only in case; empty if it is `name` (core/view_names.py).
    rows_from: raw rows before this time were removed, while their counts were kept; None if all rows are kept. shared: whether its rows are
    in tables that small unregistered models share; the names of its tables are then views. steers: whether all of its records are decisions
    of a controller.
    """

    key: int
    name: str
    task: Task | None = None
    classes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    versions: tuple[Version, ...] = ()
    settings: ModelSettings = field(default_factory=ModelSettings)
    sample: bool = False
    redecided: bool = False
    name_in_sql: str = ""
    rows_from: datetime | None = None
    shared: bool = False
    steers: bool = False

    def column(self, reference: str) -> Column | None:
        """The column with the reference `feature.NAME` or `group.NAME`; None if there is none."""
        return self._by_reference.get(reference)

    @cached_property
    def _by_reference(self) -> Mapping[str, Column]:
        """Every column by its reference. It is built once, because a check looks up each of thousands of columns many times."""
        return {column.reference: column for column in reversed(self.columns)}

    @cached_property
    def view_columns(self) -> Mapping[str, str]:
        """The name, without quotes, of the column of the view `predictions` for each feature, group and class, by column reference.

        The column for `feature.NAME` or `group.NAME` has that same name; the probability of class k (`score.K`) is `probability.CLASS`.
        """
        own = [(column.id, column.reference) for column in self.columns]
        classes = self.classes if self.task == "multiclass" else ()
        own += [(index, f"probability.{name}") for index, name in enumerate(classes)]
        references = [column.reference for column in self.columns] + [f"score.{index}" for index in range(len(classes))]
        return dict(zip(references, distinct_names(own), strict=True))

    def features(self) -> tuple[Column, ...]:
        """The columns whose role is `feature`."""
        return self._features

    @cached_property
    def _features(self) -> tuple[Column, ...]:
        """The features. They are chosen once, because a page of a case asks for thousands of them many times."""
        return tuple(column for column in self.columns if column.role == "feature")

    def subject(self, reference: str) -> str:
        """The subject of findings about a column. For the score it is `model` if a feature is named `score`, so that the ids of findings
        differ.
        """
        if reference == "score" and self.column("feature.score"):
            return "model"
        return reference.partition(".")[2] or reference

    def version(self, name: str | None) -> Version | None:
        """The version of that name, or None."""
        return next((version for version in self.versions if version.name == name), None)

    def resolve(self, name: str) -> str:
        """The column reference for a plain name in a slice: a feature, else a sensitive attribute, else a field to group by.

        Raises NotFoundError, which suggests the nearest name.
        """
        for reference in (f"feature.{name}", f"group.{name}"):
            if self.column(reference):
                return reference
        if name in FIELDS_TO_GROUP_BY:
            return name
        known = [column.name for column in self.columns] + list(FIELDS_TO_GROUP_BY)
        near = difflib.get_close_matches(name, known, n=1)
        raise NotFoundError(
            f"column {name!r} is not in {self.name}", attempt=f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known[:12])}"
        )


def check_stated_directions(model: Model, before: ModelSettings, settings: ModelSettings, where: str | None = None) -> None:
    """Raise UsageError if `settings` state an attack direction for a category column that `before` does not state, because categories have
    no order.
    """
    for name, way in settings.attack_directions.items():
        column = model.column(f"feature.{name}")
        if column and column.kind == "category" and before.attack_directions.get(name) != way:
            raise UsageError(
                f"attack_directions: {name!r} is a category, so it neither rises nor falls",
                where=where,
                got=f"{name} = {way!r}",
                expected="numbers or booleans",
                attempt="Take it out, or name it in immutable if it cannot change",
            )


@dataclass(frozen=True)
class Catalog:
    """All models in the store."""

    models: tuple[Model, ...] = ()

    @property
    def unregistered(self) -> tuple[str, ...]:
        """Names of the models without a registered version."""
        return tuple(model.name for model in self.models if not any(version.registered for version in model.versions))

    @cached_property
    def fleet(self) -> tuple[Model, ...]:
        """The models of the fleet, which pages, commands and reviews list and count: all except those that only steer a system."""
        return tuple(model for model in self.models if not model.steers)

    @cached_property
    def controllers(self) -> tuple[Model, ...]:
        """The models that only steer a system, except the product's own controller."""
        return tuple(model for model in self.models if model.steers and model.name != OWN_CONTROLLER)

    @cached_property
    def by_name(self) -> dict[str, Model]:
        """Every model by its name."""
        return {model.name: model for model in self.models}

    def model(self, name: str) -> Model:
        """The model with this name. Raises NotFoundError, which suggests the nearest name."""
        if (found := self.by_name.get(name)) is not None:
            return found
        near = difflib.get_close_matches(name, [model.name for model in self.models], n=1)
        known = ", ".join(model.name for model in self.models[:8]) or "no model yet"
        raise NotFoundError(f"model {name!r} is not in the store", attempt=f"Did you mean {near[0]!r}?" if near else f"There is {known}")
