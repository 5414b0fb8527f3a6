"""The dashboards that the person may see, and the dates of a scope."""

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import load
from observability.dashboard.boards.boards import Board, read_boards
from observability.dashboard.scope import Scope
from observability.dashboard.sign_in import current_person
from observability.dashboard.state_cache import cached_by_state
from observability.server.access import Person
from observability.store.types.decision_items import DecisionItem


def stored_dashboards() -> tuple[DecisionItem, ...]:
    """The dashboards, their figures and texts, and the shared views that the signed-in person may see, as stored items."""
    return _dashboards_of(current_person())


@cached_by_state(64, computed=False)
def _dashboards_of(person: Person) -> tuple[DecisionItem, ...]:
    """The dashboards of the signed-in person. They are cached per person, because another person with the same rights may see other
    dashboards.
    """
    del person
    return load.store().dashboards()


def visible_boards() -> list[Board]:
    """The dashboards that the person who is signed in may see, by name."""
    return read_boards(stored_dashboards())


def scope_dates_words(scope: Scope) -> str | None:
    """The dates of a scope's time range; None if they differ between its models, or are unknown."""
    models = [model.name for model in load.catalog().models if scope.model in (None, model.name)]
    try:
        found = {(window.start, window.end) for window in (load.window(scope, name) for name in models)}
    except ObservabilityError:
        return None
    return formatting.format_span(*found.pop()) if len(found) == 1 else None
