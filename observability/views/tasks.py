"""What needs a person: findings to act on, models nobody registered, lines that were rejected, loading that failed?"""

from typing import Any

import streamlit as st

from observability.views import links, load, text
from observability.views.fleet import Standing, claim
from observability.views.fleet import listed as listed_words
from observability.views.scope import Scope
from observability.views.table import column, row, table

COLUMNS = (column("what", "What", wide=True),)
WORDS = {
    "data/quality": "Values to repair, {}",
    "serving/drift": "Inputs that moved far, {}",
    "serving/performance": "Metrics that fell, {}",
    "serving/latency": "Slow or failing answers, {}",
    "trust/fairness": "Groups treated less alike than before, {}",
    "trust/explanations": "Features that drive it otherwise than before, {}",
    "operations/cost": "Costs that rose, {}",
    "operations/energy": "Energy that rose, {}",
}


def listed(standings: list[Standing], scope: Scope) -> None:
    """The list, or that there is nothing to do."""
    rows = [*to_act_on(standings, scope), *to_register(standings), *of_the_store()]
    if rows:
        table("tasks", "What needs a person", COLUMNS, rows, compact=True)
    else:
        st.markdown(f"{text.status('ok')}: nothing needs a person.")


def to_act_on(standings: list[Standing], scope: Scope) -> list[dict[str, Any]]:
    """Findings to act on, one row an analyzer and model: the claim itself where it is one, else who they are about."""
    rows = []
    for each in standings:
        acts = [one for one in each.findings if one.severity == "act"]
        for analyzer in dict.fromkeys(one.analyzer for one in acts):
            same = [one for one in acts if one.analyzer == analyzer]
            said = (
                same[0].because
                if len(same) == 1
                else WORDS.get(analyzer, "Look at {}").format(f"{len(same)}: {listed_words([claim(one) for one in same])}")
            )
            rows.append(row({"what": {"s": "act", **links.of_finding(same[0], scope, said), "sub": f"{each.model.name}, {analyzer}"}}))
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
