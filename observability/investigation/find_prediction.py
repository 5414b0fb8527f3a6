"""Find a prediction by id, in one model or in all."""

from datetime import UTC, datetime

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.investigation.logged_prediction import Row, row_from
from observability.store.engine import Store


def prediction_row(
    store: Store,
    prediction_id: str,
    *,
    model: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    as_of: datetime | None = None,
) -> Row:
    """The prediction with an id, in one model or in any model. If several models have the id, the newest prediction is returned (`also_in`
    names the other models). If several predictions of the chosen version and environment have the id, the one in production is returned,
    else the newest (`other_answers` has the others).

    as_of: labels that arrived later are left out. Raises NotFoundError if no model has the id, or if the prediction had not arrived by
    `as_of`.
    """
    catalog = store.catalog()
    models = [catalog.model(model)] if model else list(catalog.models)
    with store.snapshot():
        found: list[Row] = []
        for removed in (False, True):  # search the store first; an id that is not there is searched in the lake of each model
            for candidate in [] if found else models:
                row = of_model(store, candidate, prediction_id, as_of, version, environment, removed=removed)
                if row is not None:
                    found.append(row)
    if not found:
        own = "".join([f"version {version} of " if version else "", f"{environment} of " if environment else ""])
        one = models[0].name if len(models) == 1 else None
        where = f"in {own}{one}" if one else f"in any of the {len(models)} models" if models else "in the store, which holds no model yet"
        attempt = f"Check the id{' and the model' if model else ''}; rejected lines are on the page Store"
        if any(store.unread_days(candidate.name) for candidate in models):
            attempt = "It may be in the lake, which cannot be read: bring it back from a copy of the lake"
        raise NotFoundError(f"prediction {prediction_id[:200]!r} is not {where}", attempt=attempt)
    newest = max(found, key=lambda row: (row.environment == "production", row.at, row.model.name))
    others = tuple(row.model.name for row in found if row is not newest)
    return row_from(newest.stored, newest.model, as_of, others) if others else newest


def of_model(
    store: Store,
    model: Model,
    prediction_id: str,
    as_of: datetime | None,
    version: str | None = None,
    environment: str | None = None,
    *,
    removed: bool = True,
) -> Row | None:
    """The prediction in one model; None if it does not exist (yet). removed: whether days whose records the retention removed are searched
    too.
    """
    try:
        stored = store.row(model.name, prediction_id, version, environment, removed=removed)
    except NotFoundError:
        return None
    row = row_from(stored, model, as_of)
    if as_of is None or row.arrived <= as_of.astimezone(UTC) or row.environment == "reference":
        return row
    earlier = [other for other in row.other_answers if version in (None, other.version) and environment in (None, other.environment)]
    return of_model(store, model, prediction_id, as_of, earlier[0].version, earlier[0].environment, removed=removed) if earlier else None
