"""Decisions about a form are merged by their id. Decisions about stored data do not count for the served form of a model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from observability.metrics.form_decisions import FORM_DECISIONS, form_decisions, served_form_decisions, stored_form_decisions

AT = datetime(2026, 3, 2)


def decision(name: str, day: int, **fields: Any) -> dict[str, Any]:
    """An entry of a decision."""
    return {"decision": name, "at": AT + timedelta(days=day), "author": f"Ana {day}"} | fields


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """The entries in the form in which the store returns them."""
    return pd.DataFrame(list(rows), columns=list(FORM_DECISIONS.columns or ()))


def test_the_newest_standing_decision_counts_and_entries_of_one_id_are_one_decision() -> None:
    about = {"model": "loan", "version": "3"}
    rows = [
        decision("a", 0, extra={"form": "int8"}, statement="Serve form int8: fast", **about),
        decision("b", 1, extra={"form": "fp16"}, **about),
        decision("c", 2, extra={"note": "about no form"}, **about),
        decision("b", 3, state="withdrawn"),
        decision("a", 4, statement="Serve form int8: fast and small"),
    ]
    (made,) = form_decisions(frame(*reversed(rows)))
    assert (made.form, made.at, made.author, made.statement) == (
        "int8",
        AT.replace(tzinfo=UTC),
        "Ana 0",
        "Serve form int8: fast and small",
    )
    assert served_form_decisions(frame(*rows)) == {("loan", "3"): made} and made.serves("loan", "3") and not made.serves("loan", "4")


def test_a_decision_on_stored_data_leaves_the_served_form_alone() -> None:
    stored = decision("s", 1, model="loan", version="3", extra={"form": "float16", "dataset": "people"})
    found = frame(decision("m", 0, model="loan", version="3", extra={"form": "int8"}), stored)
    assert {key: each.form for key, each in served_form_decisions(found).items()} == {("loan", "3"): "int8"}
    assert {key: each.form for key, each in stored_form_decisions(found).items()} == {"people": "float16"}
    assert [each.serves("loan", "3") for each in form_decisions(found)] == [True, False]
    assert form_decisions(frame()) == []
