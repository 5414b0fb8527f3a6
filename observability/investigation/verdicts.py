"""Verdicts on a prediction, and the labels that annotators gave to its item."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pandas as pd

from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.investigation.case_parts import CaseInProgress

MAX_VERDICTS = 200
MAX_VOTES = 1_000


def verdicts_about(case: CaseInProgress) -> tuple[dict[str, Any], ...]:
    """Verdicts on this prediction, newest first; each verdict is in its latest state. Withdrawn verdicts are left out."""
    row = case.row
    question = Records("verdict", ever=True, rows=MAX_VERDICTS, only=(("prediction", row.id),))
    found: dict[str, dict[str, Any]] = {}
    for record in case.store.ask(question, window_until_now(case, row.model.name)).to_dict("records"):
        said: dict[str, Any] = {str(name): value for name, value in record.items() if value is not None and value is not pd.NaT}
        found[record["verdict"]] = {**found.pop(record["verdict"], {}), **said}
    return tuple(record for record in reversed(found.values()) if record.get("state") != "withdrawn")


def votes_of_item(case: CaseInProgress) -> Counter[str]:
    """How many annotators gave each label to the item with this id. Only each annotator's newest label counts, in the projects that the
    model's settings name.
    """
    projects = set(case.row.model.settings.projects)
    if not projects:
        return Counter()
    question = Records("annotation", ever=True, rows=MAX_VOTES, only=(("item", case.row.id),))
    frame = case.store.ask(question, window_until_now(case, ""))
    newest = {
        (record["project"], record["annotator"]): str(record["label"])
        for record in frame.to_dict("records")
        if record["project"] in projects
    }
    return Counter(newest.values())


def window_until_now(case: CaseInProgress, model: str) -> Window:
    """The window that ends at the time at which the case is requested."""
    return Window(model, EPOCH, max(case.now, EPOCH) + timedelta(seconds=1), as_of=case.as_of)
