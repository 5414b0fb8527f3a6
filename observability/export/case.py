"""Exports the evidence about one prediction as a printable HTML file, as CSV, and as Markdown for a ticket.

The file states when it was made and the basis of each number (measured, estimated, simulated). It runs no script and requests nothing. The
subject and the values of sensitive columns are masked everywhere, unless the user chooses otherwise.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from markupsafe import Markup

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.small_groups import MIN_ROWS
from observability.core.window import Slice
from observability.export import svg as export_svg
from observability.export.csv import inert_csv
from observability.investigation.evidence_types import Case, ErrorRule, Input, Mark, Triage
from observability.investigation.explanation_sentences import explanation_sentences, method_name, residual_words
from observability.investigation.known_attributions import base_words
from observability.investigation.label_types import answer_score_text, outcome_words, version_answer_text
from observability.investigation.model_answers import AGAINST, AttributionContrast
from observability.investigation.outcome_facts import score_digits
from observability.store.types.decision_items import DecisionItem

MASKED = "masked"
SMALL_RULE = f"Left out: similar errors are a group of fewer than {MIN_ROWS} rows."
MAX_BARS = 8
SOURCES = {
    "input": "Missing or wrong input",
    "far_from_reference": "Far from the reference",
    "label": "Suspect label",
    "weak_slice": "Weak slice",
    "boundary": "Near the decision boundary",
    "version": "Version regression",
    "degraded_path": "Degraded path",
    "expected": "An ordinary error, as frequent as expected",
    "unknown": "Cannot tell",
}
"""Names of the sources of an error."""
WRONG = {"yes": "It was wrong", "no": "It was right", "label_wrong": "The label is wrong"}
DO = {
    "relabel": "Relabel",
    "fix_feed": "Fix the feed",
    "monitor_slice": "Monitor the slice",
    "retrain": "Retrain",
    "change_threshold": "Change the threshold",
    "other": "Other",
}
"""Names of the actions."""


@dataclass(frozen=True)
class FrozenCase:
    """A case at one point in time, with its verdicts, actions and what-ifs. masked: columns whose values are hidden; the entry `subject`
    hides the subject.
    """

    case: Case
    contrast: AttributionContrast | None
    verdicts: tuple[DecisionItem, ...]
    actions: tuple[DecisionItem, ...]
    at: datetime
    masked: frozenset[str] = frozenset()
    what_ifs: tuple[DecisionItem, ...] = ()


def case_file_name(prediction: str, at: datetime) -> str:
    """File name of a case without its suffix, in ASCII letters, digits and hyphens."""
    return f"case-{formatting.safe_file_part(prediction, 'prediction')}-{at:%Y%m%d-%H%M}"


def masked_names(model: Model) -> frozenset[str]:
    """The names that are masked by default: sensitive columns, groups and the subject."""
    return frozenset({"subject", *(column.name for column in model.columns if column.sensitive or column.role == "group")})


def case_html(frozen: FrozenCase) -> str:
    """The case as one HTML file."""
    from observability.export.review import template_environment

    case, masked = frozen.case, frozen.masked
    contrast = shown_contrast(frozen.contrast, masked)
    rule = shown_rule(case.rule, masked)
    template = template_environment().get_template("case.html")
    return template.render(
        case=case,
        row=case.row,
        frozen_at=frozen.at.isoformat(),
        masked=sorted(masked),
        facts=logged_facts(case, masked),
        marks=timeline_texts(case, masked),
        inputs=[(given, shown_value(given, masked)) for given in shown_inputs(case, masked)],
        contrast=contrast,
        against=AGAINST,
        waterfall=attribution_drawing(contrast),
        rule=rule,
        small_rule=SMALL_RULE if case.rule is not None and rule is None else None,
        trend=error_trend_drawing(rule),
        triage=[(triage_name(triage), triage, triage_sentence(triage, case, rule, masked)) for triage in case.triage or ()],
        counterfactuals=[
            (found, [(name, *((MASKED, MASKED) if name in masked else map(value_text, pair))) for name, pair in found.changes.items()])
            for found in case.counterfactuals or ()
        ],
        verdicts=[(verdict, *verdict_words(verdict)) for verdict in frozen.verdicts],
        actions=[(action, action_name(action), action_text(action, masked)) for action in frozen.actions],
        what_ifs=[(what_if, changes_text(what_if, masked)) for what_if in frozen.what_ifs],
        spoken=value_text,
        method=method_name,
        residual_words=residual_words,
        number=formatting.format_number,
        share=formatting.format_share,
        worded=partial(outcome_in_words, case.row.model),
        scored=partial(answer_score_text, case.row.model),
        answered=partial(version_answer_text, case.row.model),
        reached="prediction changes" if case.row.model.classes else "which is the goal",
    )


def triage_name(triage: Triage) -> str:
    """The name of a suspected source of an error. If no source stands out, or the prediction is not an error, words that state so."""
    return "None stands out" if triage.source == "unknown" else SOURCES[triage.source]


def outcome_in_words(model: Model, outcome: str | None) -> str:
    """A label or decision in words; a dash if it is unknown."""
    return outcome_words(model, outcome) if outcome is not None else formatting.DASH


def case_csv(frozen: FrozenCase) -> str:
    """The case as CSV with the columns section, name, value, words."""
    import pandas as pd

    case, masked = frozen.case, frozen.masked
    exact = as_logged(case)
    rows: list[tuple[str, str, Any, str]] = [
        ("fact", name, exact.get(name, words), words if name in exact else "") for name, words in logged_facts(case, masked)
    ]
    rows += [("timeline", mark.what, mark.at.isoformat(), text) for mark, text in timeline_texts(case, masked)]
    rows += [
        ("input", given.feature, "missing" if given.value is None else given.value, "; ".join([*given.flags, given.because]))
        for given in shown_inputs(case, masked)
    ]
    contrast = shown_contrast(frozen.contrast, masked)
    rows += [("attribution", bar.feature, bar.attribution, value_text(bar.value)) for bar in (contrast.bars if contrast else ())]
    rows += [
        (
            "neighbour",
            row.id,
            row.distance,
            f"label {outcome_in_words(case.row.model, row.label)}, predicted {outcome_in_words(case.row.model, row.prediction)}",
        )
        for row in case.neighbours or ()
    ]
    rule = shown_rule(case.rule, masked)
    rows += [("rule", rule.text, rule.rate, rule.because)] if rule else [("rule", "", "", SMALL_RULE)] if case.rule else []
    rows += [("triage", triage.source, triage.score, triage_sentence(triage, case, rule, masked)) for triage in case.triage or ()]
    rows += [
        (item.kind, item.id, item.state, "; ".join(f"{name}: {value}" for name, value in shown_fields(item, masked).items()))
        for item in (*frozen.verdicts, *frozen.actions)
    ]
    rows += [
        ("what_if", item.id, item.fields.get("score"), f"simulated; {changes_text(item, masked)}; {item.fields.get('note') or ''}")
        for item in frozen.what_ifs
    ]
    rows += [("missing", name, "", sentence) for name, sentence in case.why.items()]
    return inert_csv(pd.DataFrame(rows, columns=["section", "name", "value", "words"]).astype({"value": object}))


def case_markdown(frozen: FrozenCase, address: str = "") -> str:
    """The case in a few lines of Markdown, for a ticket or a chat; texts from logs are escaped. address: the address of the case's page."""
    from observability.export.review import chat_text

    case, masked = frozen.case, frozen.masked
    rule, row = shown_rule(case.rule, masked), case.row
    flagged = [
        f"{given.feature} = {shown_value(given, masked)} ({', '.join(given.flags)})" for given in shown_inputs(case, masked) if given.flags
    ]
    lines = [
        f"**Case {chat_text(row.id[:200])}** of {chat_text(row.model.name)} {chat_text(row.version.name)}, "
        f"{formatting.format_minute(row.at)} UTC",
        "",
    ]
    lines += [chat_text(case.happened.sentence if case.happened else case.why.get("happened", "")), ""]
    lines += [f"- Flagged inputs: {chat_text('; '.join(flagged[:6])) or 'none'}"]
    for triage in (case.triage or ())[:2]:
        because = chat_text(triage_sentence(triage, case, rule, masked)[:600])
        lines += [f"- Suspected source: {triage_name(triage).lower()} ({formatting.format_number(triage.score, 2)}): {because}"]
    lines += [f"- Similar errors: {chat_text(rule.because)}"] if rule else [f"- {SMALL_RULE}"] if case.rule else []
    for item in frozen.what_ifs[:3]:
        score = formatting.format_number(item.fields.get("score"))
        lines += [f"- Simulated: {chat_text(changes_text(item, masked)[:600])} gives {score}"]
    for verdict in frozen.verdicts:
        if verdict.state == "standing":
            wrong, source = verdict_words(verdict)
            note = chat_text(str(verdict.fields.get("note") or "")[:600])
            lines += [f"- {wrong}; {source.lower()}: {note} ({chat_text(verdict.last.author[:80])})"]
    lines += [f"- Action: {action_name(item)}, {item.state}: {chat_text(action_text(item, masked)[:600])}" for item in frozen.actions]
    hides = f" Masked: {chat_text(', '.join(sorted(masked)))}." if masked else ""
    lines += ["", f"Frozen {formatting.format_minute(frozen.at)} UTC.{hides}{f' <{address}>' if address else ''}"]
    return "\n".join(lines) + "\n"


