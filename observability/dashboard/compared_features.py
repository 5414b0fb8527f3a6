"""A note on the features that the analyzer of a page compares if a model has very many."""

from collections.abc import Sequence

from observability.core.analyzer import MOST_INPUTS
from observability.core.settings import ModelSettings
from observability.dashboard.widgets import plain_caption


def compared_features_note(names: Sequence[str], settings: ModelSettings) -> None:
    """Write how many of very many features are compared and how they are chosen; nothing if all are compared."""
    if len(names) > MOST_INPUTS:
        chosen = "most important by the settings" if settings.importance else "first"
        plain_caption(f"Of {len(names):,} features the {MOST_INPUTS} {chosen} are compared.")
