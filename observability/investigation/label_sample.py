"""A random sample of a window's predictions to label, as a worksheet.

The sample consists of the ids with the smallest hashes, so it is the same for everybody, and a larger sample contains a smaller one.
Predictions that have a label are left out. The worksheet has the format of the relabel queue: it shows the inputs, but neither label nor
score. After it is filled in, `load --kind label` accepts it.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from observability.core.finding import iso
from observability.core.questions import Sample
from observability.core.window import Window
from observability.investigation.relabel_queue import WORKSHEET_COLUMNS

if TYPE_CHECKING:
    from observability.store.engine import Engine

NOTE = "random sample of the window"


def label_sample_worksheet(engine: "Engine", window: Window, rows: int, now: datetime) -> pd.DataFrame:
    """A worksheet with those predictions in a random sample of a window that have no label.

    window: a window of one model. rows: size of the sample, including labelled predictions. now: time that the new labels get.
    """
    features = engine.catalog().model(window.model).features()
    sample = engine.ask(Sample("outcomes", ("id", "label_value", "label", *(each.reference for each in features)), rows), window)
    open_rows = sample[(sample["label"].fillna(-1) < 0) & sample["label_value"].isna()]
    head = {"id": open_rows["id"], "model": window.model, "at": iso(now), "value": "", "annotator": "", "source": "human", "note": NOTE}
    return pd.DataFrame({name: head[name] for name in WORKSHEET_COLUMNS} | {each.reference: open_rows[each.reference] for each in features})
