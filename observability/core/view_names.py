"""Names of the SQL views of a model and of their columns (docs/views.md), as a query writes them.

A view of one model is `"MODEL.VIEW"`, as `"loan.predictions"`. SQL compares names without regard to case, so where two models, features or
classes differ only in case, the later one has its number in its name.
"""

from collections.abc import Iterable

from observability.core.catalog import Model


def quoted_identifier(name: str) -> str:
    """An SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def view_name(model: Model, view: str) -> str:
    """The name of a view of a model, in double quotes: `"loan.predictions"`."""
    return quoted_identifier(f"{model.name_in_sql or model.name}.{view}")


def distinct_names(names: Iterable[tuple[int, str]]) -> list[str]:
    """Names that differ without regard to case. names: each with its number, which follows a name that another has already."""
    taken: set[str] = set()
    found = []
    for number, name in names:
        own = name if name.casefold() not in taken else f"{name} ({number})"
        while own.casefold() in taken:
            own += "'"
        taken.add(own.casefold())
        found.append(own)
    return found


def view_columns(model: Model) -> dict[str, str]:
    """The column of the view `predictions` for each feature, group and class of a model, by column reference, without quotes.

    `feature.NAME` and `group.NAME` are their own names; the probability of class k (`score.K`) is `probability.CLASS`.
    """
    own = [(column.id, column.reference) for column in model.columns]
    if model.task == "multiclass":
        own += [(index, f"probability.{name}") for index, name in enumerate(model.classes)]
    references = [column.reference for column in model.columns] + [f"score.{index}" for index in range(len(own) - len(model.columns))]
    return dict(zip(references, distinct_names(own), strict=True))
