"""The scope of a page: model, version, environment, window and slice.

The scope is stored in the address (observability/dashboard/scope_bar.py). `model`, `version`, `environment` and `slice` are in boxes that
are bound to the address; `window`, `from` and `to` have no such box. A relative window (the last 7 days) stays relative when the reader
changes the page; a copied link has absolute times (`observability/dashboard/links.py`).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from observability.core.errors import UsageError
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Environment, Slice

BIND: Final = "query-params"
"""The option that binds the choice in a box to a parameter of the address."""
Span = Literal["live", "1h", "24h", "7d", "28d", "90d", "1y", "all", "dates"]
SPANS: dict[Span, str] = {
    "live": "Live",
    "1h": "Last hour",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "28d": "Last 28 days",
    "90d": "Last 90 days",
    "1y": "Last year",
    "all": "Everything",
    "dates": "Chosen dates",
}
WINDOWS: dict[str, Span] = {words: span for span, words in SPANS.items()}
"""Time range by the words that are shown; the address holds the same words. Codes (`28d`) in an address are understood too."""
DAYS: dict[Span, float] = {"live": 1 / 24, "1h": 1 / 24, "24h": 1, "7d": 7, "28d": 28, "90d": 90, "1y": 365}
"""Length of the relative windows in days."""
HOURLY: tuple[Span, ...] = ("1h", "24h")
"""Relative windows that end at a full hour. The live window ends now; all other windows end with a day."""
YEAR = timedelta(weeks=52)
"""The step back by a year, to the same day of the week."""
TIME_KEYS = ("window", "from", "to")
KEYS = ("model", "version", "environment", "window", "from", "to", "slice")
"""Parameters of the address that make up the scope; also its keys in the session's state."""


SERVED: tuple[Environment, ...] = tuple(each for each in get_args(Environment) if each != "reference")
"""Environments in which predictions are made, production first."""


@dataclass(frozen=True)
class Scope:
    """The scope of a page.

    model: None for the whole fleet. environment: None for production. start, end: the chosen instants (UTC), used only if span is "dates";
    one of the two may be missing.
    """

    model: str | None = None
    version: str | None = None
    span: Span = "7d"
    start: datetime | None = None
    end: datetime | None = None
    slice: Slice | None = None
    environment: Environment | None = None

    def parameters(self) -> dict[str, str]:
        """The scope as parameters of an address; parts that are not chosen are left out."""
        parts = {
            "model": self.model,
            "version": self.version,
            "environment": self.environment,
            "window": SPANS[self.span] if self.span != "7d" else None,
            "from": address_time(self.start) if self.span == "dates" and self.start else None,
            "to": address_time(self.end) if self.span == "dates" and self.end else None,
            "slice": str(self.slice) if self.slice else None,
        }
        return {key: value for key, value in parts.items() if value}

    def about(self, model: str | None) -> "Scope":
        """The same window for another model. Version, environment and slice are dropped, because they belong to the model that they were
        chosen for.
        """
        return self if model == self.model else replace(self, model=model, version=None, environment=None, slice=None)

    def at(self, start: datetime, end: datetime) -> "Scope":
        """The same scope, with absolute times."""
        return replace(self, span="dates", start=start, end=end)


def scope_from_state(state: Any) -> Scope:
    """The scope that the widgets hold (session state, or a mapping in tests). A slice that cannot be read is left out."""
    span = WINDOWS.get(state.get("window") or "", "7d")
    dates = span == "dates"
    try:
        part = Slice.parse(state.get("slice"))
    except UsageError:
        part = None
    environment = state.get("environment") if state.get("model") else None
    return Scope(
        model=state.get("model"),
        version=state.get("version") if state.get("model") else None,
        span=span,
        start=_aware(state.get("from")) if dates else None,
        end=_aware(state.get("to")) if dates else None,
        slice=part if state.get("model") else None,
        environment=environment if environment in SERVED and environment != "production" else None,
    )


def _aware(instant: datetime | None) -> datetime | None:
    """The instant of a widget, which holds it as a naive time; on every page this time is UTC."""
    return aware_utc(instant) if instant else None


def address_time(instant: datetime) -> str:
    """An instant (or a naive UTC time) as the address holds it: UTC to the minute, without a zone, the format that Streamlit's date and
    time box writes.
    """
    return naive_utc(instant).strftime("%Y-%m-%dT%H:%M")


def parse_instant(text: str) -> datetime | None:
    """An instant from the address, as a naive UTC time to the minute for the widget. Accepts a date, a time without zone (UTC) and RFC
    3339; None for other text.

    A plus sign that the URL turned into a blank is read as a plus sign.
    """
    for written in (text.strip(), text.strip().replace(" ", "+")):
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            continue
        return naive_utc(found).replace(second=0, microsecond=0)
    return None