def timeline_texts(case: Case, masked: Collection[str]) -> list[tuple[Mark, str]]:
    """The events of the timeline with their texts. The text of a complaint is hidden if anything is masked."""
    timeline = case.happened.timeline if case.happened else ()
    return [(mark, MASKED if mark.what == "complaint" and masked else mark.text) for mark in timeline]


def verdict_words(verdict: DecisionItem) -> tuple[str, str]:
    """A verdict in words, as (whether the prediction was wrong, the source of the error)."""
    return WRONG.get(str(verdict.fields.get("wrong")), "Undecided"), SOURCES.get(str(verdict.fields["source"]), "")


def action_name(action: DecisionItem) -> str:
    """The name of an action."""
    return DO.get(str(action.fields.get("do")), "Action")


def changes_text(item: DecisionItem, masked: Collection[str]) -> str:
    """The changed values of a what-if as text. Values of masked columns are hidden."""
    changes = item.fields.get("changes") or {}
    return ", ".join(f"{name} is {MASKED if name in masked else value_text(value)}" for name, value in changes.items())


def action_text(item: DecisionItem, masked: Collection[str]) -> str:
    """The text of an action. A slice of a masked column is hidden."""
    return str(shown_fields(item, masked).get("text") or "")


def shown_fields(item: DecisionItem, masked: Collection[str]) -> dict[str, Any]:
    """The fields of a verdict or an action. If its slice is of a masked column, the slice is hidden."""
    fields = dict(item.fields)
    part = Slice.parse(str(fields["slice"])) if fields.get("slice") else None
    if part is not None and any(name in masked for name, _ in part.conditions):
        fields |= {"text": "Monitor a slice of a masked column.", "slice": MASKED}
    return fields


