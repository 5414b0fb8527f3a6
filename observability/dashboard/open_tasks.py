"""What needs a person: incidents to act on, models nobody registered, lines that were rejected, loading that failed?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, load
from observability.dashboard.overview import incidents
from observability.dashboard.overview.fleet import Standing
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, row, table
from observability.incidents.grouping import Incident

COLUMNS = (column("what", "What", wide=True), incidents.SOURCE)


def listed(standings: list[Standing], others: Sequence[Incident], scope: Scope) -> None:
    """The list, or that there is nothing to do. others: incidents of no serving model's window, as those of training runs."""
    rows = [*to_act_on(standings, others, scope), *to_register(standings), *of_the_store()]
    if rows:
        table("tasks", "What needs a person", COLUMNS, rows, compact=True)
    else:
        st.markdown(f"{formatting.status('ok')}: nothing needs a person.")


def to_act_on(standings: list[Standing], others: Sequence[Incident], scope: Scope) -> list[dict[str, Any]]:
    """Incidents to act on, one row each: what to look at first, since when, after what, and where it seems to come from."""
    fresh = {one.id for each in standings for one in each.incidents if each.is_new(one)}
    found = [*(one for each in standings for one in each.incidents), *others]
    rows = []
    for one in found:
        if one.severity == "act":
            said = incidents.what(one, scope)
            beside = [one.model, "new" if one.id in fresh else None, said["sub"]]
            rows.append(row({"what": {"s": "act", **said, "sub": " · ".join(filter(None, beside))}, "source": incidents.source(one)}))
    return rows


def to_register(standings: list[Standing]) -> list[dict[str, Any]]:
    """Versions that serve and nobody registered."""
    rows = []
    for each in standings:
        served = {one.version for one in each.findings}
        for version in each.model.versions:
            if not version.registered and version.name in served:
                words = f"Register {each.model.name} version {version.name}: it serves without a reference, so drift cannot be judged"
                rows.append(
                    row(
                        {
                            "what": {"s": "watch", **links.link(words, "add_model")},
                        }
                    )
                )
    return rows


def of_the_store() -> list[dict[str, Any]]:
    """Loading that failed."""
    failure = load.loader_failure()
    if not failure:
        return []
    return [
        row(
            {
                "what": {"s": "act", **links.link(f"Loading stopped: {failure}", "store")},
            }
        )
    ]
