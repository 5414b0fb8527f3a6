"""The choice of a form for a dataset on the storage page, and the result of the dataset's next audit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard import links
from observability.dashboard.form_decision import FormToDecide, form_decision_section, made_form_decisions
from observability.dashboard.scope import Scope
from observability.metrics.form_decisions import FormDecision
from observability.metrics.stored_forms import EXACT, StorageAudit, latest_storage_audits


def stored_form_decision(dataset: str, rows: pd.DataFrame, model: str | None, found: Sequence[Finding], scope: Scope) -> None:
    """Draw the decisions on the form of a dataset with the results of later audits, and the boxes for the next decision.

    rows: the logged datasets with their audits. model: the model whose answers the audit compared. found: findings; those about the dataset
    that need action are stored as evidence.
    """
    audit = next((each for each in latest_storage_audits(rows) if each.dataset == dataset), None)
    if audit is None or not audit.forms:
        return
    evidence = [links.page_address("storage", scope, dataset=dataset)]
    evidence += [each.id for each in found if each.needs_action and each.evidence.get("dataset") == dataset]
    fields: Mapping[str, Any] = {"dataset": dataset} | ({"model": model} if model else {})
    forms = [EXACT, *(form.name for form in audit.forms)]
    choice = FormToDecide(f"Store {dataset} in form", "Form to store", forms, audit.in_use, fields, evidence)
    made = made_form_decisions(lambda each: each.dataset == dataset)
    st.subheader("Decision", anchor=False)
    form_decision_section(choice, made, lambda each: found_since(each, audit) if each == made[0] else "")


def found_since(decision: FormDecision, audit: StorageAudit) -> str:
    """Words that say whether the newest audit of a dataset agrees with a decision on its form."""
    if audit.at <= decision.at:
        return "not audited since"
    used = "in use" if audit.in_use == decision.form else f"{audit.in_use} in use instead"
    return f"{used}, audit of {formatting.format_day(audit.at)}"
