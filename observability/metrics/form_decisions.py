"""Decisions on a form: the form in which a model version is served (its precision or runtime), or the form in which a dataset is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.questions import Records
from observability.core.time import aware_utc

if TYPE_CHECKING:
    from pandas import DataFrame

FORM_DECISIONS = Records("decision", ("decision", "at", "author", "statement", "model", "version", "state", "extra"), ever=True)


@dataclass(frozen=True)
class FormDecision:
    """A decision on a form that is still in force.

    id: id of the decision. at: when it was made. dataset: the dataset that is to be stored in the form; None if the decision is about the
    form in which a model version is served.
    """

    id: str
    at: datetime
    author: str
    statement: str
    form: str
    model: str | None
    version: str | None
    dataset: str | None

    def serves(self, model: str, version: str) -> bool:
        """Whether the decision chooses the form in which this model version is served."""
        return self.dataset is None and (self.model, self.version) == (model, version)


def form_decisions(decisions: "DataFrame") -> list[FormDecision]:
    """Return the decisions in force that choose a form, oldest first.

    Parameters
    ----------
    decisions : DataFrame
        The answer to FORM_DECISIONS. Records of one id are entries of one decision: each field has its newest value.

    Returns
    -------
    list of FormDecision
        Withdrawn decisions, and those whose further field `form` is no text, are left out.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    for row in decisions.sort_values("at", kind="stable").to_dict("records"):
        known = {str(name): value for name, value in row.items() if value is not None and value == value}
        entries.setdefault(str(row["decision"]), []).append(known)
    found = []
    for name, (first, *later) in entries.items():
        stated = {field: value for entry in (first, *later) for field, value in entry.items()}
        extra = stated.get("extra")
        form, dataset = (extra.get(field) if isinstance(extra, Mapping) else None for field in ("form", "dataset"))
        if isinstance(form, str) and stated.get("state", "standing") == "standing":
            model, version, of = (None if each is None else str(each) for each in (stated.get("model"), stated.get("version"), dataset))
            author, said = str(first.get("author") or ""), str(stated.get("statement") or "")
            found.append(FormDecision(name, aware_utc(first["at"]), author, said, form, model, version, of))
    return found


def served_form_decisions(decisions: "DataFrame") -> dict[tuple[str, str], FormDecision]:
    """Return, for each model version, the newest decision on the form in which it is served.

    Parameters
    ----------
    decisions : DataFrame
        As in `form_decisions`.

    Returns
    -------
    dict of (str, str) to FormDecision
        By model and version.
    """
    made = form_decisions(decisions)
    return {(each.model, each.version): each for each in made if each.dataset is None and each.model and each.version}


def stored_form_decisions(decisions: "DataFrame") -> dict[str, FormDecision]:
    """Return, for each dataset, the newest decision on the form in which it is stored.

    Parameters
    ----------
    decisions : DataFrame
        As in `form_decisions`.

    Returns
    -------
    dict of str to FormDecision
        By the name of the dataset.
    """
    return {each.dataset: each for each in form_decisions(decisions) if each.dataset is not None}
