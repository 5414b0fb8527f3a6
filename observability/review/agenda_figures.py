"""The figure of an agenda item, from the frozen week: the metric by day, the reference next to the current value, and the worst slice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from observability.core.finding import needs_action
from observability.core.formatting import format_value, metric_title, slice_in_words, value_with_interval
from observability.incidents.daily_values import Band, DailyLine, DayValue, comparison_band, daily_line, daily_values
from observability.review.agenda import Item

Body = dict[str, Any]
BESIDE = {"reference": "reference", "past": "own past", "level": "stated level", "peers": "peers"}
WITHOUT_SLICES = "operations/"
"""Analyzers of cost, energy and controllers. A slice with bad outcomes does not explain their findings."""


@dataclass(frozen=True)
class ItemFigure:
    """The figure of an agenda item: its leading finding in one model. days: empty if the metric has no daily values. worst: the frozen
    finding about the model's worst slice, or None; always None for a finding about operations.
    """

    model: str
    finding: Body
    days: tuple[DayValue, ...]
    band: Band | None
    worst: Body | None

    @property
    def title(self) -> str:
        """The title of the metric, with its subject unless the subject is the model."""
        title, subject = metric_title(self.finding["metric"]), self.finding["subject"]
        return title if subject in ("model", "score") else f"{title} of {subject}"

    @property
    def baseline(self) -> float | None:
        """The value with which the current value is compared; None if there is none."""
        value = self.finding["evidence"].get("baseline")
        return float(value) if isinstance(value, int | float) else None

    @property
    def limit(self) -> float | None:
        """The limit, if it is a single number; else None."""
        limit = self.finding["limit"]
        return float(limit) if isinstance(limit, int | float) else None

    @property
    def line(self) -> DailyLine:
        """The metric by day for a static picture."""
        finding = self.finding
        return daily_line(self.title, self.model, finding["because"], self.days, limit=finding["limit"], unit=finding["unit"])

    @property
    def comparison(self) -> str:
        """The comparison in words: `MAE: reference 20.1, this week 37.8 (35.5 to 40.0), n = 1,204.`"""
        finding, unit = self.finding, self.finding["unit"]
        against = BESIDE[finding["against"]]
        before = f"{against} {format_value(self.baseline, unit)}, " if self.baseline is not None else ""
        now = value_with_interval(finding["value"], finding["low"], finding["high"], unit)
        return f"{self.title}: {before}this week {now}, n = {finding['n']:,}."

    @property
    def worst_words(self) -> str | None:
        """The worst slice with its value; None if no slice needs action."""
        if self.worst is None:
            return None
        value = value_with_interval(self.worst["value"], self.worst["low"], self.worst["high"], self.worst["unit"])
        return f"Worst slice: {slice_in_words(self.worst['slice'])}, {metric_title(self.worst['metric'])} {value}, n = {self.worst['n']:,}."


def item_figure(body: Mapping[str, Any], item: Item) -> ItemFigure | None:
    """The figure of an item in the first of its models that has a frozen finding; None for items without a finding, such as decisions and
    actions.
    """
    for model in item.models:
        part = next((part for part in body["models"] if part["model"] == model), None)
        named = item.of(model).get("finding")
        finding = next((finding for finding in (part or {}).get("findings", ()) if finding["id"] == named), None)
        if part is None or finding is None or finding["value"] is None:
            continue
        sliced = "serving/slices" if not finding["analyzer"].startswith(WITHOUT_SLICES) else None
        of_slices = (each for each in part["findings"] if each["analyzer"] == sliced and each["slice"] and each["value"] is not None)
        worst = next((each for each in of_slices if needs_action(each["severity"]) and each["id"] != finding["id"]), None)
        days, evidence = daily_values(finding["analyzer"], finding["evidence"]), finding["evidence"]
        return ItemFigure(model, finding, tuple(days), comparison_band(finding["analyzer"], evidence), worst)
    return None
