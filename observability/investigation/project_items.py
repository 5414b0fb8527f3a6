"""The items of a labelling project that were landed without a prediction, and the labels on which its annotators agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.investigation.relabel_queue import relabel_queue
from observability.metrics.crowd_quality import crowd_of, newest_answers
from observability.metrics.labelling_items import settled_labels_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

ALWAYS = Window("", EPOCH, EPOCH.replace(year=9999))
MAX_STORED = 1_000_000
"""Maximum number of records of one project that are read."""


@dataclass(frozen=True)
class StoredItem:
    """The newest record of an item."""

    content: Mapping[str, Any]
    classes: list[str] | None
    guideline: str | None


def stored_items(store: "Store", project: str, item: str | None = None) -> dict[str, StoredItem]:
    """The items of a project by name, or one of them."""
    only = (("project", project), *([("item", item)] if item is not None else []))
    question = Records("item", ("item", "content", "classes", "guideline"), ever=True, rows=MAX_STORED, only=only)
    rows = store.ask(question, ALWAYS)
    return {
        str(name): StoredItem(content, _class_names(classes), None if guideline is None else str(guideline))
        for name, content, classes, guideline in rows.astype(object).where(rows.notna(), None).itertuples(index=False)
    }


def _class_names(classes: Any) -> list[str] | None:
    """Classes as texts; None if the record has none."""
    return [str(name) for name in classes] if classes is not None and len(classes) else None


def project_model(store: "Store", project: str) -> Model | None:
    """The classifier whose predictions the project labels; None if it has none."""
    models = [model for model in store.catalog().models if model.classes]
    return next((model for model in models if project in (model.settings.projects or (model.name,))), None)


def stated_project(store: "Store", project: str) -> StoredItem:
    """The classes and the guideline of a project, from its newest item that has classes."""
    question = Records("item", ("content", "classes", "guideline"), ever=True, rows=1, only=(("project", project),))
    rows = store.ask(question, ALWAYS).to_dict("records")
    found = rows[0] if rows else {}
    classes = found.get("classes")
    return StoredItem({}, _class_names(classes if isinstance(classes, list) else None), found.get("guideline") or None)


def project_classes(store: "Store", project: str) -> tuple[str, ...]:
    """The labels that items of a project may get: the classes of its model, else those of its newest item."""
    model = project_model(store, project)
    return model.classes if model is not None else tuple(stated_project(store, project).classes or ())


def project_settled_labels(store: "Store", project: str) -> "DataFrame":
    """The settled labels of a project with the content of their items. Items that a case asks to relabel are left out.

    The columns are the same as in `settled_labels_table`.
    """
    question = Records("annotation", ("item", "annotator", "at", "label"), ever=True, rows=MAX_STORED, only=(("project", project),))
    answers, model = newest_answers(store.ask(question, ALWAYS)), project_model(store, project)
    asked = relabel_queue(store, model.name) if model is not None else ()
    contents = {name: each.content for name, each in stored_items(store, project).items()}
    again = {each.prediction for each in asked if each.state == "open"}
    return settled_labels_table(crowd_of(answers, project_classes(store, project)), contents, again)
