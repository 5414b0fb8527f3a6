"""How is an incident shown: one row, with its source, since when, after what, and how much comes with it?"""

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, links
from observability.dashboard.choice_box import choose
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import known

STATUS, MODEL, SOURCE = (
    column("severity", "Status", width="6.5rem"),
    column("model", "Model", width="9rem"),
    column(
        "source", "Suspect", width="6.5rem", help="Where it seems to come from: an input, the labels, the model, or the system around it"
    ),
)
WHAT = column(
    "what", "What", wide=True, help="The finding nearest to the source, since when, after which event, and how many findings come with it"
)
SOURCE_ICONS = {"input": ":material/input:", "label": ":material/label:", "model": ":material/network_node:", "system": ":material/dns:"}


def what(incident: Incident, scope: Scope) -> Cell:
    """The sentence, leading to the incident's findings, and what is known beside it."""
    about = scope.about(incident.model)
    return {**links.link(incident.sentence, "findings", about, incident=incident.id), "sub": facts(incident)}


def facts(incident: Incident) -> str:
    """Since when, after what, and with how many findings, in words."""
    more = len(incident.collateral)
    parts = [since(incident) or undated(incident), after(incident), f"with it {formatting.plural(more, 'finding')}" if more else None]
    return " · ".join(filter(None, parts)) or "nothing else comes with it"


def since(incident: Incident) -> str | None:
    """`since 31 Dec 2013`; of what is older than the days that were looked at, `since 3 Dec 2013 or earlier`."""
    if incident.onset is None:
        return None
    when = formatting.day(incident.onset) if incident.onset.hour == incident.onset.minute == 0 else formatting.minute(incident.onset)
    older = known(next((each for each in incident.findings if each.onset == incident.onset), incident.lead)) == "open"
    return f"since {when}{' or earlier' if older else ''}"


def undated(incident: Incident) -> str | None:
    """That nobody can say since when, of what needs somebody and stands in days; a training run has steps."""
    return "its days do not tell since when" if incident.severity == "act" and not incident.lead.subject.startswith("run:") else None


def after(incident: Incident) -> str | None:
    """The nearest earlier event, in words; nothing says that it is the reason."""
    if not incident.event:
        return None
    return f"after {incident.event.get('what', 'an event')}: {str(incident.event.get('text', ''))[:80]}"


def source(incident: Incident) -> Cell:
    """The likely source: icon and word."""
    return {"source": incident.source, "t": incident.source}


def told_once(found: Iterable[Incident]) -> list[tuple[Incident, tuple[str, ...]]]:
    """Incidents in the order in which they come, each with its model and with those of which the same is said: models that share an input share its faults."""
    models: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Incident] = {}
    for each in found:
        key = (each.severity, each.sentence)
        first.setdefault(key, each)
        models.setdefault(key, []).append(each.model or formatting.DASH)
    return [(first[key], tuple(dict.fromkeys(names))) for key, names in models.items()]


def named(models: Sequence[str]) -> str:
    """Models in words."""
    return " and ".join(filter(None, (", ".join(models[:-1]), models[-1])))


def as_row(incident: Incident, scope: Scope, *, models: Sequence[str] = (), selected: bool = False) -> dict[str, Any]:
    """One incident as a table's row. models: all of which it says the same."""
    others = [each for each in models if each != incident.model]
    return row(
        {
            "severity": {"s": incident.severity, "t": formatting.STATUS_WORDS[incident.severity]},
            "model": {
                "t": incident.model or formatting.DASH,
                "sub": f"and {named(others)}" if others else f"version {incident.lead.version}" if incident.lead.version else None,
            },
            "what": what(incident, scope),
            "source": source(incident),
        },
        selected=selected,
    )


def listed(
    key: str, caption: str, found: Sequence[Incident], scope: Scope, *, most: int = 12, models: bool = True, once: bool = False
) -> None:
    """A table of incidents, worst first as they come. once: what is said of several models stands in one row."""
    if not found:
        empty_states.nothing_to_report()
        return
    rows = [as_row(each, scope, models=names) for each, names in (told_once(found) if once else ((each, ()) for each in found))]
    table(key, caption, [STATUS, *([MODEL] if models else []), WHAT, SOURCE], rows[:most])
    if len(rows) > most:
        everything = links.link(f"The worst {most} of {len(rows):,}. Show all of them.", "findings", scope)
        st.button(
            everything["t"], type="tertiary", icon=":material/checklist:", key=f"{key}-all", on_click=links.go, args=(everything["go"],)
        )


def counted(found: Sequence[Incident]) -> str | None:
    """`1 incident` to act on; those to watch apart from them. None where there is none."""
    acts = sum(each.severity == "act" for each in found)
    watched = len(found) - acts
    if acts:
        return formatting.plural(acts, "incident") + (f"\n{watched} to watch" if watched else "")
    return formatting.plural(watched, "incident") if watched else None


def chooser(found: Sequence[Incident]) -> Incident | None:
    """A box to open one incident; its id stands in the address, and one that is not there is said."""
    by_id = {each.id: each for each in found}
    label = {key: f"{formatting.STATUS_WORDS[each.severity]}: {each.sentence}".replace("`", "")[:140] for key, each in by_id.items()}
    chosen = choose(
        "incident", "Open an incident", list(by_id), words=lambda key: label.get(key, key), placeholder="All, folded",
        missing="The link names the incident {}, which is not in this window.",
    )  # fmt: skip
    return by_id.get(chosen or "")


def next_steps(incident: Incident, scope: Scope) -> list[Cell]:
    """Links to where one looks next: the page that shows the lead, and of a model that errs why, and in which cases."""
    about = scope.about(incident.model)
    steps = [links.of_finding(incident.lead, scope, "Open the page that shows it")]
    if incident.source == "model" and incident.model:
        steps.append(links.link("Why it changed", "why_changed", about))
        steps.append(links.link("The cases with the largest loss", "cases", about, inbox="Largest loss"))
    steps.append(links.link("What changed then", "changes", about))
    return [each for each in steps if each["go"]["page"] != "findings"]


def card(incident: Incident, scope: Scope) -> None:
    """The incident above its findings."""
    with st.container(border=True):
        st.markdown(f"{formatting.status(incident.severity)} **{formatting.sentence(incident.sentence)}**")
        icon = SOURCE_ICONS[incident.source]
        st.markdown(f":gray[Suspected source: {icon} {incident.source} · {formatting.plain(facts(incident))}]")
        st.caption(
            "Findings that are consistent with one fault, the likely source first. They are told together because of when they began, where, and "
            "what they can lead to; no experiment says that one brought about another."
        )
        with st.container(horizontal=True, gap="small"):
            for place, each in enumerate(next_steps(incident, scope)):
                key = f"next-{place}"
                st.button(each["t"], type="tertiary", icon=":material/arrow_forward:", key=key, on_click=links.go, args=(each["go"],))
