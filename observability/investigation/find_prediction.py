"""Which prediction is meant: by its id, in one model or over all of them?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.investigation.logged_prediction import Row, row_from
from observability.store.query import listing
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from observability.store.db.database import Store


def opened(store: "Store", prediction_id: str, *, model: str | None = None, as_of: datetime | None = None) -> Row:
    """The prediction of that id, of one model or of all. Where several models hold the id, it is the newest (`also_in` names the others).

    as_of: labels that came later are left out. Raises NotFoundError where no model holds it, or it had not arrived by `as_of`.
    """
    catalog = store.catalog()
    models = [catalog.model(model)] if model else list(catalog.models)
    with snapshot(store):
        found: list[Row] = []
        for each in models:
            row = of_model(store, each, prediction_id, as_of)
            if row is not None:
                found.append(row)
    if not found:
        where = f"in {model}" if model else f"in any of the {len(models)} models" if models else "in the store, which holds no model yet"
        raise NotFoundError(
            f"prediction {prediction_id[:200]!r} is not {where}",
            attempt="Check the id; lines that were refused are on the page Store" + ("; it may belong to another model" if model else ""),
        )
    newest = max(found, key=lambda row: (row.environment == "production", row.at, row.model.name))
    others = tuple(row.model.name for row in found if row is not newest)
    return row_from(newest.stored, newest.model, as_of, others) if others else newest


def of_model(store: "Store", model: Model, prediction_id: str, as_of: datetime | None) -> Row | None:
    """The prediction in one model, None where it is not there (yet)."""
    try:
        stored = listing.row(store, model.name, prediction_id)
    except NotFoundError:
        return None
    row = row_from(stored, model, as_of)
    return None if as_of is not None and row.arrived > as_of.astimezone(UTC) and row.environment != "reference" else row
