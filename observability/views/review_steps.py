"""What does each step of the meeting show? Tables of the frozen week; every row leads to the live page in the same dates."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from observability.export_case import SOURCES, WRONG
from observability.measure import HEADLINE
from observability.review.week import Week
from observability.views import charts_time, empty, frame, links, load_review, text
from observability.views.review import Room
from observability.views.scope import Scope
from observability.views.table import Cell, column, row, table

ANSWERS = {"yes": "ok", "no": "act", "cannot tell": "unknown"}
FLEET = (
    column("model", "Model", width="9rem", strong=True),
    column("status", "Status", width="6.5rem"),
    column("outcome", "Main metric", width="10rem"),
    column("before", "Last week", width="6.5rem", help="And whether the two differ by more than chance"),
    column("drift", "Inputs", width="8.5rem"),
    column("fairness", "Fairness", width="7.5rem"),
    column("latency", "p99", align="right"),
    column("budget", "Error budget", align="right", help="How much of it is left"),
    column("labels", "Labelled", align="right"),
    column("cost", "Per 1,000", align="right", help="Cost, and energy below it"),
)


def promises(room: Room) -> None:
    """Last week's promises: owner, day, and whether the metric moved."""
    found = room.body["promises"]
    if not found:
        empty.nothing(
            "No action of an earlier week is open.",
            "Actions that a review ends in stand here a week later, with whether their metric moved.",
        )
        return
    columns = (
        column("what", "What", wide=True),
        column("who", "Owner", width="8rem"),
        column("due", "Until", width="8rem"),
        column("moved", "Did it move?", wide=True),
    )
    rows = []
    for each in found:
        moved = each["moved"]
        rows.append(
            row(
                {
                    "what": {"t": each["text"], "sub": f"{each['model'] or 'no model'}, promised in {each['since']}, {each['state']}"},
                    "who": {"t": each["owner"] or text.DASH},
                    "due": {"t": each["due"][:10] if each["due"] else text.DASH, **({"s": "act", "sub": "overdue"} if each["overdue"] else {})},
                    "moved": {"s": ANSWERS[moved["answer"]], "t": moved["answer"].capitalize(), "sub": moved["sentence"]} if moved else {"t": text.DASH, "sub": each["why"]},
                }
            )
        )  # fmt: skip
    table("promises", "What was promised", columns, rows)


def fleet(room: Room) -> None:
    """One row a model."""
    table("fleet", "The fleet in this week", FLEET, [fleet_row(room, each) for each in room.body["models"]])


def fleet_row(room: Room, part: dict[str, Any]) -> dict[str, Any]:
    """One model's cells."""
    cells = part["strip"]
    main = cells["performance"] if cells["performance"]["value"] is not None else cells["estimated"]
    return row(
        {
            "model": {**links.link(part["model"], "model", scope_of(room, part["model"])), "sub": f"{text.short(part['served'])} served"},
            "status": {"s": part["severity"], "t": text.STATUS_WORDS[part["severity"]], "sub": text.plural(len(part["incidents"]), "incident") if part["incidents"] else None},
            "outcome": told(main, text.metric_title(main["metric"]) if main["metric"] else None),
            "before": before(main),
            "drift": counted(cells["drift"], "stable", "moved"),
            "fairness": counted(cells["fairness"], "as before", "problems"),
            "latency": told(cells["latency"], None, " ms"),
            "budget": told(cells["error_budget"]),
            "labels": told(cells["labels"]),
            "cost": {**told(cells["cost"], None, f" {cells['cost']['currency'] or ''}"), **({"sub": text.amount(cells["energy"]["value"], "Wh")} if cells["energy"]["value"] is not None else {})},
        }
    )  # fmt: skip


def told(cell: dict[str, Any], sub: str | None = None, unit: str = "") -> Cell:
    """A frozen figure as a table's cell: its value, its mark unless it was measured, its interval and n in the tooltip."""
    if cell["value"] is None:
        return {"t": text.DASH}
    reach = f"{text.amount(cell['low'], cell['unit'])} to {text.amount(cell['high'], cell['unit'])}, " if cell["low"] is not None else ""
    return {
        "t": f"{text.amount(cell['value'], cell['unit'])}{unit}".strip(),
        "mark": cell["basis"] if sub or cell["basis"] != "measured" else None,
        "sub": sub,
        "title": f"{reach}n = {cell['n']:,}. {(cell['because'] or '').replace('`', '')}",
    }


def before(cell: dict[str, Any]) -> Cell:
    """Last week's figure, and whether this week's is another."""
    if not cell["before"]:
        return {"t": text.DASH}
    words = {"yes": "different", "no": "not different", "cannot tell": "cannot tell"}[cell["differs"]]
    return {"t": text.amount(cell["before"]["value"], cell["unit"]), "sub": words}


