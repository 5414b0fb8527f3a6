"""The page of rules and settings: settings of a model, limits of its alarm rules, and a preview of a change over past weeks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.alerts import alarm_rules as ruling
from observability.alerts.alarm_rules import AlarmRule, WeekPreview
from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.settings import CRITERIA, KINDS, PRIMARY_METRICS, ModelSettings, parse_settings
from observability.dashboard import load, person_name
from observability.dashboard.frame import ModelPage
from observability.dashboard.review import load_review
from observability.dashboard.table import column, draw_table, number_columns, table_row
from observability.dashboard.widgets import answer_or_error, progress_bar
from observability.server.guarded_store import action_of_settings, changed_settings

COLUMNS = (
    column("week", "Week", width="12rem"),
    *number_columns(before="Current", after="After the change"),
    column("what", "Difference", wide=True),
)
SETTING_WORDS = {
    "owner": "Owner",
    "description": "Purpose of the model",
    "threshold": "Decision threshold on the score",
    "primary_metric": "Primary metric (else accuracy, or mean absolute error)",
    "fairness_criterion": "Fairness criterion",
    "cost_false_positive": "Cost of a false positive",
    "cost_false_negative": "Cost of a false negative",
    "cost_currency": "Currency of these costs",
    "service_level_availability": "Service level: share of ok responses",
    "service_level_latency_ms": "Service level: p99 latency (ms)",
    "budget_per_month": "Budget per month",
    "budget_currency": "Currency of the budget",
    "kind": "Served by a third party (api)",
    "vendor": "Vendor of this API",
    "slices": "Watched slices (one per line, a=x&b=y)",
    "immutable": "Immutable features (one per line)",
}
"""The settings on this page, in their order. Other settings are changed with `python -m observability settings`."""
RULE, DEFAULT, OVERRIDE, RATED = "Rule", "Default threshold", "Threshold override", "Alerts rated useful"
CHOICES = {"fairness_criterion": CRITERIA, "primary_metric": PRIMARY_METRICS, "kind": KINDS}
TEXTS, LISTS = ("owner", "description", "cost_currency", "budget_currency", "vendor"), ("slices", "immutable")


def edited_settings(here: ModelPage) -> ModelSettings | None:
    """Draw the boxes and return the settings in them; None if they are invalid, in which case the page shows the reason."""
    model = here.model
    values: dict[str, Any] = {}
    with st.expander("Owner, costs, service level, budget, vendor, slices", icon=":material/tune:"):
        left, right = st.columns(2, gap="large")
        for place, name in enumerate(SETTING_WORDS):
            if name == "threshold" and model.task != "binary":
                continue
            with left if place % 2 == 0 else right:
                values[name] = _setting_box(model, name)
    st.header("Thresholds", anchor=False)
    limits = _limits_table(model)
    kept = {name: value for name, value in values.items() if value is not None}
    blank = replace(
        model.settings, limits={}, **{name: getattr(ModelSettings(), name) for name in values if name not in kept and name != "threshold"}
    )
    return answer_or_error(lambda: parse_settings({"settings": kept, "limits": limits}, blank))


def choice_in_words(choice: str) -> str:
    """The title of a metric, or a criterion in words."""
    return METRICS[choice].title if choice in METRICS else choice.replace("_", " ")


def _setting_box(model: Model, name: str) -> Any:
    """Draw the box of one setting, and return its value; None if it is not set."""
    value, key = getattr(model.settings, name), f"setting-{model.name}-{name}"
    if options := CHOICES.get(name):
        place = options.index(value) if value else None
        return st.selectbox(SETTING_WORDS[name], options, place, format_func=choice_in_words, placeholder="Not set", key=key)
    if name in LISTS:
        lines = st.text_area(SETTING_WORDS[name], "\n".join(value), key=key, height=90)
        return [each.strip() for each in lines.splitlines() if each.strip()]
    if name in TEXTS:
        return st.text_input(SETTING_WORDS[name], value or "", key=key, max_chars=200).strip() or None
    number = None if value is None else float(value)
    return st.number_input(SETTING_WORDS[name], value=number, min_value=0.0, format="%g", placeholder="Not set", key=key)


def _limits_table(model: Model) -> dict[str, float]:
    """Draw the table of the rules, and return the limits that are overridden in it, by rule."""
    known = ruling.alarm_rules_of(model.settings)
    alerts = list(load_review.current_alerts().values())
    shown = pd.DataFrame(
        {
            RULE: [rule.title for rule in known],
            OVERRIDE: [float("nan") if rule.stated is None else rule.stated for rule in known],
            DEFAULT: [rule.usual for rule in known],
            "Unit": [rule.unit for rule in known],
            "Analyzer": [rule.analyzer for rule in known],
            RATED: [_usefulness_words(alerts, rule) for rule in known],
        }
    )
    number, fixed = st.column_config.NumberColumn, [str(name) for name in shown if name != OVERRIDE]
    columns = {
        RULE: st.column_config.TextColumn(width=215),  # with the next column as wide as a phone, so that a threshold can be set there
        OVERRIDE: number(min_value=0.0, format="%g", width=140, help="Empty: the default applies"),
        DEFAULT: number(format="%g", help="Empty: judged only with an override"),
    }
    edited = st.data_editor(
        shown, hide_index=True, disabled=fixed, key=f"limits-{model.name}", height=420, placeholder="–", column_config=columns
    )
    st.caption(
        f"{OVERRIDE}: the smallest effect that is critical. Empty: the default applies. "
        "Warnings begin at the analyzer's smaller threshold, never above the override."
    )
    own = edited[OVERRIDE].astype(float)
    return {rule.name: value for rule, value in zip(known, own, strict=True) if value == value}


def _usefulness_words(alerts: Sequence[Any], rule: AlarmRule) -> str:
    """Return in words the share of a rule's alerts that were rated useful."""
    found = ruling.rule_precision(alerts, rule)
    if not found.judged:
        return formatting.DASH if not found.all else f"no rating, {formatting.plural(found.all, 'alert')}"
    return f"{found.useful} of {found.judged}"


