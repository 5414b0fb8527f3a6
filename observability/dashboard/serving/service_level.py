"""How is a model's service level shown: objectives with what is left of their error budget, burn-rate alerts, and a form that sets it?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.dashboard import frame, load, person_name
from observability.dashboard.frame import Here
from observability.dashboard.overview import findings
from observability.dashboard.table import Cell, column, row, table
from observability.detection.latency_sentences import share as fine_share
from observability.export.csv import inert_csv
from observability.stats.service_level import BUDGET_DAYS, MINIMUM_REQUESTS, RULES, Rule

OBJECTIVES = {"model": "Availability", "latency_ms": "Latency"}
"""The subjects of findings about a service level, and what they are called."""
OBJECTIVE_COLUMNS = (
    column("objective", "Objective", strong=True),
    column("target", "Target", align="right"),
    column("achieved", "Achieved", align="right", help=f"Over the {BUDGET_DAYS} days to the window's end"),
    column("left", "Error budget left", align="right", help="With its 95 % interval"),
    column("n", "Requests", align="right"),
    column("status", "Status"),
)
BURN_COLUMNS = (
    column("objective", "Objective", strong=True),
    column("window", "Window"),
    column("burn", "Burn rate", align="right", help="1 spends the budget in exactly its four weeks"),
    column("limit", "Alert from", align="right"),
    column("bad", "Bad requests", align="right"),
    column("status", "Status"),
)


def objectives(here: Here, found: Sequence[Finding]) -> None:
    """Each objective with its target, what was achieved and the budget that is left; the burn-rate alerts; how to set a level."""
    settings = here.model.settings
    order = list(OBJECTIVES)
    budgets = sorted((each for each in found if each.metric == "error_budget_left"), key=lambda each: order.index(each.subject))
    if budgets:
        table("objectives", "Service level", OBJECTIVE_COLUMNS, [objective_row(each, settings) for each in budgets], compact=True)
        for each in budgets:
            st.caption(formatting.sentence(each.because))
        st.subheader("How fast the budget is spent", anchor=False)
        rates = {each.subject: each for each in sorted(found, key=lambda each: each.subject != "model") if each.metric == "burn_rate"}
        rows = [rule_row(rates[each.subject], rule, place) for each in budgets if each.subject in rates for place, rule in enumerate(RULES)]
        table("burns", "Burn-rate alerts at the window's end", BURN_COLUMNS, rows, compact=True)
        for one in rates.values():
            st.caption(formatting.sentence(one.because))
        with st.container(horizontal=True, gap="small"):
            frame.explain("error_budget_left", "burn_rate")
            frame.download("service-level.csv", lambda: level_csv([*budgets, *rates.values()]), "CSV", key="service-level-csv")
        st.caption(
            "Requests are known by the hour: the last hour stands for the 5 and 30 minutes of the usual short windows. Fewer than 100 requests, or than 5 bad ones, raise nothing."
        )
    else:
        st.markdown(f"{formatting.plain(here.model.name)} has no service level; it is held against its own four weeks before.")
    form(here, settings)


def objective_row(each: Finding, settings: ModelSettings) -> dict[str, Any]:
    """Target, achieved and budget of one objective."""
    target, achieved = each.evidence.get("target"), each.evidence.get("achieved")
    name = OBJECTIVES.get(each.subject, each.subject)
    wanted = fine_share(target) if target is not None else formatting.DASH
    if each.subject == "latency_ms":
        wanted = f"99 % within {settings.service_level_latency_ms:g} ms"
    elif target is None:
        wanted = fine_share(settings.service_level_availability)
    left: Cell = {"t": formatting.DASH}
    if each.value is not None:
        left = {"t": formatting.share(each.value), "sub": f"{formatting.share(each.low)} to {formatting.share(each.high)}",
                "bar": {"v": max(each.value, 0.0), "max": 1.0, "tone": "" if each.severity == "ok" else each.severity}}  # fmt: skip
    cells: dict[str, Cell] = {
        "objective": {"t": name}, "target": {"t": wanted}, "achieved": {"t": fine_share(achieved) if achieved is not None else formatting.DASH},
        "left": left, "n": {"t": f"{each.n:,}"},
        "status": {"s": each.severity, "t": formatting.STATUS_WORDS[each.severity], "title": each.because},
    }  # fmt: skip
    return row(cells)


def rule_row(each: Finding, rule: Rule, place: int) -> dict[str, Any]:
    """One burn-rate alert of one objective."""
    known = each.evidence.get("rules")
    window = f"{span(rule.long)}, and the last {span(rule.short)}" if rule.long != rule.short else span(rule.long)
    cells: dict[str, Cell] = {
        "objective": {"t": OBJECTIVES.get(each.subject, each.subject)},
        "window": {"t": window},
        "limit": {"t": f"{rule.factor:g}"},
    }
    if not known or known[place][3] is None:
        return row(
            cells
            | {
                "burn": {"t": formatting.DASH},
                "bad": {"t": formatting.DASH},
                "status": {"s": "unknown", "t": "Unknown", "title": each.because},
            }
        )
    _, _, _, burn, low, high, _, n, bad, on = known[place]
    severity, word = ("ok", "Off") if not on else ("act" if rule.factor >= 6 else "watch", "On")
    if n < MINIMUM_REQUESTS:
        severity, word = "unknown", "Too few requests"
    return row(
        cells
        | {
            "burn": {"t": formatting.number(burn), "sub": f"{formatting.number(low)} to {formatting.number(high)}"},
            "bad": {"t": f"{bad:,} of {n:,}"},
            "status": {"s": severity, "t": word},
        }
    )


def span(hours: int) -> str:
    """1 hour, 6 hours, 3 days."""
    return formatting.plural(hours, "hour") if hours < 48 else formatting.plural(hours // 24, "day")


def level_csv(found: Sequence[Finding]) -> str:
    """The claims about the service level as CSV."""
    return inert_csv(findings.as_frame(found))


def form(here: Here, settings: ModelSettings) -> None:
    """Sets the service level; an empty field is no level. It stands in the model's settings, as `settings MODEL` shows them."""
    available, limit = settings.service_level_availability, settings.service_level_latency_ms
    words = "Change the service level" if available is not None or limit is not None else "Set a service level"
    with st.popover(words, icon=":material/flag:"), st.form("service-level", border=False):
        st.markdown("What do those who ask this model rely on? From then on it is held against that.")
        percent = st.number_input(
            "Share of requests answered as they should be, in %", min_value=50.0, max_value=99.999, step=0.1, format="%0.3f",
            value=None if available is None else 100 * available, placeholder="as 99.9; empty: none",
        )  # fmt: skip
        ms = st.number_input(
            "Milliseconds within which 99 of 100 answers come",
            min_value=0.001,
            step=10.0,
            format="%0.3f",
            value=limit,
            placeholder="as 200; empty: none",
        )
        if st.form_submit_button("Save", type="primary"):
            chosen = None if percent is None else round(percent / 100, 7)
            save(here, replace(settings, service_level_availability=chosen, service_level_latency_ms=ms))


def save(here: Here, settings: ModelSettings) -> None:
    """Make a service level the model's, in its settings."""
    from observability.alerts import alarm_rules

    frame.guarded(lambda: alarm_rules.keep(load.store(), here.model.name, settings, author=person_name.known()))
    st.rerun()
