"""Find where planted marks (canaries) come back: predictions, labels and annotations that hold a canary of an earlier export, as a text or
as a row.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.core.view_names import quoted_identifier
from observability.core.window import Window
from observability.records.kinds import OWN_SOURCE
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table
from observability.store.query.source import snapshot_cursor

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

MIN_LETTERS = 8
"""Minimum number of characters: a shorter mark is not searched for, because it would occur by chance."""
MIN_VALUES = 3
"""Minimum number of values of a planted row: a row with fewer values is not searched for."""
MAX_ROWS = 1000
"""Maximum number of sightings of one canary in a model."""
COLUMNS = ("canary", "exported", "recipient", "model", "version", "environment", "id", "at", "place", "record")
ASKED = ("question", "prompt", "messages")
"""Further fields of a prediction that hold the question: a canary in them does not come from the model."""
SHOWN = (*ASKED, "text")
"""Further fields of a label or an annotation that hold what a person or a model was shown."""


def _further(without: Iterable[str]) -> str:
    """SQL that joins the further fields into one text, without some of them."""
    return f"json_merge_patch(extra, {sql_literal(json.dumps(dict.fromkeys(without)))})::VARCHAR"


LABEL_TEXTS = {"the label": "value", "the annotator": "annotator", "a further field of the label": _further(SHOWN)}
ANNOTATION_TEXTS = {"the annotation": "label", "the suggestion": "suggestion", "a further field of the annotation": _further(SHOWN)}


def canary_sightings(store: "Database", window: Window) -> "DataFrame":
    """Predictions, labels and annotations of the window, of one model or of all, that hold a canary of an earlier export; in order of time.

    Columns: `canary`; `exported` (naive UTC) and `recipient` (None if not named) of its export; `model` ("" for annotations); `version` and
    `environment` ("" for labels and annotations); `id` (for an annotation, the item); `at` (naive UTC); `place` in words; `record`
    (prediction, label or annotation). References are left out. A planted text counts anywhere in a text of the record if the case is equal.
    It does not count in the question to a model that serves elsewhere, or in what was shown to an annotator. A row counts if all of its
    values are equal to the values of a prediction.
    """
    import pandas as pd

    parts = []
    with snapshot_cursor(store) as cursor:
        canaries = planted_canaries(cursor, window)
        for model in store.catalog().models if canaries else ():
            if window.model not in ("", model.name):
                continue
            streams = cursor.execute("SELECT stream, version, environment FROM streams WHERE key = ?", [model.key]).fetchall()
            named = {stream: (version, environment) for stream, version, environment in streams if environment != "reference"}
            for canary in canaries:
                part = _sightings_of(cursor, model, canary, window, named)
                if len(part):
                    both = part["stream"].map(named)
                    named_rows = part.assign(**_planted(canary), model=model.name, record="prediction")
                    parts.append(named_rows.assign(version=both.str[0], environment=both.str[1]))
                parts += _texts_in(cursor, model_table("labels", model.key), LABEL_TEXTS, canary, window, model.name, "label")
        for canary in canaries if window.model == "" else ():
            parts += _texts_in(cursor, "annotations", ANNOTATION_TEXTS, canary, window, "", "annotation")
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    found = found.assign(**{name: found[name].astype("datetime64[us]") for name in ("at", "exported")})
    return found.sort_values(["at", "canary", "model", "id"], ignore_index=True)[list(COLUMNS)]


def planted_canaries(cursor: Cursor, window: Window) -> list[dict[str, Any]]:
    """The canaries of exports that had happened and arrived by the window's end: name, text or row, `at` (the time of the export) and
    recipient.

    Rows that the product drew for training do not count, because the owner has them in a file.
    """
    known = "" if window.as_of is None else " AND arrived <= $as_of"
    values: dict[str, Any] = {"end": naive_utc(window.end), "own": OWN_SOURCE}
    values |= {} if window.as_of is None else {"as_of": naive_utc(window.as_of)}
    rows = cursor.execute(
        f"""SELECT "at", canaries, recipient FROM events WHERE what = 'export' AND canaries IS NOT NULL
        AND extra->>'source' IS DISTINCT FROM $own AND "at" < $end{known} ORDER BY "at" """,
        values,
    ).fetchall()
    found: dict[str, dict[str, Any]] = {}
    for at, text, recipient in rows:
        listed = json.loads(text)
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, Mapping) and _is_searchable(each):
                name = str(each.get("name") or "canary")
                found.setdefault(f"{name} {each.get('text')} {each.get('row')}", {**each, "name": name, "at": at, "recipient": recipient})
    return list(found.values())


def _planted(canary: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that identify the canary that a row holds, and the export of the canary."""
    return {"canary": canary["name"], "exported": canary["at"], "recipient": canary["recipient"]}


