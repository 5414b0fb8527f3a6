"""Names of the SQL views of a model and of their columns (docs/views.md), as a query writes them.

A view of one model is `"MODEL.VIEW"`, as `"loan.predictions"`. SQL compares names without regard to case, so if two models, features or
classes differ only in case, the name of the later one includes its number.
"""

from observability.core.catalog import Model


def quoted_identifier(name: str) -> str:
    """An SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def view_name(model: Model, view: str) -> str:
    """The name of a view of a model, in double quotes: `"loan.predictions"`."""
    return quoted_identifier(f"{model.name_in_sql or model.name}.{view}")
