"""Describe columns that predictions logged in another type than the reference holds, before the version was registered."""

from collections.abc import Mapping
from dataclasses import dataclass

from observability.core.catalog import Column, Edges, Kind
from observability.core.formatting import plural
from observability.store.ingest.parse_plan import BOOLEANS, is_numeric_text
from observability.store.registry.score_columns import quoted_name

KIND_TEXT: dict[Kind, str] = {"number": "numbers", "category": "text", "boolean": "true or false"}


@dataclass(frozen=True)
class ConvertedColumn:
    """A column whose kind a registration changed.

    column: the column before the change. kind: its kind in the reference. values: number of values that predictions had logged. lost:
    number of these values that could not be converted and now count as wrong type.
    """

    column: Column
    kind: Kind
    values: int
    lost: int

    def sentence(self, edges: Mapping[str, Edges]) -> str | None:
        """What was logged and what became of it. None if nothing was logged, or if such values belong to the levels of the reference."""
        levels = set(edges[self.column.reference].levels)
        codes = self.column.kind == "number" and all(map(is_numeric_text, levels))
        if not self.values or (self.kind == "category" and (codes or (self.column.kind == "boolean" and levels <= BOOLEANS))):
            return None
        name, logged, held = quoted_name(self.column.name), KIND_TEXT[self.column.kind], KIND_TEXT[self.kind]
        outcome = "all were converted" if not self.lost else f"{self.lost:,} cannot be converted and count as wrong type"
        return (
            f"Warning: predictions have logged {name} as {logged}, and the reference holds {held}: of {plural(self.values, 'value')} "
            f"{outcome}. Log {held}, or register a reference that holds {logged}: from now on, {logged} count as wrong type."
        )
