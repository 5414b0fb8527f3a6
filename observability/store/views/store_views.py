"""The SQL views that every store has: models, versions, arrivals, the records of each kind, and a list of all views and their columns."""

from observability.core.view_names import quoted_identifier
from observability.records.kinds import KINDS
from observability.store.db.expressions import sql_literal
from observability.store.db.record_tables import kind_columns, kind_tables
from observability.store.views.model_views import MODEL_VIEWS, STORE, ViewColumn

MODELS = (
    ViewColumn("model", "name", "name of the model"),
    ViewColumn("task", "task", "`binary`, `regression` or `multiclass`; null where it was never registered"),
    ViewColumn("classes", "classes", "classes in the order of their index (binary: negative, positive), as JSON"),
    ViewColumn("settings", "settings", "what the owner decided, as JSON"),
    ViewColumn("sample", "sample", "whether it is of the sample fleet"),
    ViewColumn("created_at", "created_at", "when it was seen first"),
)
VERSIONS = (
    ViewColumn("model", "m.name", "name of the model"),
    ViewColumn("version", "v.version", "name of the version"),
    ViewColumn("registered_at", "v.registered_at", "when it was registered; null where it was only seen in predictions"),
    ViewColumn("features", "v.features", "features that it was registered with, as JSON"),
    ViewColumn("reference_rows", "v.reference_rows", "rows of its reference"),
    ViewColumn("in_sample", "v.in_sample", "whether the reference holds rows that the model was fitted on"),
)
ARRIVALS = (
    ViewColumn("model", "model", "name of the model; empty for records without one"),
    ViewColumn("kind", "kind", "kind of record"),
    ViewColumn("hour", "hour", "hour of arrival"),
    ViewColumn("sent", "sent", "true of lines that services sent, false of files that a person loaded"),
    ViewColumn("stored", "stored", "lines that were stored"),
    ViewColumn("duplicates", "duplicates", "lines that were stored already"),
    ViewColumn("rejected", "rejected", "lines that broke a rule"),
)
VIEW_COLUMNS = (
    ViewColumn("view", "view", "name of the view, without quotes"),
    ViewColumn("column", '"column"', "name of the column"),
    ViewColumn("meaning", "meaning", "what it holds"),
)
STORE_VIEWS: dict[str, tuple[str, tuple[ViewColumn, ...], str]] = {
    "models": ("every model", MODELS, f"{STORE}models"),
    "versions": ("every version", VERSIONS, f"{STORE}versions v JOIN {STORE}models m ON m.key = v.key"),
    "arrivals": ("lines that arrived, by hour", ARRIVALS, f"{STORE}arrivals"),
}
"""The views of the store: what a row is, the columns, and the source."""


def record_columns(kind: str) -> tuple[ViewColumn, ...]:
    """The columns of the view of a kind of record."""
    fields = KINDS[kind].fields
    own = {"arrived": "time at which the record arrived", "extra": "other fields of the record, as JSON"}
    own["sample"] = "true of records of the sample fleet, which belong to its models only"
    found = []
    for name in kind_columns(kind):
        if name == "content_hash":
            continue
        meaning = own.get(name) or fields[name].doc or name.replace("_", " ")
        found.append(ViewColumn(name, quoted_identifier(name), meaning))
    return tuple(found)


MASKED_RECORD_FIELDS: dict[str, tuple[str, ...]] = {
    "event": ("subject", "text", "canaries", "extra"),
    "action": ("text", "slice", "extra"),
    "what_if": ("changes", "note", "extra"),
    "verdict": ("note", "extra"),
    "saved_case": ("title", "note", "extra"),
    "dashboard": ("scope", "extra"),
    "pin": ("text", "scope", "parameters", "extra"),
}
"""Fields of records that may hold masked values of predictions, by kind; for all other kinds the field is `extra`."""


def masked_record_columns(kind: str) -> tuple[str, ...]:
    """The columns of the view of a kind of record that may hold masked values."""
    return MASKED_RECORD_FIELDS.get(kind, ("extra",))


def store_view_sql(*, masked: bool = False) -> dict[str, str]:
    """The SELECT statement of each view that every store has, by name; `view_columns` is left out. masked: without masked columns."""
    statements = {}
    for name, (_, columns, source) in STORE_VIEWS.items():
        statements[name] = f"SELECT {_selected(columns)} FROM {source}"
    for kind, table in kind_tables().items():
        hidden = masked_record_columns(kind) if masked else ()
        columns = tuple(column for column in record_columns(kind) if column.name not in hidden)
        statements[table] = f"SELECT {_selected(columns)} FROM {STORE}{table}"
    return statements


def view_columns_sql() -> str:
    """The SELECT statement of the view that lists every view and its columns; `MODEL` stands for a model's name."""
    rows = [(name, column) for name, (_, columns, _) in STORE_VIEWS.items() for column in columns]
    rows += [(table, column) for kind, table in kind_tables().items() for column in record_columns(kind)]
    rows += [(f"MODEL.{view}", column) for view, (_, columns) in MODEL_VIEWS.items() for column in columns]
    values = ", ".join(f"({sql_literal(view)}, {sql_literal(column.name)}, {sql_literal(column.meaning)})" for view, column in rows)
    return f"""SELECT {_selected(VIEW_COLUMNS)} FROM (VALUES {values}) held(view, "column", meaning)"""


def _selected(columns: tuple[ViewColumn, ...]) -> str:
    return ", ".join(f"{column.sql} AS {quoted_identifier(column.name)}" for column in columns)
