"""What does each step of the meeting show? Tables of the frozen week; every row leads to the live page in the same dates."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import needs_action
from observability.dashboard import empty_states, links
from observability.dashboard.operations import rules
from observability.dashboard.review import (
    action_items,
    challengers,
    decisions,
    fairness_status,
    fleet,
    incidents,
    load_review,
    more_labels,
    not_judged,
)
from observability.dashboard.review import inputs as review_inputs
from observability.dashboard.review import label_cost as review_spending
from observability.dashboard.review.fleet import scope_of, told
from observability.dashboard.review.performance import behind, beside, draw, headline
from observability.dashboard.review.review import Room
from observability.dashboard.table import Cell, column, row, table


def performance(room: Room) -> None:
    """The main metric of each model over the week, the labels behind it, and how it stands to last week."""
    for part in room.body["models"]:
        cell, finding = part["strip"]["performance"], headline(part)
        if finding is None:
            continue
        st.subheader(formatting.plain(part["model"]), anchor=False)
        st.markdown(f"{formatting.status(cell['severity'])} {formatting.sentence(cell['because'] or '')}")
        words = {"yes": "It is statistically different from last week.", "no": "It is not statistically different from last week.", "cannot tell": "Whether it differs from last week cannot be told."}  # fmt: skip
        ripe = part["strip"]["labels"]
        st.caption(
            formatting.plain(
                words[cell["differs"]]
                + (f" {formatting.share(ripe['value'])} of the week is labelled." if ripe["value"] is not None else "")
            )
        )
        beside(part)
        draw(part, finding)
    if any(headline(part) for part in room.body["models"]):
        st.subheader("Slices and estimates", anchor=False)
        listed(
            room,
            ("serving/slices", "serving/why_changed", "serving/estimated_performance"),
            "slices",
            "No slice is worse than the rest, and no estimate needs a person.",
        )
    else:
        empty_states.nothing(
            "No model's performance could be measured in this week.", "Log labels, or look at the estimates on the live pages."
        )


def inputs(room: Room) -> None:
    """Inputs that moved or broke, worst first."""
    review_inputs.ranked(room)
    listed(
        room,
        ("serving/drift", "data/quality", "serving/multivariate_drift", "trust/explanations"),
        "inputs",
        "No input moved or broke in this week.",
    )


def fairness(room: Room) -> None:
    """Groups, explanations, robustness and privacy; what a risk owner accepted."""
    listed(room, ("trust/fairness", "serving/calibration"), "fairness", "No group is treated less alike than before.")
    fairness_status.criteria(room)
    fairness_status.audits(room)
    due = [each for each in room.body["agenda"] if each["sort"] in ("signature", "audit")]
    for each in due:
        st.markdown(f"{formatting.status(each['severity'])} {formatting.plain(each['title'])}")
    decisions.sign(room)


def alerts(room: Room) -> None:
    """The alerts themselves: what was told, what became of it, was it useful."""
    found = room.body["alerts"]
    missed(found.get("missed", []))
    if not found["alerts"]:
        empty_states.nothing(
            "No alert was open in this week.",
            "Live models are watched while the dashboard runs; the page Alerts says how, and where messages go.",
        )
        rules_of(found)
        return
    columns = (column("what", "What", wide=True), column("model", "Model", width="9rem"), column("state", "State", width="9rem"), column("useful", "Useful?", width="6rem"))  # fmt: skip
    rows = [
        row(
            {
                "what": {"s": each["severity"], **links.link(each["title"], "alerts", None, incident=each["incident"]), "sub": f"opened {each['opened_at'][:16].replace('T', ' ')}, told {formatting.plural(each['told'], 'time')}"},
                "model": {"t": each["model"] or formatting.DASH},
                "state": {"t": each["state"], "sub": f"until {each['until'][:10]}" if each["until"] else None},
                "useful": {"t": {None: formatting.DASH, True: "yes", False: "no"}[each["useful"]]},
            }
        )
        for each in found["alerts"]
    ]  # fmt: skip
    table("alerts", "Alerts of the week", columns, rows)
    st.caption(formatting.plain(found["sentence"]))
    rules_of(found)


def missed(events: list[dict[str, Any]]) -> None:
    """What people reported and no rule said."""
    for each in events:
        st.markdown(f"{formatting.status('watch', 'Missed')} {formatting.plain(each['model'])}: {formatting.plain(each['title'])}, reported {each['at'][:10]}; no finding of the week says act.")  # fmt: skip


def rules_of(found: dict[str, Any]) -> None:
    """The rules by what became of their alarms until the week's end, and those that never raised one."""
    fired, silent = found.get("rules", []), found.get("silent", [])
    if fired:
        rules.used(fired)
    if silent:
        rules.silent(silent)
    target = links.link("Change a rule, and see first what it would have said", "rules", None)
    st.button(target["t"], type="tertiary", icon=":material/rule:", key="go-rules", on_click=links.go, args=(target["go"],))