def logged_facts(case: Case, masked: Collection[str]) -> list[tuple[str, str]]:
    """The logged fields, as (name, text)."""
    row = case.row
    stored, label = row.stored, row.label
    cost = case.happened.cost if case.happened else None
    currency = (case.happened.currency or "") if case.happened else ""
    pairs: list[tuple[str, object]] = [
        ("Id", row.id),
        ("Model", row.model.name),
        ("Version", row.version.name),
        ("Time (UTC)", formatting.format_minute(row.at)),
        ("Read", row.lake_note or None),
        ("Environment", row.environment),
        ("Same id also answered by", ", ".join(other.words for other in row.other_answers) or None),
        ("Score", score_digits(row) if row.score is not None else None),
        ("Threshold", formatting.format_number(row.threshold) if row.model.task == "binary" else None),
        ("Prediction", outcome_words(row.model, row.answer) if row.answer is not None else None),
        ("Label", outcome_words(row.model, label.value) if label else "none yet"),
        ("Label time (UTC)", formatting.format_minute(label.at) if label else None),
        ("Cost of the error", f"{formatting.format_number(cost)} {currency}".strip() if cost is not None else None),
        ("Status", row.status),
        ("Subject", MASKED if "subject" in masked and stored.get("subject") is not None else stored.get("subject")),
        ("Device", stored.get("device")),
        ("Replica", stored.get("replica")),
        ("Batch", stored.get("batch")),
        *((name, MASKED if name in masked else value_text(value)) for name, value in row.groups.items()),
    ]
    return [(name, str(value)) for name, value in pairs if value is not None]


