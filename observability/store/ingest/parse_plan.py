"""Which columns has a model, of which kinds, and which new ones does a block bring?

A plan starts from the catalog and grows while a block is read: a feature that is not known gets the kind of its first value that is not null.
Lines that can make it grow are read in their order, so that what comes out does not depend on how the others are read.
"""

from dataclasses import dataclass, field
from typing import Literal

from observability.core.catalog import Catalog, Kind, Model, Task
from observability.records.values import NON_FINITE
from observability.store.ingest.parse_types import NewColumn

MOST_COLUMNS = 1000
"""A model has at most this many columns; values of further ones stay in `extra`."""
Role = Literal["feature", "group"]
OBJECTS: dict[str, Role] = {"features": "feature", "groups": "group"}


@dataclass
class PlannedColumn:
    """A column while a block is read. codes: a category whose levels are numbers (booleans): numbers (booleans) are its values too."""

    reference: str
    kind: Kind
    numbers: bool = False
    booleans: bool = False


@dataclass
class ModelPlan:
    """What a model's lines may hold. Grows; `state` changes whenever it did.

    places: by object (`features`, `groups`) and own name the position in `columns`. registered: by version the names of its features.
    nulls: names seen with null only, which have no column yet. extras: fields of the top level that no record has. classes: keys of scores seen.
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

    @property
    def state(self) -> tuple[int, ...]:
        """Sizes of what grows."""
        return len(self.columns), len(self.extras), len(self.classes), *(len(each) for each in self.nulls.values())

    def add(self, part: str, name: str, value: object) -> int | None:
        """The position of a new column whose first value is `value`; None where there is none (null, no scalar, too many columns)."""
        kind = kind_of_value(value)
        if kind is None or len(self.columns) >= MOST_COLUMNS:
            return None
        role = OBJECTS[part]
        self.places[part][name] = len(self.columns)
        self.columns.append(PlannedColumn(f"{role}.{name}", kind))
        self.new.append((role, name, kind))
        self.nulls[part].discard(name)
        return len(self.columns) - 1


def kind_of_value(value: object) -> Kind | None:
    """The kind of a first value: "NaN" and the infinities are numbers; None for null, objects and lists."""
    if value.__class__ is bool:
        return "boolean"
    if value.__class__ is str:
        return "number" if value in NON_FINITE else "category"
    return "number" if value.__class__ in (int, float) else None


def plan_of(name: str, catalog: Catalog) -> ModelPlan:
    """The plan of a model from the catalog; an empty one where the catalog does not have it."""
    model = next((each for each in catalog.models if each.name == name), None)
    plan = ModelPlan(name)
    if model is None:
        return plan
    plan.task = model.task
    for column in model.columns:
        part = "features" if column.role == "feature" else "groups"
        plan.places[part][column.name] = len(plan.columns)
        levels = levels_of(model, column.reference) if column.kind == "category" else set()
        numbers, booleans = bool(levels) and all(map(is_number, levels)), bool(levels) and levels <= {"true", "false"}
        plan.columns.append(PlannedColumn(column.reference, column.kind, numbers, booleans))
    plan.registered = {each.name: each.features for each in model.versions if each.registered and each.features}
    if model.task == "multiclass":
        plan.classes = set(model.classes)
    return plan


def levels_of(model: Model, reference: str) -> set[str]:
    """The levels that a category has in the references of a model's versions."""
    return {level for version in model.versions if reference in version.edges for level in version.edges[reference].levels}


def is_number(text: str) -> bool:
    """Whether a level is a number written as text."""
    try:
        float(text)
    except ValueError:
        return False
    return True