def _setting_changes(model: Model, settings: ModelSettings) -> list[str]:
    """Return the changed settings, one sentence for each."""
    old, new = asdict(model.settings), asdict(settings)
    found = []
    for name, title in SETTING_WORDS.items():
        if old[name] != new[name]:
            found.append(f"{title}: {_setting_words(old[name])} becomes {_setting_words(new[name])}")
    for name in sorted({*model.settings.limits, *settings.limits}):
        before, after = model.settings.limits.get(name), settings.limits.get(name)
        if before != after:
            old_limit, new_limit = ("the default" if limit is None else f"{limit:g}" for limit in (before, after))
            found.append(f"Threshold of {name}: {old_limit} becomes {new_limit}")
    return found


def _setting_words(value: Any) -> str:
    """Return the value of a setting as text; `not set` if it has no value."""
    if value in (None, (), ""):
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else f"{value:g}" if isinstance(value, float) else str(value)


def settings_change_preview(here: ModelPage, settings: ModelSettings) -> None:
    """Draw the preview of a change over past weeks, then the form that saves the change."""
    said = _setting_changes(here.model, settings)
    if not said:
        st.caption("Change a setting above to preview its effect on the last eight weeks.")
        return
    st.header("Effect of the change", anchor=False)
    for each in said:
        st.markdown(f"- {formatting.escape_markdown(each)}")
    key = f"preview-{here.model.name}"
    if ruling.changes_no_finding(here.model.settings, settings):
        st.caption("No rule depends on this: no finding changes.")
        _save_change(here, settings, said, key)
        return
    seen = st.session_state.get(key)
    if st.button("Preview", icon=":material/history:"):
        looked = _preview_with_progress(here, settings)
        if looked is None:
            return
        st.session_state[key] = seen = (settings, looked)
    if seen is None or seen[0] != settings:
        st.caption("Preview the change before saving it.")
        return
    _preview_table(seen[1], partial=ruling.is_partial_preview(here.model.settings, settings))
    if settings.threshold != here.model.settings.threshold:
        st.caption("The preview keeps past decisions. On saving, decisions derived from the threshold are recomputed.")
    _save_change(here, settings, said, key)


def _preview_with_progress(here: ModelPage, settings: ModelSettings) -> list[WeekPreview] | None:
    """Compute the preview of the settings on past weeks behind a progress bar, and return it. If it fails, show the error and
    return None.
    """
    store, now = load.store(), datetime.now(UTC)
    with progress_bar("Checking past weeks") as note:

        def progress(share: float, words: str) -> None:
            note(share, f"{words[:1].upper()}{words[1:]}")

        return answer_or_error(lambda: ruling.preview_settings(store, here.model.name, settings, now=now, progress=progress))


