"""Register a sensitive group as a feature too if predictions carry it among their features.

A reference of flat rows does not show whether the model uses a sensitive column as input. If predictions carry the column as a feature, and
none ever carried it under `groups`, the column becomes a feature. Fairness and drift are then judged on it, with the edges of the
reference.
"""

import duckdb

from observability.core.catalog import Catalog, Column, Model
from observability.store.db.catalog_store import group_to_feature, reread_catalog, stream_numbers
from observability.store.db.schema import model_table
from observability.store.ingest.parse_types import ParsedBlock

Cursor = duckdb.DuckDBPyConnection


def promote_arrived_groups(writer: Cursor, parsed: ParsedBlock, catalog: Catalog) -> Catalog | None:
    """Promote the groups that a block carries as new features. Return the catalog afterwards, with which the block must be parsed again.

    None if the block carries no such group.
    """
    changed = set[str]()
    for model in filter(None, map(catalog.by_name.get, parsed.new_columns)):
        for role, name, _ in parsed.new_columns[model.name]:
            group = model.column(f"group.{name}")
            if role == "feature" and group is not None and _is_registered(model, group) and not _has_arrived(writer, model, group, parsed):
                group_to_feature(writer, model, group)
                changed.add(model.name)
    return reread_catalog(writer, catalog, changed) if changed else None


def _is_registered(model: Model, group: Column) -> bool:
    """Whether a version was registered with the group as a sensitive attribute."""
    return group.sensitive and any(group.reference in version.edges for version in model.versions)


def _has_arrived(writer: Cursor, model: Model, group: Column, parsed: ParsedBlock) -> bool:
    """Whether any prediction outside of references carries the group under `groups`."""
    table = parsed.predictions.get(model.name)
    if table is not None and group.reference in table.column_names and table[group.reference].null_count < table.num_rows:
        return True
    references = [number for (_, environment), number in stream_numbers(writer, model.key).items() if environment == "reference"]
    own = f"stream NOT IN ({', '.join(map(str, references))}) AND" if references else ""
    found = writer.execute(f"SELECT 1 FROM {model_table('predictions', model.key)} WHERE {own} {group.column} IS NOT NULL LIMIT 1")
    return found.fetchone() is not None
