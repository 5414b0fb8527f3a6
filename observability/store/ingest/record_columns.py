"""Map the columns of a table file to fields, features and groups of records, and write its rows as JSON lines.

Columns are processed batch by batch, so that memory is bounded and few rows are touched one by one. In JSON, numbers and booleans are
written as such, texts and times as texts, an empty CSV cell as null, NaN and infinities as texts.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.errors import UsageError
from observability.core.formatting import join_words
from observability.records.kinds import KINDS
from observability.records.validation import OTHER_NAMES
from observability.store.ingest.parse_json import canonical_json, json_value
from observability.store.types.loading import LoadDefaults

INDEX_COLUMNS = ("Unnamed: 0", "__index_level_0__")
"""Names of the column of row numbers that pandas writes; it is no feature unless it is asked for."""
TO_ESCAPE = r'["\\\x00-\x1f]'
MAY_HOLD_JSON = ("object", "list", "score", "label", "scalar")
"""Types of fields whose cells may hold JSON text."""


@dataclass(frozen=True)
class RecordColumns:
    """Columns of a file of one record kind.

    fields: field type by column. features: columns that are features (for other kinds than predictions: further fields). groups: columns
    that are sensitive attributes but not features. extras: other columns of predictions, which are kept as they are.
    """

    kind: str
    fields: Mapping[str, str]
    features: list[str]
    groups: list[str]
    extras: list[str]

    @property
    def names(self) -> list[str]:
        """All columns that are used."""
        return [*self.fields, *self.features, *self.groups, *self.extras]

    def lines(self, column: Callable[[str], pa.Array], rows: int) -> pa.Array:
        """The JSON lines of some rows. column: the cells of a column as JSON texts."""
        parts: list[Any] = [f'{{"kind":{json.dumps(self.kind)}']
        nested = self.kind == "prediction"
        objects = {"features": self.features, "groups": self.groups} if nested else {}
        objects = {name: members for name, members in objects.items() if name == "features" or members}
        flat = [name for name in [*self.fields, *self.extras, *([] if nested else self.features)] if name not in objects]
        parts += [pc.fill_null(pc.binary_join_element_wise(f",{json.dumps(name)}:", column(name), ""), "") for name in flat]
        for part, names in objects.items():
            members: list[Any] = []
            for name in names:
                members += [f"{',' if members else ''}{json.dumps(name)}:", pc.fill_null(column(name), "null")]
            own = pc.binary_join_element_wise("{", *members, "}", "") if members else pa.repeat("{}", rows)
            parts += [f',"{part}":', _merged_objects(column(part), own) if part in self.fields else own]
        return pc.binary_join_element_wise(*parts, pa.repeat("}", rows), "")


def _merged_objects(inner: pa.Array, own: pa.Array) -> pa.Array:
    """Objects with the members of two columns: `features` (or `groups`), and an object of single columns, which wins."""
    found = []
    for first, second in zip(inner.to_pylist(), own.to_pylist(), strict=True):
        value = json.loads(first) if first is not None else {}
        found.append(canonical_json(value | json.loads(second) if isinstance(value, dict) else value))
    return pa.array(found, pa.string())


def record_columns(names: list[str], defaults: LoadDefaults, where: str) -> RecordColumns:
    """Assign the columns of a file to fields, features, groups and extras. Raises UsageError if a required column is missing."""
    require_column_names(names, where)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError("a column name stands twice", where=where, got=", ".join(twice))
    kind = defaults.kind or "prediction"
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        raise UsageError("unknown kind", got=repr(kind), attempt=f"Did you mean {near[0]}?" if near else f"There is {', '.join(KINDS)}")
    shown = ", ".join(names[:12])
    if unknown := sorted(set(defaults.renames) - set(names)):
        raise UsageError("--map names columns that are not in the file", where=where, got=", ".join(unknown), expected=f"one of {shown}")
    ours = {name: defaults.renames.get(name, name) for name in names}
    if same := sorted({our for our in ours.values() if list(ours.values()).count(our) > 1}):
        both = ", ".join(name for name in names if ours[name] == same[0])
        raise UsageError("two columns would have the same name", where=where, got=f"{both}, both {same[0]!r}", attempt="Change --map")
    fields = KINDS[kind].fields
    chosen = set(defaults.features or ())
    if absent := sorted(chosen - set(ours.values()) - set(names)):
        raise UsageError("features are not in the file", where=where, got=", ".join(absent), attempt=_column_advice(absent[0], names))
    as_fields = {name: fields[our].type for name, our in ours.items() if our in fields and not (chosen & {name, our})}
    given = {ours[name] for name in as_fields} | {name for name in ("model", "version") if getattr(defaults, name)} | {"features"}
    if missing := [field.name for field in KINDS[kind].required if field.name not in given]:
        advice = _column_advice(missing[0], names, mapping=True, versions=defaults.versions)
        raise UsageError(f"a {kind} file needs the column {missing[0]!r}", where=where, got=shown, attempt=advice)
    if kind == "prediction" and not {"score", "prediction", "status"} & given:
        advice = _column_advice("score", names, mapping=True)
        raise UsageError("a prediction file needs the column 'score' or 'prediction'", where=where, got=shown, attempt=advice)
    left = [name for name in names if name not in as_fields and name != "kind" and (name not in INDEX_COLUMNS or name in chosen)]
    named = [name for name in left if name in chosen or ours[name] in chosen]
    if kind != "prediction":
        return RecordColumns(kind, as_fields, named if chosen else left, [], [])
    groups = [name for name in left if ours[name] in defaults.groups and name not in named]
    features = named if chosen else [name for name in left if name not in groups and not {name, ours[name]} & defaults.left_out]
    extras = [name for name in left if name not in features and name not in groups]
    return RecordColumns(kind, as_fields, features, groups, extras)


def require_column_names(names: list[str], where: str) -> None:
    """Raise UsageError if a column has no name."""
    if not any(names) or "" in names:
        raise UsageError(
            "a column has no name", where=where, got=", ".join(names[:8]), attempt="Give every column a name in the first line"
        )


def _column_advice(wanted: str, names: list[str], mapping: bool = False, versions: tuple[str, ...] = ()) -> str:
    """What to try if a column is missing. versions: those of the model."""
    near = [name for name in names if name.lower() in OTHER_NAMES.get(wanted, ()) or name.lower() == wanted]
    near = near or difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    if wanted == "id" and not near:
        return "Add one, a unique text per row by which labels find their predictions, or name the column: --map THEIR_NAME=id"
    if wanted in ("model", "version"):
        choices = f" ({join_words(versions, 8)})" if wanted == "version" and versions else ""
        return f"Give --{wanted}{choices}, or name the column: --map {near[0] if near else 'THEIR_NAME'}={wanted}"
    if mapping:
        return f"Name it: --map {near[0] if near else 'THEIR_NAME'}={wanted}"
    return f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(names[:12])}"


def quoted_texts(texts: pa.Array) -> pa.Array:
    """Texts as JSON."""
    if pc.any(pc.match_substring_regex(texts, TO_ESCAPE)).as_py():
        return pa.array([None if text is None else json.dumps(text, ensure_ascii=False) for text in texts.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', texts, '"', "")


def parsed_cell(value: Any) -> Any:
    """The content of a cell that holds a JSON object or list; other values unchanged."""
    if isinstance(value, str) and re.match(r"\s*[{\[]", value):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def json_text(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(json_value(value), ensure_ascii=False, allow_nan=False)
