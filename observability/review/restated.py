"""Compute figures of a frozen week again, with all records that have arrived since then, mainly late labels."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from observability.core.errors import NotFoundError
from observability.core.weeks import Week
from observability.monitoring import check
from observability.review.fleet_strip import COMPARED, Cell, strip_cell
from observability.review.snapshot import Body, settings_from
from observability.store.engine import Store

RESTATED = ("performance", "labels")
"""Cells whose values labels can still change after the week."""
ANALYZERS = COMPARED[:1]
SMALLEST = 1e-9


@dataclass(frozen=True)
class Restated:
    """One figure that has changed. was, is_now: cells as in the fleet table."""

    model: str
    cell: str
    was: Cell
    is_now: Cell

    @property
    def sentence(self) -> str:
        """The change as a sentence, with the numbers of rows before and after."""
        was, now = self.was, self.is_now
        return f"{self.model}: {was.get('value')} became {now.get('value')}, on {now.get('n', 0):,} rows instead of {was.get('n', 0):,}."


def restated_since_freezing(store: Store, body: Body, now: datetime) -> list[Restated]:
    """Figures of a frozen week that later data change, computed with the settings that held when it was frozen. Models that were removed
    are left out.
    """
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
            is_now = strip_cell(ANALYZERS[0], was["metric"], report.findings, ())
            if is_now["value"] is not None and (
                was["value"] is None or abs(is_now["value"] - was["value"]) > SMALLEST or is_now["n"] != was["n"]
            ):
                changed.append(Restated(part["model"], name, was, is_now))
    return changed
