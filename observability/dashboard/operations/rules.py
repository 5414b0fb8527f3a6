"""What has the owner of a model decided, which limits hold, and what would a change have said over the last weeks?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from observability.alerts import alarm_rules as ruling
from observability.alerts.alarm_rules import Rule, Said
from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.settings import CRITERIA, ModelSettings, settings_from
from observability.dashboard import load, person_name
from observability.dashboard.frame import Here
from observability.dashboard.review import load_review
from observability.dashboard.table import column, row, table

COLUMNS = (
    column("week", "Week", width="12rem"),
    column("before", "As it is", align="right"),
    column("after", "As it would be", align="right"),
    column("what", "What changes", wide=True),
)
WORDS = {
    "owner": "Owner", "description": "What the model is for", "threshold": "Threshold (score from which it decides positive)",
    "fairness_criterion": "Fairness criterion", "cost_false_positive": "Cost of a false positive", "cost_false_negative": "Cost of a false negative",
    "cost_currency": "Currency of these costs", "service_level_availability": "Service level: share of ok answers", "service_level_latency_ms": "Service level: 99 of 100 answers within (ms)",
    "budget_per_month": "Budget for a month", "budget_currency": "Currency of the budget", "slices": "Slices to watch (one a line, a=x&b=y)",
    "immutable": "Features nobody can change (one a line)",
}  # fmt: skip
"""The settings that this page edits, in their order; others are set by `python -m observability settings`."""
TEXTS, LISTS = ("owner", "description", "cost_currency", "budget_currency"), ("slices", "immutable")


def edited(here: Here) -> ModelSettings | None:
    """The settings as the boxes have them; None, with the reason, where something in them cannot be."""
    model = here.model
    values: dict[str, Any] = {}
    with st.expander("Owner, costs, service level, budget, slices", icon=":material/tune:"):
        left, right = st.columns(2, gap="large")
        for place, name in enumerate(WORDS):
            if name == "threshold" and model.task != "binary":
                continue
            with left if place % 2 == 0 else right:
                values[name] = box(model, name)
    st.header("Limits", anchor=False)
    limits = limits_box(model)
    kept = {name: value for name, value in values.items() if value is not None}
    blank = replace(
        model.settings, limits={}, **{name: getattr(ModelSettings(), name) for name in values if name not in kept and name != "threshold"}
    )
    try:
        return settings_from({"settings": kept, "limits": limits}, blank)
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)))
        return None


def box(model: Model, name: str) -> Any:
    """The box of one setting; None where nothing is decided."""
    value, key = getattr(model.settings, name), f"setting-{model.name}-{name}"
    if name == "fairness_criterion":
        return st.selectbox(WORDS[name], CRITERIA, index=CRITERIA.index(value) if value else None, format_func=lambda each: each.replace("_", " "), placeholder="Not decided", key=key)  # fmt: skip
    if name in LISTS:
        lines = st.text_area(WORDS[name], "\n".join(value), key=key, height=90)
        return [each.strip() for each in lines.splitlines() if each.strip()]
    if name in TEXTS:
        return st.text_input(WORDS[name], value or "", key=key, max_chars=200).strip() or None
    return st.number_input(
        WORDS[name], value=None if value is None else float(value), min_value=0.0, format="%g", placeholder="Not decided", key=key
    )


def limits_box(model: Model) -> dict[str, float]:
    """The table of the rules, whose own limits can be edited."""
    import pandas as pd

    known = ruling.rules(model.settings)
    alerts = list(load_review.alerts().values())
    frame = pd.DataFrame(
        {
            "Rule": [each.title for each in known],
            "Analyzer": [each.analyzer for each in known],
            "Usual limit": [each.usual for each in known],
            "Own limit": [float("nan") if each.stated is None else each.stated for each in known],
            "Unit": [METRICS[each.metric].unit for each in known],
            "Alerts judged useful": [judged_useful(alerts, each) for each in known],
        }
    )
    done = st.data_editor(
        frame, hide_index=True, disabled=["Rule", "Analyzer", "Unit", "Usual limit", "Alerts judged useful"], key=f"limits-{model.name}", height=420, placeholder="–",
        column_order=["Rule", "Usual limit", "Own limit", "Unit", "Analyzer", "Alerts judged useful"],
        column_config={
            "Own limit": st.column_config.NumberColumn(min_value=0.0, format="%g", help="Empty: the usual limit holds"),
            "Usual limit": st.column_config.NumberColumn(format="%g", help="Empty: judged only where you state one"),
        },
    )  # fmt: skip
    st.caption(
        "Write an own limit into the third column; empty, the usual one holds. A limit is the smallest effect that somebody should act on; a watch begins at the analyzer's own smaller limit, never above yours."
    )
    own = done["Own limit"].astype(float)
    return {rule.name: value for rule, value in zip(known, own, strict=True) if value == value}


def judged_useful(alerts: Sequence[Any], rule: Rule) -> str:
    """How often the alerts of a rule were judged useful, in words."""
    found = ruling.usefulness(alerts, rule)
    if not found.judged:
        return formatting.DASH if not found.all else f"not judged yet, {formatting.plural(found.all, 'alert')}"
    return f"{found.useful} of {found.judged}"


def changes(model: Model, settings: ModelSettings) -> list[str]:
    """What is another than it is, one sentence each."""
    old, new = asdict(model.settings), asdict(settings)
    found = []
    for name, title in WORDS.items():
        if old[name] != new[name]:
            found.append(f"{title}: {shown(old[name])} becomes {shown(new[name])}")
    for name in sorted({*model.settings.limits, *settings.limits}):
        before, after = model.settings.limits.get(name), settings.limits.get(name)
        if before != after:
            found.append(
                f"Limit of {name}: {'the usual one' if before is None else f'{before:g}'} becomes {'the usual one' if after is None else f'{after:g}'}"
            )
    return found


def shown(value: Any) -> str:
    """A setting in words."""
    if value in (None, (), ""):
        return "not decided"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else f"{value:g}" if isinstance(value, float) else str(value)


def ask(here: Here, settings: ModelSettings) -> None:
    """What the change would have said, then the box that keeps it."""
    said = changes(here.model, settings)
    if not said:
        st.caption("Change something above to see what it would have said over the last eight weeks.")
        return
    st.header("What the change does", anchor=False)
    for each in said:
        st.markdown(f"- {formatting.plain(each)}")
    key = f"preview-{here.model.name}"
    if ruling.unheard(here.model.settings, settings):
        st.caption("No rule looks at this, so nothing that is said changes.")
        keep(here, settings, said, key)
        return
    seen = st.session_state.get(key)
    if st.button("See what it would have said", icon=":material/history:"):
        looked = look(here, settings)
        if looked is None:
            return
        st.session_state[key] = seen = (settings, looked)
    if seen is None or seen[0] != settings:
        st.caption("Before a change is kept, it shows what it would have said, as of each week.")
        return
    drawn(seen[1], partial=ruling.partial(here.model.settings, settings))
    if settings.threshold != here.model.settings.threshold:
        st.caption(
            "The weeks above keep the decisions that were made; decisions that came from the threshold are made anew when it is kept."
        )
    keep(here, settings, said, key)


def look(here: Here, settings: ModelSettings) -> list[Said] | None:
    """The preview, with progress."""
    bar = st.progress(0.0, "Looking back")

    def note(share: float, sentence: str) -> None:
        bar.progress(share, f"{sentence[:1].upper()}{sentence[1:]}")

    try:
        return ruling.preview(load.store(), here.model.name, settings, now=datetime.now(UTC), progress=note)
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)))
        return None
    finally:
        bar.empty()


def drawn(said: Sequence[Said], *, partial: bool) -> None:
    """The weeks side by side, and the sum of them in a sentence. partial: what reads single rows was not asked."""
    if not said:
        st.markdown("None of the last eight weeks has predictions, so nothing can be shown.")
        return
    before, after = (sum(getattr(each, side)["act"] for each in said) for side in ("before", "after"))
    began, ended = sum(len(each.began) for each in said), sum(len(each.ended) for each in said)
    st.markdown(
        f"In {formatting.plural(len(said), 'week')} there were **{before:,} act** findings; there would have been **{after:,}**. "
        f"{began:,} would have been added, {ended:,} would not have been said. :gray[Simulated on what had arrived by each week's end.]"
    )
    if partial:
        st.caption("What is found in samples of single rows (slices, requests, all inputs together) is not looked at again here.")
    table("preview", "The last weeks under both settings", COLUMNS, [as_row(each) for each in reversed(said)])


def as_row(each: Said) -> dict[str, Any]:
    """One week."""
    parts = [*(f"+ {words(one)}" for one in each.began), *(f"{formatting.MINUS} {words(one)}" for one in each.ended), *(f"{old.severity} becomes {new.severity}: {words(old)}" for old, new in each.changed)]  # fmt: skip
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    return row(
        {
            "week": {"t": str(each.week), "sub": formatting.span(each.week.start, each.week.end)},
            "before": {"t": f"{each.before['act']} act", "sub": f"{each.before['watch']} watch"},
            "after": {"t": f"{each.after['act']} act", "sub": f"{each.after['watch']} watch"},
            "what": {"t": ("; ".join(parts[:4]) + more) if parts else "nothing"},
        }
    )


def words(finding: Finding) -> str:
    """A claim in a few words."""
    return f"{formatting.metric_title(finding.metric)}{'' if finding.subject == 'model' else f' of {finding.subject}'}"


def keep(here: Here, settings: ModelSettings, said: Sequence[str], key: str) -> None:
    """Save with a name and a reason; the change stands in the ledger."""
    with st.container(border=True):
        author = person_name.box()
        why = st.text_input("Why?", max_chars=400, key="why-rules")
        if st.button("Save the change", icon=":material/save:", disabled=author is None) and author:
            try:
                notes = ruling.change(load.store(), here.model.name, settings, author=author, said=said, why=why)
            except ObservabilityError as error:
                st.error(formatting.plain(str(error)))
                return
            st.session_state.pop(key, None)
            for note in notes:
                st.toast(formatting.plain(note))
            st.rerun()


USED = (
    column("rule", "Rule", wide=True),
    column("fired", "Alarms", align="right", width="6rem"),
    column("useful", "Useful", width="12rem"),
)


def used(found: Sequence[Mapping[str, Any]]) -> None:
    """Rules that raised alarms: how many, how many of the judged ones were useful. found: rule, fired, useful, judged, useless; in this order."""
    rows = []
    for each in found:
        share = f"{each['useful']} of {each['judged']} judged" if each["judged"] else "not judged yet"
        word = {"s": "watch", "sub": "mostly useless: raise its limit, or silence it"} if each["useless"] else {}
        rows.append(
            row(
                {
                    "rule": {"t": rule_title(each["rule"]), "sub": each["rule"]},
                    "fired": {"t": f"{each['fired']:,}"},
                    "useful": {"t": share, **word},
                }
            )
        )
    table("rules-used", "Rules that raised alarms", USED, rows, compact=True)


def silent(names: Sequence[str]) -> None:
    """Rules that never raised an alarm."""
    with st.expander(f"Never fired: {formatting.plural(len(names), 'rule')}", icon=":material/notifications_off:"):
        st.caption("No alert was ever opened by these. That may be health, or a limit that nothing reaches.")
        st.markdown("; ".join(f"{formatting.plain(rule_title(each))} :gray[({formatting.plain(each)})]" for each in names))


def rule_title(name: str) -> str:
    """A rule's metric in words."""
    return formatting.metric_title(name.rpartition("/")[2])