def as_logged(case: Case) -> dict[str, Any]:
    """The facts that are numbers or labels, without formatting."""
    row = case.row
    cost = case.happened.cost if case.happened else None
    pairs = {
        "Score": row.score,
        "Threshold": row.threshold,
        "Prediction": row.answer,
        "Label": row.label.value if row.label else None,
        "Cost of the error": cost,
    }
    return {name: value for name, value in pairs.items() if value is not None}


def shown_value(given: Input, masked: Collection[str]) -> str:
    """A value as text, or `masked`."""
    return MASKED if given.feature in masked else value_text(given.value)


def shown_inputs(case: Case, masked: Collection[str]) -> list[Input]:
    """The inputs. A masked input is shown without its percentile, share and flags, because these would reveal its value."""
    return [
        replace(given, value=MASKED, percentile=None, share=None, flags=(), because=f"{MASKED}.") if given.feature in masked else given
        for given in case.inputs or ()
    ]


def value_text(value: Any) -> str:
    """A value as text for people."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}".replace("-", formatting.MINUS) if isinstance(value, float) else str(value)


def shown_contrast(contrast: AttributionContrast | None, masked: Collection[str]) -> AttributionContrast | None:
    """The attributions, with masked values in both the bars and the sentences."""
    if contrast is None or not masked:
        return contrast
    bars = tuple(replace(bar, value=MASKED) if bar.feature in masked else bar for bar in contrast.bars)
    against = base_words(contrast.against, contrast.background_rows)
    words = explanation_sentences(bars, contrast.base_value, contrast.output, contrast.link, against, contrast.class_name, contrast.unit)
    return replace(contrast, bars=bars, words=words)


def shown_rule(rule: ErrorRule | None, masked: Collection[str]) -> ErrorRule | None:
    """The rule as people may see it. The text of a rule about a masked column is replaced, because it would reveal the value. None if the
    rule covers fewer than MIN_ROWS rows.
    """
    if rule is not None and rule.n < MIN_ROWS:
        return None
    if rule is None or not any(condition.reference.partition(".")[2] in masked for condition in rule.conditions):
        return rule
    words = "a rule about a masked column"
    return replace(rule, text=words, slice=None, because=rule.because.replace(rule.text, words), conditions=(), groups=())


def triage_sentence(triage: Triage, case: Case, rule: ErrorRule | None, masked: Collection[str]) -> str:
    """The sentence of a suspected source. It uses the rule as people may see it, and contains nothing that depends on the value of a masked
    input.
    """
    sentence = triage.because
    if case.rule is not None and rule is None and case.rule.text in sentence:
        return SMALL_RULE
    if case.rule is not None and rule is not None:
        sentence = sentence.replace(case.rule.text, rule.text)
    for given in case.inputs or ():
        if given.feature in masked and given.because:
            sentence = sentence.replace(f"{given.feature} ({', '.join(given.flags)}): {given.because}", f"A masked column: {MASKED}.")
            sentence = sentence.replace(given.because, f"{MASKED}.")
    if case.repair is not None and case.repair.key in masked:  # its source names a level of the column
        sentence = sentence.replace(case.repair.source, "good values of a masked column")
    if triage.source == "far_from_reference" and masked:  # the sentence lists columns with unusual values
        names = "|".join(map(re.escape, sorted(masked, key=len, reverse=True)))
        sentence = re.sub(rf"(?<!\w)(?:{names})(?!\w)", "a masked column", sentence)
    return sentence


def attribution_drawing(contrast: AttributionContrast | None) -> Markup:
    """A static drawing of the attributions; empty if they do not add up."""
    if contrast is None or not contrast.adds_up:
        return Markup("")
    shown, rest = contrast.bars[:MAX_BARS], contrast.bars[MAX_BARS:]
    bars = [(f"{bar.feature} = {value_text(bar.value)}", bar.attribution) for bar in shown]
    bars += [(f"{len(rest)} others", sum(bar.attribution for bar in rest))] if rest else []
    return export_svg.waterfall_drawing(contrast.base_value, bars, contrast.output, label=" ".join(contrast.words))


def error_trend_drawing(rule: ErrorRule | None) -> Markup:
    """A static drawing of the rule's error rate by period; empty without a rule."""
    if rule is None:
        return Markup("")
    points = [(period.name, period.rate, period.low, period.high) for period in rule.trend]
    label = f"Error rate of similar predictions. {rule.because}"
    return export_svg.line_drawing(points, label=label, limit=rule.overall, words="error rate")