def _preview_table(said: Sequence[WeekPreview], *, partial: bool) -> None:
    """Draw the weeks under both settings, and their sums in a sentence. partial: whether analyzers that read single rows were left out."""
    if not said:
        st.markdown("No predictions in the last eight weeks: no preview.")
        return
    before, after = (sum(getattr(each, side).critical for each in said) for side in ("before", "after"))
    began, ended = sum(len(each.began) for each in said), sum(len(each.ended) for each in said)
    st.markdown(
        f"Critical findings in {formatting.plural(len(said), 'week')}: **{before:,}** now, **{after:,}** after the change "
        f"({began:,} added, {ended:,} removed). :gray[Simulated with data that had arrived by the end of each week.]"
    )
    if partial:
        st.caption("Without findings from samples of single rows (slices, requests, multivariate drift).")
    draw_table("preview", "Past weeks under both settings", COLUMNS, [_preview_row(each) for each in reversed(said)])


def _preview_row(each: WeekPreview) -> dict[str, Any]:
    """The table row of one previewed week: its findings before and after the change of settings, and what differs."""
    words = formatting.STATUS_WORDS
    parts = [f"+ {_finding_words(finding)}" for finding in each.began]
    parts += [f"{formatting.MINUS} {_finding_words(finding)}" for finding in each.ended]
    parts += [f"{words[old.severity]} becomes {words[new.severity]}: {_finding_words(old)}" for old, new in each.changed]
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    return table_row(
        week={"t": str(each.week), "sub": formatting.format_span(each.week.start, each.week.end)},
        before={"t": f"{each.before.critical} critical", "sub": formatting.plural(each.before.warnings, "warning")},
        after={"t": f"{each.after.critical} critical", "sub": formatting.plural(each.after.warnings, "warning")},
        what="; ".join(parts[:4]) + more if parts else "none",
    )


def _finding_words(finding: Finding) -> str:
    """Metric and subject of a finding."""
    return f"{formatting.metric_title(finding.metric)}{'' if finding.subject == 'model' else f' of {finding.subject}'}"


def _save_change(here: ModelPage, settings: ModelSettings, said: Sequence[str], key: str) -> None:
    """Draw the form that saves the change. Its author and reason are stored in the ledger."""
    with st.container(border=True):
        action = action_of_settings(changed_settings(here.model.settings, settings))
        author = person_name.person_name_box(model=here.model.name, action=action)
        why = st.text_input("Reason", max_chars=400, key="why-rules")
        if st.button("Save the change", icon=":material/save:", disabled=author is None) and author:
            store, name = load.store(), here.model.name
            notes = answer_or_error(lambda: ruling.change_settings(store, name, settings, author=author, said=said, why=why))
            if notes is not None:
                st.session_state.pop(key, None)
                for note in notes:
                    st.toast(formatting.escape_markdown(note))
                st.rerun()


USED_COLUMNS = (
    column("rule", "Rule", wide=True),
    column("fired", "Alerts", align="right", width="6rem"),
    column("useful", "Useful", width="12rem"),
)


def alarm_rules_used(found: Sequence[Mapping[str, Any]]) -> None:
    """Draw the rules that raised alerts, with their usefulness. found: for each rule, in this order, the fields rule, fired, useful, judged
    and useless.
    """
    rows = []
    for each in found:
        share = f"{each['useful']} of {each['judged']} rated" if each["judged"] else "no rating"
        word = {"s": "watch", "sub": "mostly not useful: raise its threshold, or silence it"} if each["useless"] else {}
        rule = {"t": _alarm_rule_title(each["rule"]), "sub": each["rule"]}
        rows.append(table_row(rule=rule, fired=f"{each['fired']:,}", useful={"t": share, **word}))
    draw_table("rules-used", "Rules that raised alerts", USED_COLUMNS, rows, compact=True)


def silent_alarm_rules(names: Sequence[str]) -> None:
    """Draw rules that never raised an alert."""
    with st.expander(f"Never fired: {formatting.plural(len(names), 'rule')}", icon=":material/notifications_off:"):
        st.caption("Either their problem never occurred, or their threshold is too high to be reached.")
        titles = {name: formatting.escape_markdown(_alarm_rule_title(name)) for name in names}
        st.markdown("; ".join(f"{title} :gray[({formatting.escape_markdown(name)})]" for name, title in titles.items()))


def _alarm_rule_title(name: str) -> str:
    """Return the metric of a rule in words."""
    return formatting.metric_title(name.rpartition("/")[2])