def counted(cell: dict[str, Any], good: str, bad: str) -> Cell:
    """How many findings of a kind need a person."""
    title = (cell["because"] or "").replace("`", "")
    if cell["bad"]:
        return {"s": cell["severity"], "t": f"{cell['bad']} of {cell['of']} {bad}", "title": title}
    return {"s": cell["severity"], "t": good if cell["severity"] == "ok" else "cannot tell" if cell["of"] else "not judged", "title": title}


def incidents(room: Room) -> None:
    """What hurt, where it seems to come from, and the verdicts about single cases."""
    columns = (column("what", "What", wide=True), column("model", "Model", width="9rem"), column("source", "Suspected source", width="9rem"), column("since", "Since", width="9rem"))  # fmt: skip
    rows = []
    for part in room.body["models"]:
        for each in part["incidents"]:
            event = each["event"]
            rows.append(
                row(
                    {
                        "what": {"s": each["severity"], **links.link(each["sentence"], "findings", scope_of(room, part["model"])), "sub": f"{text.plural(len(each['findings']), 'finding')}" + (f"; after {event['what']}: {event['text']}" if event else "")},
                        "model": {"t": part["model"]},
                        "source": {"t": each["source"] or "unknown"},
                        "since": {"t": each["onset"][:10] if each["onset"] else text.DASH},
                    }
                )
            )  # fmt: skip
    if rows:
        table("incidents", "Incidents of the week", columns, rows)
    else:
        st.markdown(f"{text.status('ok')}: no incident this week.")
    cases(room)


def cases(room: Room) -> None:
    """The single predictions that people looked into."""
    found, sentence = load_review.verdicts_of_week(room.body["week"])
    st.subheader("Bad cases that somebody looked into", anchor=False)
    if not found:
        target = links.link("Find a case of this week", "cases", None)
        st.button(target["t"], type="tertiary", icon=":material/search:", key="go-cases", on_click=links.go, args=(target["go"],))
        return
    if sentence:
        st.markdown(text.plain(sentence))
    columns = (column("case", "Prediction", wide=True), column("model", "Model", width="9rem"), column("source", "Source", width="10rem"), column("severity", "How bad", width="7rem"), column("by", "By", width="8rem"))  # fmt: skip
    rows = [
        row(
            {
                "case": {**links.link(each.prediction, "case", None, id=each.prediction, model=each.model), "sub": each.note},
                "model": {"t": each.model},
                "source": {"t": SOURCES[each.source], "sub": "seen before" if each.recurring else "new"},
                "severity": {"t": each.severity or text.DASH, "sub": WRONG.get(each.wrong or "")},
                "by": {"t": each.author},
            }
        )
        for each in found
    ]
    table("cases", "Verdicts about predictions of the week", columns, rows)


def performance(room: Room) -> None:
    """The main metric of each model over the week, the labels behind it, and how it stands to last week."""
    for part in room.body["models"]:
        cell, finding = part["strip"]["performance"], headline(room, part)
        if finding is None:
            continue
        st.subheader(text.plain(part["model"]), anchor=False)
        st.markdown(f"{text.status(cell['severity'])} {text.sentence(cell['because'] or '')}")
        words = {"yes": "It is statistically different from last week.", "no": "It is not statistically different from last week.", "cannot tell": "Whether it differs from last week cannot be told."}  # fmt: skip
        ripe = part["strip"]["labels"]
        st.caption(
            text.plain(
                words[cell["differs"]] + (f" {text.share(ripe['value'])} of the week is labelled." if ripe["value"] is not None else "")
            )
        )
        draw(room, part, finding)
    if not any(headline(room, part) for part in room.body["models"]):
        empty.nothing("No model's performance could be measured in this week.", "Log labels, or look at the estimates on the live pages.")


def headline(room: Room, part: dict[str, Any]) -> dict[str, Any] | None:
    """The frozen finding about a model's main metric."""
    name = HEADLINE.get(part["task"] or "")
    return next(
        (
            each
            for each in part["findings"]
            if each["analyzer"] == "serving/performance" and each["metric"] == name and each["value"] is not None
        ),
        None,
    )


def draw(room: Room, part: dict[str, Any], finding: dict[str, Any]) -> None:
    """The chart of a frozen metric."""
    import pandas as pd

    days = pd.DataFrame(finding["evidence"].get("by_day", []), columns=["period", "value", "low", "high", "labelled", "served"])
    if len(days) < 2:
        return
    days["period"] = pd.to_datetime(days["period"])
    limit = finding["limit"] if isinstance(finding["limit"], int | float) else None
    title = text.metric_title(finding["metric"])
    figure = charts_time.metric(
        days, name=title, unit=finding["unit"], limit=limit, baseline=finding["evidence"].get("baseline"), height=240
    )
    frame.chart(
        figure,
        days,
        key=f"week-{part['model']}",
        alt=f"{title} of {part['model']} by day. {finding['because']}".replace("`", ""),
        metrics=(finding["metric"],),
    )


