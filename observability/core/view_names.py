"""Names of the SQL views of a model (docs/views.md), as they are written in a query.

A view of one model is named `"MODEL.VIEW"`, such as `"loan.predictions"`. SQL compares names without regard to case. So if two models,
features or classes differ only in case, the name of the later one includes its number.
"""

from observability.core.catalog import Model


def quoted_identifier(name: str) -> str:
    """An SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def view_name(model: Model, view: str) -> str:
    """The name of a view of a model, in double quotes: `"loan.predictions"`."""
    return quoted_identifier(f"{model.name_in_sql or model.name}.{view}")
