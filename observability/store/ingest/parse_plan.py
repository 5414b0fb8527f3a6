"""The columns of a model with their kinds, including new ones that a block brings.

A plan starts from the catalog and grows while a block is read: a new feature gets the kind of its first value that is not null. Lines that
can make it grow are read in their order, so that the result does not depend on how the other lines are parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from observability.core.catalog import Catalog, Kind, Model, Task
from observability.records.kinds import KINDS
from observability.records.values import NON_FINITE
from observability.store.ingest.parse_types import NewColumn

MAX_FEATURES = 20_000
"""Maximum number of features of a registered version."""
MAX_COLUMNS = 1000
"""Maximum number of columns of a model that no registered version names; values of further columns stay in `extra`."""
SCANNED_KINDS = ("step", "annotation")
"""Kinds, besides predictions and labels, that the fast parser reads: kinds with millions of lines."""
BOOLEANS = {"true", "false"}
"""The texts of true and false."""
Role = Literal["feature", "group"]
OBJECTS: dict[str, Role] = {"features": "feature", "groups": "group"}


@dataclass
class PlannedColumn:
    """A column while a block is read. numbers, booleans: whether a category also accepts numbers (booleans) as values, because its levels
    are numbers (booleans).
    """

    reference: str
    kind: Kind
    numbers: bool = False
    booleans: bool = False


@dataclass
class ModelPlan:
    """The fields that the lines of a model may have. The plan grows while lines are read, and `state` changes with it.

    places: by object (`features`, `groups`) and name, the position in `columns`. registered: feature names by version. nulls: names seen
    only with null, which have no column yet. extras: unknown top-level fields. classes: keys of the scores seen. declared: how many of the
    columns are features of a registered version.
    """

    name: str
    task: Task | None = None
    columns: list[PlannedColumn] = field(default_factory=list)
    places: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in OBJECTS})
    registered: dict[str, tuple[str, ...]] = field(default_factory=dict)
    new: list[NewColumn] = field(default_factory=list)
    nulls: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in OBJECTS})
    extras: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    declared: int = 0

    @property
    def state(self) -> tuple[int, ...]:
        """Sizes of everything that grows."""
        return len(self.columns), len(self.extras), len(self.classes), *(len(names) for names in self.nulls.values())

    def add(self, part: str, name: str, value: object) -> int | None:
        """The position of a new column whose first value is `value`. None if no column is added, because the value is null or no scalar, or
        there are too many columns.
        """
        kind = _value_kind(value)
        if kind is None or len(self.columns) - self.declared >= MAX_COLUMNS:
            return None
        role = OBJECTS[part]
        self.places[part][name] = len(self.columns)
        self.columns.append(PlannedColumn(f"{role}.{name}", kind))
        self.new.append((role, name, kind))
        self.nulls[part].discard(name)
        return len(self.columns) - 1


@dataclass
class RecordPlan:
    """The fields that the lines of another kind may have: the names in each of its objects of numbers. The plan grows while lines are read,
    and `state` changes with it.
    """

    kind: str
    members: dict[str, set[str]] = field(default_factory=dict)

    @property
    def state(self) -> tuple[int, ...]:
        """Sizes of everything that grows."""
        return tuple(len(names) for names in self.members.values())

    def note(self, record: Mapping[str, Any]) -> None:
        """Add the names that a record brings."""
        for name, known in self.members.items():
            if len(known) < MAX_COLUMNS:
                known.update(record.get(name, ()))


def record_plan(kind: str) -> RecordPlan:
    """The plan of a kind before any of its lines was read."""
    fields = KINDS[kind].fields.values()
    return RecordPlan(kind, {field.name: set() for field in fields if field.type == "object" and field.members == "number"})


def _value_kind(value: object) -> Kind | None:
    """The kind of a first value. "NaN" and the infinities are numbers; None for null, objects and lists."""
    if value.__class__ is bool:
        return "boolean"
    if value.__class__ is str:
        return "number" if value in NON_FINITE else "category"
    return "number" if value.__class__ in (int, float) else None


def model_plan(name: str, catalog: Catalog) -> ModelPlan:
    """The plan of a model from the catalog; empty if the model is unknown."""
    model = catalog.by_name.get(name)
    plan = ModelPlan(name)
    if model is None:
        return plan
    plan.task = model.task
    for column in model.columns:
        part = "features" if column.role == "feature" else "groups"
        plan.places[part][column.name] = len(plan.columns)
        levels = reference_levels(model, column.reference) if column.kind == "category" else set()
        numbers, booleans = bool(levels) and all(map(is_numeric_text, levels)), bool(levels) and levels <= BOOLEANS
        plan.columns.append(PlannedColumn(column.reference, column.kind, numbers, booleans))
    plan.registered = {version.name: version.features for version in model.versions if version.registered and version.features}
    plan.declared = len(plan.places["features"].keys() & {name for names in plan.registered.values() for name in names})
    if model.task == "multiclass":
        plan.classes = set(model.classes)
    return plan


def reference_levels(model: Model, reference: str) -> set[str]:
    """The levels of a category in the references of all versions of a model."""
    return {level for version in model.versions if reference in version.edges for level in version.edges[reference].levels}


def is_numeric_text(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
