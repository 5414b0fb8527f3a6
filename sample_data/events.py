"""Events logged with the predictions: the start of serving of each model, and public holidays.

A deployment is the instant at which a model of the fleet starts to serve, on the fleet's clock. Holidays of the United States are computed
from their rules (5 U.S.C. 6103). The sources hold no other events, so no others are logged.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from observability import Logger
from sample_data.spec import VERSION, Spec

SERVED_YEARS = {2013: ("flights-delay", "flights-late")}
MONDAY, THURSDAY = 0, 3


def nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th given weekday of a month; n = -1 is the last one."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def holidays(year: int) -> dict[date, str]:
    """The federal holidays of a year, on their own dates (not moved to a working day)."""
    return {
        date(year, 1, 1): "New Year's Day",
        nth(year, 1, MONDAY, 3): "Birthday of Martin Luther King, Jr.",
        nth(year, 2, MONDAY, 3): "Washington's Birthday",
        nth(year, 5, MONDAY, -1): "Memorial Day",
        date(year, 7, 4): "Independence Day",
        nth(year, 9, MONDAY, 1): "Labor Day",
        nth(year, 10, MONDAY, 2): "Columbus Day",
        date(year, 11, 11): "Veterans Day",
        nth(year, 11, THURSDAY, 4): "Thanksgiving Day",
        date(year, 12, 25): "Christmas Day",
    }


def log_events(specs: list[Spec], log: Logger) -> None:
    """Logs each model's deployment, and the holidays in the period in which the flight models serve."""
    for spec in specs:
        text = f"{spec.name} version {VERSION}, trained on {spec.trained_on}, deployed"
        log.event(what="deploy", text=text, at=spec.deployed, model=spec.name, version=VERSION, received_at=spec.deployed)
    for year, models in SERVED_YEARS.items():
        for day, name in holidays(year).items():
            at = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("America/New_York"))
            for spec in specs:
                if spec.name in models and at >= datetime.fromisoformat(spec.deployed):
                    log.event(what="note", text=f"Public holiday: {name}", at=at, model=spec.name, received_at=at)
