"""What do the numbers of a frozen week look like with all that is known since, late labels above all?"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import NotFoundError
from observability.core.weeks import Week
from observability.monitoring import check
from observability.review.fleet_strip import COMPARED, Cell, figure
from observability.review.snapshot import Body, settings_from

if TYPE_CHECKING:
    from observability.store.db.database import Store

RESTATED = ("performance", "labels")
"""Cells that labels move after the week is over."""
ANALYZERS = COMPARED[:1]
SMALLEST = 1e-9


@dataclass(frozen=True)
class Restated:
    """One figure that is another now. was, is_now: cells as in the strip."""

    model: str
    cell: str
    was: Cell
    is_now: Cell

    @property
    def sentence(self) -> str:
        """The change in words, with the labels behind it."""
        return f"{self.model}: {self.was.get('value')} became {self.is_now.get('value')}, on {self.is_now.get('n', 0):,} rows instead of {self.was.get('n', 0):,}."


def restated(store: "Store", body: Body, now: datetime) -> list[Restated]:
    """Every figure of a frozen week that what arrived since changes, by the settings it was frozen with. A model that was removed is left out."""
    week = Week.parse(body["week"])
    changed = []
    for part in body["models"]:
        try:
            with store.under({part["model"]: settings_from(part)}):
                report = check.check(
                    store, model=part["model"], start=week.start, end=week.end, now=now, only=ANALYZERS, with_records=False
                )
        except NotFoundError:
            continue
        for name in RESTATED:
            was: dict[str, Any] = part["strip"][name]
            if not was.get("metric"):
                continue
            is_now = figure(ANALYZERS[0], was["metric"], report.findings, ())
            if is_now["value"] is not None and (
                was["value"] is None or abs(is_now["value"] - was["value"]) > SMALLEST or is_now["n"] != was["n"]
            ):
                changed.append(Restated(part["model"], name, was, is_now))
    return changed
