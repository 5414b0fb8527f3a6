"""How does a person take the model card along?"""

from datetime import UTC, datetime

from observability.core.catalog import Model
from observability.dashboard import frame, load
from observability.export import card as export_card


def button(model: Model) -> None:
    """The card as one HTML file, made when it is asked for and stamped with the last review."""
    now = datetime.now(UTC)
    frame.download(
        export_card.file_name(model.name, now),
        lambda: export_card.page(load.store(), model.name, now),
        "Model card",
        key="model-card",
        kind="text/html",
    )
