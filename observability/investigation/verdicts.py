"""What did people conclude about this prediction, and what did annotators say of the item?"""

from collections import Counter
from datetime import timedelta
from typing import Any

import pandas as pd

from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.investigation.case_parts import Look
from observability.store.query import records

MOST_VERDICTS = 200
MOST_VOTES = 1_000


def verdicts(look: Look) -> tuple[dict[str, Any], ...]:
    """Verdicts about this prediction, newest first, each as its latest record says; what was withdrawn is left out."""
    row = look.row
    asked = Records("verdict", ever=True, rows=MOST_VERDICTS, only=(("prediction", row.id),))
    found: dict[str, dict[str, Any]] = {}
    for each in records.fetch(look.store, asked, ever(look, row.model.name)).to_dict("records"):
        said: dict[str, Any] = {str(name): value for name, value in each.items() if value is not None and value is not pd.NaT}
        found[each["verdict"]] = {**found.pop(each["verdict"], {}), **said}
    return tuple(each for each in reversed(found.values()) if each.get("state") != "withdrawn")


def votes(look: Look) -> Counter[str]:
    """What annotators said of the item of this id in the projects that the model's settings name: label, how often; each one's newest counts."""
    projects = set(look.row.model.settings.projects)
    if not projects:
        return Counter()
    asked = Records("annotation", ever=True, rows=MOST_VOTES, only=(("item", look.row.id),))
    frame = records.fetch(look.store, asked, ever(look, ""))
    newest = {(each["project"], each["annotator"]): str(each["label"]) for each in frame.to_dict("records") if each["project"] in projects}
    return Counter(newest.values())


def ever(look: Look, model: str) -> Window:
    """Everything up to the instant of the question."""
    return Window(model, EPOCH, max(look.now, EPOCH) + timedelta(seconds=1), as_of=look.as_of)
