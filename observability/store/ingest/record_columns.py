"""Map the columns of a table file to fields, features and groups of records, and write its rows as JSON lines.

Columns are processed batch by batch, so that memory is bounded and few rows are touched one by one. In JSON, numbers and booleans are
written as such, texts and times as texts, an empty CSV cell as null, NaN and infinities as texts.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.errors import UsageError
from observability.core.formatting import join_words
from observability.records.kinds import KINDS
from observability.store.ingest.class_scores import require_score_of_each_class, split_score_option
from observability.store.ingest.column_advice import FileHead, missing_columns_advice
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
    that are sensitive attributes but not features. extras: other columns of predictions, which are kept unchanged. scores: column by
    class, of which the object `score` is made.
    """

    kind: str
    fields: Mapping[str, str]
    features: list[str]
    groups: list[str]
    extras: list[str]
    scores: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All columns that are used."""
        return [*self.fields, *self.features, *self.groups, *self.extras, *dict.fromkeys(self.scores.values())]

    def lines(self, column: Callable[[str], pa.Array], rows: int) -> pa.Array:
        """The JSON lines of some rows. column: the cells of a column as JSON texts."""
        parts: list[Any] = [f'{{"kind":{json.dumps(self.kind)}']
        nested = self.kind == "prediction"
        objects = {"features": self.features, "groups": self.groups} if nested else {}
        objects = {name: members for name, members in objects.items() if name == "features" or members}
        flat = [name for name in [*self.fields, *self.extras, *([] if nested else self.features)] if name not in objects]
        parts += [pc.fill_null(pc.binary_join_element_wise(f",{json.dumps(name)}:", column(name), ""), "") for name in flat]
        if self.scores:
            parts.append(self._score_objects(column))
        for part, names in objects.items():
            members: list[Any] = []
            for name in names:
                members += [f"{',' if members else ''}{json.dumps(name)}:", pc.fill_null(column(name), "null")]
            own = pc.binary_join_element_wise("{", *members, "}", "") if members else pa.repeat("{}", rows)
            parts += [f',"{part}":', _merged_objects(column(part), own) if part in self.fields else own]
        return pc.binary_join_element_wise(*parts, pa.repeat("}", rows), "")

    def _score_objects(self, column: Callable[[str], pa.Array]) -> pa.Array:
        """The field `score` as an object of the classes that have a value; "" where none has."""
        members = [
            pc.fill_null(pc.binary_join_element_wise(f"{json.dumps(name)}:", column(source), ",", ""), "")
            for name, source in self.scores.items()
        ]
        inner = pc.utf8_rtrim(pc.binary_join_element_wise(*members, ""), ",")
        return pc.if_else(pc.equal(inner, ""), "", pc.binary_join_element_wise(',"score":{', inner, "}", ""))


def _merged_objects(inner: pa.Array, own: pa.Array) -> pa.Array:
    """Objects with the members of two columns: `features` (or `groups`), and an object of single columns. A member of both is taken from
    the second.
    """
    found = []
    for first, second in zip(inner.to_pylist(), own.to_pylist(), strict=True):
        value = json.loads(first) if first is not None else {}
        found.append(canonical_json(value | json.loads(second) if isinstance(value, dict) else value))
    return pa.array(found, pa.string())


def record_columns(names: list[str], defaults: LoadDefaults, where: str, head: FileHead = dict) -> RecordColumns:
    """Assign the columns of a file to fields, features, groups, scores and extras. head: gives the first rows, from which advice in errors
    is made.

    Raises UsageError if a required column is missing.
    """
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
    scores = _named_scores(ours, defaults, where) if kind == "prediction" else {}
    if same := sorted({our for our in ours.values() if list(ours.values()).count(our) > 1}):
        both = ", ".join(name for name in names if ours[name] == same[0])
        raise UsageError("two columns would have the same name", where=where, got=f"{both}, both {same[0]!r}", attempt="Change --map")
    fields = KINDS[kind].fields
    chosen = set(defaults.features or ())
    if absent := sorted(chosen - set(ours.values()) - set(names)):
        near = difflib.get_close_matches(absent[0], names, n=1, cutoff=0.5)
        advice = f"Did you mean {near[0]!r}?" if near else f"It has {shown}"
        raise UsageError("features are not in the file", where=where, got=", ".join(absent), attempt=advice)
    of_scores = set(scores.values())
    as_fields = {name: fields[our].type for name, our in ours.items() if our in fields and not (chosen & {name, our} or name in of_scores)}
    given = {ours[name] for name in as_fields} | {name for name in ("model", "version") if getattr(defaults, name)} | {"features"}
    if scores and "score" in given:
        raise UsageError("the file has a column 'score' beside those of the classes", where=where, got=shown, attempt="Leave out --score")
    missing = [needs.name for needs in KINDS[kind].required if needs.name not in given]
    needed = [f"the column {name!r}" for name in missing]
    if kind == "prediction" and not scores and not {"score", "prediction", "status"} & given:
        missing, needed = [*missing, "score"], [*needed, "the column 'score' or 'prediction'"]
    if missing:
        free = [name for name in names if name not in as_fields and name not in of_scores and name != "kind"]
        times = next((name for name in as_fields if ours[name] == "at"), None)
        advice = missing_columns_advice(missing, names, free, times, defaults, head)
        raise UsageError(f"a {kind} file needs {join_words(needed, len(needed))}", where=where, got=shown, attempt=advice)
    left = [name for name in names if name not in as_fields and name not in of_scores and name != "kind"]
    left = [name for name in left if name not in INDEX_COLUMNS or name in chosen]
    named = [name for name in left if name in chosen or ours[name] in chosen]
    if kind != "prediction":
        return RecordColumns(kind, as_fields, named if chosen else left, [], [])
    groups = [name for name in left if ours[name] in defaults.groups and name not in named]
    features = named if chosen else [name for name in left if name not in groups and not {name, ours[name]} & defaults.left_out]
    extras = [name for name in left if name not in features and name not in groups]
    return RecordColumns(kind, as_fields, features, groups, extras, scores)


def _named_scores(ours: dict[str, str], defaults: LoadDefaults, where: str) -> dict[str, str]:
    """The column of each class, if each class has its own column: as the caller states, else as the version was registered.

    A column that is the only score gets the name `score` in `ours`. Raises UsageError if a column or a class is missing.
    """
    theirs = {our: name for name, our in ours.items()} | {name: name for name in ours}
    pairs = [split_score_option(option, theirs) for option in defaults.scores]
    if absent := [column for _, column in pairs if column not in theirs]:
        near = difflib.get_close_matches(absent[0], ours, n=1, cutoff=0.5)
        advice = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(list(ours)[:12])}"
        raise UsageError("a score column is not in the file", where=where, got=absent[0], attempt=advice)
    if len(pairs) == 1 and pairs[0][0] is None:
        ours[theirs[pairs[0][1]]] = "score"
        return {}
    if any(name is None for name, _ in pairs):
        raise UsageError("the score columns have no classes", where=where, expected="--score class=COLUMN for each class")
    if not pairs and "score" not in ours.values():
        if (column := defaults.score_column) in theirs and column not in {*KINDS["prediction"].fields, *(defaults.features or ())}:
            ours[theirs[column]] = "score"
        pairs = [(name, column) for name, column in defaults.class_scores if column in theirs]
    found = {str(name): theirs[column] for name, column in pairs}
    require_score_of_each_class(defaults.classes, found, list(ours), where)
    return found


def require_column_names(names: list[str], where: str) -> None:
    """Raise UsageError if a column has no name."""
    if not any(names) or "" in names:
        raise UsageError(
            "a column has no name", where=where, got=", ".join(names[:8]), attempt="Give every column a name in the first line"
        )


def quoted_texts(texts: pa.Array) -> pa.Array:
    """Each text as a JSON string, quoted and escaped."""
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
    """The value as JSON text."""
    return json.dumps(json_value(value), ensure_ascii=False, allow_nan=False)