def _is_searchable(canary: Mapping[str, Any]) -> bool:
    """Whether a canary is distinct enough to be searched for."""
    text, row = canary.get("text"), canary.get("row")
    return (isinstance(text, str) and len(text) >= MIN_LETTERS) or (isinstance(row, Mapping) and len(row) >= MIN_VALUES)


def _sightings_of(cursor: Cursor, model: Model, canary: Mapping[str, Any], window: Window, named: Mapping[int, Any]) -> "DataFrame":
    """Rows of a model that hold one canary: id, at, stream, place."""
    import pandas as pd

    condition, place, values = _text_condition(model, canary) if isinstance(canary.get("text"), str) else _row_condition(model, canary)
    if condition is None or not named:
        return pd.DataFrame()
    known = "" if window.as_of is None else " AND arrived <= $as_of"
    values |= {"start": naive_utc(window.start), "end": naive_utc(window.end), "out": canary["at"]}
    values |= {} if window.as_of is None else {"as_of": naive_utc(window.as_of)}
    return cursor.execute(
        f"""SELECT id, "at", stream, {place} AS place FROM {model_table("predictions", model.key)}
        WHERE stream IN ({", ".join(map(str, named))}) AND "at" >= $start AND "at" < $end AND "at" > $out{known} AND ({condition})
        ORDER BY "at", id LIMIT {MAX_ROWS}""",
        values,
    ).df()


def _texts_in(
    cursor: Cursor, table: str, texts: Mapping[str, str], canary: Mapping[str, Any], window: Window, model: str, record: str
) -> "list[DataFrame]":
    """Rows of labels or annotations that hold a planted text, as a list with one frame. The list is empty for a planted row, or if no row
    holds the text.
    """
    if not isinstance(canary.get("text"), str):
        return []
    condition, place = _contains(texts)
    known = "" if window.as_of is None else " AND arrived <= $as_of"
    values = {"start": naive_utc(window.start), "end": naive_utc(window.end), "out": canary["at"], "text": canary["text"]}
    values |= {} if window.as_of is None else {"as_of": naive_utc(window.as_of)}
    name = "id" if record == "label" else "item"
    found = cursor.execute(
        f"""SELECT {name} AS id, "at", {place} AS place FROM {table}
        WHERE "at" >= $start AND "at" < $end AND "at" > $out{known} AND ({condition}) ORDER BY "at", id LIMIT {MAX_ROWS}""",
        values,
    ).df()
    return [found.assign(**_planted(canary), model=model, version="", environment="", record=record)] if len(found) else []


def _contains(texts: Mapping[str, str]) -> tuple[str, str]:
    """A condition that one of several texts (by their names in words) holds `$text`, and SQL for the name of the first such text."""
    parts = {words: f"contains({column}, $text)" for words, column in texts.items()}
    cases = " ".join(f"WHEN {part} THEN {sql_literal(words)}" for words, part in parts.items())
    return " OR ".join(f"coalesce({part}, false)" for part in parts.values()), f"CASE {cases} END"


def _text_condition(model: Model, canary: Mapping[str, Any]) -> tuple[str | None, str, dict[str, Any]]:
    """The condition that a text of a row holds the canary, the place in words, and the parameters."""
    fields = {"the answer": "prediction", "the subject": "subject", "a further field": _further(ASKED)}
    fields |= {f"feature {each.name}": quoted_identifier(each.column) for each in model.columns if each.kind == "category"}
    return *_contains(fields), {"text": canary["text"]}


def _row_condition(model: Model, canary: Mapping[str, Any]) -> tuple[str | None, str, dict[str, Any]]:
    """The condition that a row has all values of a planted row; None if the model lacks one of its columns."""
    row = canary.get("row")
    columns = {each.name: each for each in model.columns}
    if not isinstance(row, Mapping) or not set(row) <= set(columns):
        return None, "NULL", {}
    parts: list[str] = []
    values: dict[str, Any] = {}
    for place, (name, value) in enumerate(row.items()):
        column, key = quoted_identifier(columns[name].column), f"value_{place}"
        if value is None:
            parts.append(f"{column} IS NULL")
        elif columns[name].kind == "number":
            parts.append(f"{column} = $" + key)
            values[key] = float(value) if isinstance(value, int | float) else float("nan")
        else:
            parts.append(f"{column}::VARCHAR = $" + key)
            values[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return " AND ".join(parts), sql_literal("all values of the row"), values
