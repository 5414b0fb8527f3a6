"""The findings about a question set of the sample's vendor on the morning after a night."""

from datetime import UTC, timedelta

import pandas as pd

from observability.analyzers.serving import vendors
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from sample_data import vendor
from tests.support.vendor_nights import BUDGET, COLUMNS, no_events

FIELDS = ("item", "set", "round", "answers", "expected", "refused", "well_formed", "rubric", "currency", "source")


def findings_of_night(answers: pd.DataFrame, night: int, budget: float | None = None) -> dict[str, Finding]:
    """The findings by metric, from the rows of one of the vendor's files. budget: per month, in USD."""
    rows = answers.assign(
        at=answers["at"].dt.tz_localize(None).astype("datetime64[us]"),
        features=pd.Series(answers[list(vendor.FEATURES)].to_dict("records"), answers.index),
        extra=pd.Series(answers[[name for name in FIELDS if name in answers]].to_dict("records"), answers.index),
    )[list(COLUMNS)]
    end = (vendor.FIRST + timedelta(days=night, hours=6)).astimezone(UTC)
    budgets = {} if budget is None else {vendor.MODEL: (budget, "USD")}
    context = Context(EVERY_MODEL, NO_VERSION, Window("", end - timedelta(days=7), end), end, BUDGET, {"budgets": budgets})
    frames = {"answers": rows[rows["at"] < end.replace(tzinfo=None)], "events": no_events()}
    return {each.metric: each for each in vendors.analyze(frames, context)}