def spending(room: Room) -> None:
    """Labels, cost and energy."""
    fields = [each for each in ("labels", "cost", "energy", "carbon") if all(each in part["strip"] for part in room.body["models"])]
    columns = [column("model", "Model", strong=True), *(column(name, {"labels": "Labelled", "cost": "Cost per 1,000", "energy": "Energy per 1,000", "carbon": "Carbon per 1,000"}[name], align="right") for name in fields)]  # fmt: skip
    rows = []
    for part in room.body["models"]:
        cells = {
            name: {
                **told(part["strip"][name], None, f" {part['strip'][name]['currency'] or ''}"),
                "sub": review_spending.spent_before(part["strip"][name]),
            }
            for name in fields
        }
        rows.append(row({"model": links.link(part["model"], "cost", scope_of(room, part["model"])), **cells}))
    table("spending", "Labels, cost and energy", columns, rows)
    listed(
        room,
        ("operations/cost", "operations/energy", "data/labels"),
        "spending-findings",
        "Neither cost nor energy nor labels need a person.",
    )
    review_spending.labelling(room)
    more_labels.more_labels(room)
    if room.body["records"]:
        st.subheader("Training and labelling", anchor=False)
        for each in room.body["records"]:
            st.markdown(f"{formatting.status(each['severity'])} {formatting.sentence(each['because'])}")


def changes(room: Room) -> None:
    """Versions that ask to be promoted, what happened in the week, and what is coming."""
    challengers.draw(room)
    for name, title in (("ledger", "In this week"), ("coming", "Coming in the two weeks after it")):
        st.subheader(title, anchor=False)
        entries = room.body[name]
        if not entries:
            st.caption("Nothing was logged.")
            continue
        columns = (column("at", "When (UTC)", width="10rem"), column("what", "What", wide=True), column("model", "Model", width="9rem"))
        rows = [
            row(
                {
                    "at": {"t": each["at"][:16].replace("T", " ")},
                    "what": {"t": each["title"], "sub": each["sort"]},
                    "model": {"t": each["model"] or "all"},
                }
            )
            for each in entries
        ]
        table(name, title, columns, rows, compact=True)


def listed(room: Room, analyzers: tuple[str, ...], key: str, good: str) -> None:
    """Frozen findings of some analyzers that need a person."""
    columns = (column("what", "What", wide=True), column("model", "Model", width="9rem"), column("value", "Value", align="right", width="9rem"), column("n", "n", align="right", width="5rem"))  # fmt: skip
    rows = []
    for part in room.body["models"]:
        for each in part["findings"]:
            if each["analyzer"] in analyzers and needs_action(each["severity"]):
                target = behind(room, part, each)
                reach = (
                    f"{formatting.amount(each['low'], each['unit'])} to {formatting.amount(each['high'], each['unit'])}"
                    if each["low"] is not None and each["high"] is not None
                    else None
                )
                rows.append(
                    row(
                        {
                            "what": {"s": each["severity"], **target, "sub": f"{formatting.metric_title(each['metric'])}, {each['subject']}"},
                            "model": {"t": part["model"]},
                            "value": {"t": formatting.amount(each["value"], each["unit"]), "sub": reach, "mark": None if each["basis"] == "measured" else each["basis"]},
                            "n": {"t": f"{each['n']:,}"},
                        }
                    )
                )  # fmt: skip
    if rows:
        table(key, "Findings that need a person", columns, rows[:40])
        if len(rows) > 40:
            st.caption(f"The first 40 of {len(rows):,}; the JSON holds all of them.")
    not_judged.told(room, analyzers, None if rows else good)


def since(room: Room) -> None:
    """What later labels made of the frozen figures."""
    found = load_review.restated(room.review)
    if not found:
        return
    with st.expander(f"Restated since: {formatting.plural(len(found), 'figure')}", icon=":material/update:"):
        st.caption("What arrived after the week's end changes these figures; the numbers of the week stay as they were frozen.")
        columns = (
            column("model", "Model"),
            column("figure", "Figure"),
            column("was", "Then", align="right"),
            column("is", "Now", align="right"),
        )
        rows = [
            row(
                {
                    "model": {"t": each.model},
                    "figure": {"t": formatting.metric_title(each.was["metric"])},
                    "was": counted_rows(each.was),
                    "is": counted_rows(each.is_now),
                }
            )
            for each in found
        ]
        table("restated", "Restated since", columns, rows, compact=True)


def counted_rows(cell: dict[str, Any]) -> Cell:
    """A figure with the rows behind it."""
    return {**told(cell), "sub": f"n = {cell['n']:,}"}


DRAWN: dict[str, Callable[[Room], None]] = {
    "promises": action_items.promises,
    "fleet": fleet.fleet,
    "incidents": incidents.incidents,
    "performance": performance,
    "inputs": inputs,
    "fairness": fairness,
    "alerts": alerts,
    "spending": spending,
    "changes": changes,
}
"""What stands between the agenda and the decisions, by step."""