def inputs(room: Room) -> None:
    """Inputs that moved or broke, worst first."""
    listed(
        room,
        ("serving/drift", "data/quality", "serving/multivariate_drift", "trust/explanations"),
        "inputs",
        "No input moved or broke in this week.",
    )


def fairness(room: Room) -> None:
    """Groups, explanations, robustness and privacy; what a risk owner accepted."""
    listed(room, ("trust/fairness", "serving/calibration"), "fairness", "No group is treated less alike than before.")
    due = [each for each in room.body["agenda"] if each["sort"] in ("signature", "audit")]
    for each in due:
        st.markdown(f"{text.status(each['severity'])} {text.plain(each['title'])}")


def alerts(room: Room) -> None:
    """The alerts themselves: what was told, what became of it, was it useful."""
    found = room.body["alerts"]
    if not found["alerts"]:
        empty.nothing(
            "No alert was open in this week.",
            "Live models are watched while the dashboard runs; the page Alerts says how, and where messages go.",
        )
        return
    columns = (column("what", "What", wide=True), column("model", "Model", width="9rem"), column("state", "State", width="9rem"), column("useful", "Useful?", width="6rem"))  # fmt: skip
    rows = [
        row(
            {
                "what": {"s": each["severity"], **links.link(each["title"], "alerts", None, incident=each["incident"]), "sub": f"opened {each['opened_at'][:16].replace('T', ' ')}, told {text.plural(each['told'], 'time')}"},
                "model": {"t": each["model"] or text.DASH},
                "state": {"t": each["state"], "sub": f"until {each['until'][:10]}" if each["until"] else None},
                "useful": {"t": {None: text.DASH, True: "yes", False: "no"}[each["useful"]]},
            }
        )
        for each in found["alerts"]
    ]  # fmt: skip
    table("alerts", "Alerts of the week", columns, rows)
    st.caption(text.plain(found["sentence"]))


def spending(room: Room) -> None:
    """Labels, cost and energy."""
    fields = ("labels", "cost", "energy")
    columns = [column("model", "Model", strong=True), *(column(name, {"labels": "Labelled", "cost": "Cost per 1,000", "energy": "Energy per 1,000"}[name], align="right") for name in fields)]  # fmt: skip
    rows = []
    for part in room.body["models"]:
        cells = {name: {**told(part["strip"][name]), "sub": spent_before(part["strip"][name])} for name in fields}
        rows.append(row({"model": links.link(part["model"], "cost", scope_of(room, part["model"])), **cells}))
    table("spending", "Labels, cost and energy", columns, rows)
    listed(
        room,
        ("operations/cost", "operations/energy", "data/labels"),
        "spending-findings",
        "Neither cost nor energy nor labels need a person.",
    )


def spent_before(cell: dict[str, Any]) -> str | None:
    """Last week's figure in words."""
    return f"last week {text.amount(cell['before']['value'], cell['unit'])}" if cell["before"] else None


def changes(room: Room) -> None:
    """What happened in the week and what is coming."""
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
            if each["analyzer"] in analyzers and each["severity"] in ("act", "watch"):
                page = each["analyzer"].rpartition("/")[2]
                target = links.link(each["because"], page if page in links.page_files() else "findings", scope_of(room, part["model"]))
                reach = (
                    f"{text.amount(each['low'], each['unit'])} to {text.amount(each['high'], each['unit'])}"
                    if each["low"] is not None and each["high"] is not None
                    else None
                )
                rows.append(
                    row(
                        {
                            "what": {"s": each["severity"], **target, "sub": f"{text.metric_title(each['metric'])}, {each['subject']}"},
                            "model": {"t": part["model"]},
                            "value": {"t": text.amount(each["value"], each["unit"]), "sub": reach, "mark": None if each["basis"] == "measured" else each["basis"]},
                            "n": {"t": f"{each['n']:,}"},
                        }
                    )
                )  # fmt: skip
    if rows:
        table(key, "Findings that need a person", columns, rows[:40])
        if len(rows) > 40:
            st.caption(f"The first 40 of {len(rows):,}; the JSON holds all of them.")
    else:
        st.markdown(f"{text.status('ok')}: {good}")


def scope_of(room: Room, model: str) -> Scope:
    """The frozen dates of a model, for a link to a live page."""
    week = Week.parse(room.body["week"])
    return Scope(model=model).at(week.start, week.end)


def since(room: Room) -> None:
    """What later labels made of the frozen figures."""
    found = load_review.restated(room.review)
    if not found:
        return
    with st.expander(f"Restated since: {text.plural(len(found), 'figure')}", icon=":material/update:"):
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
                    "figure": {"t": text.metric_title(each.was["metric"])},
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
    "promises": promises,
    "fleet": fleet,
    "incidents": incidents,
    "performance": performance,
    "inputs": inputs,
    "fairness": fairness,
    "alerts": alerts,
    "spending": spending,
    "changes": changes,
}
"""The steps that only show."""
