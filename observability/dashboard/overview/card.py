"""The button that downloads the model card."""

from datetime import UTC, datetime

from observability.core.catalog import Model
from observability.dashboard import frame, load
from observability.export import card as export_card


def model_card_button(model: Model) -> None:
    """Draw the download of the model card, which is one HTML file, made on request and marked with the last review."""
    now = datetime.now(UTC)
    frame.download_button(
        export_card.card_file_name(model.name, now),
        lambda: export_card.model_card_html(load.store(), model.name, now),
        "Model card",
        key="model-card",
        kind="text/html",
    )
