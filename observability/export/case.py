"""How does the evidence about one prediction leave the product: as one HTML file that prints, as CSV, and as Markdown for a ticket?

Frozen: the file says when it was made and what each number is (measured, estimated, simulated); nothing in it runs or asks for anything. The
subject and the values of sensitive columns are masked unless a person chooses otherwise, wherever they would stand.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from observability.core import formatting
from observability.core.numerals import worded
from observability.core.window import Slice
from observability.export import svg as export_svg
from observability.export.csv import inert_csv
from observability.investigation.evidence_types import Case, Input, Rule
from observability.investigation.explanation_sentences import left_over, method
from observability.investigation.explanation_sentences import words as in_sentences
from observability.investigation.model_answers import AGAINST, Contrast
from observability.store.query.decision_log import Item

if TYPE_CHECKING:
    from observability.core.catalog import Model

MASKED = "masked"
MOST_BARS = 8
SOURCES = {
    "input": "The input was wrong", "far_from_reference": "Unlike the reference", "label": "A suspect label", "weak_slice": "A weak slice",
    "boundary": "Near the edge", "version": "This version is worse", "degraded_path": "A degraded path", "unknown": "No source is known",
}  # fmt: skip
"""Names of the sources of an error."""
WRONG = {"yes": "It was wrong", "no": "It was right", "label_wrong": "The label is wrong"}
DO = {
    "relabel": "Label it again", "fix_feed": "Fix the feed", "monitor_slice": "Watch the slice", "retrain": "Retrain",
    "change_threshold": "Change the cut-off", "other": "Something else",
}  # fmt: skip
"""What is to be done, in words."""


@dataclass(frozen=True)
class Frozen:
    """A case at one instant, with what people said about it. masked: names of columns whose values are not shown; `subject` among them hides the subject."""

    case: Case
    contrast: Contrast | None
    verdicts: tuple[Item, ...]
    actions: tuple[Item, ...]
    at: datetime
    masked: frozenset[str] = frozenset()
    what_ifs: tuple[Item, ...] = ()


def file_name(prediction: str, at: datetime) -> str:
    """A file's name without any sign that a system could take for something else."""
    return f"case-{formatting.file_part(prediction, 'prediction')}-{at:%Y%m%d-%H%M}"


def sensitive(model: "Model") -> frozenset[str]:
    """What is masked unless somebody chooses otherwise: sensitive columns, groups, and the subject."""
    return frozenset({"subject", *(each.name for each in model.columns if each.sensitive or each.role == "group")})


def page(frozen: Frozen) -> str:
    """The case as one HTML file."""
    from observability.export.review import environment

    case, masked = frozen.case, frozen.masked
    contrast = shown_contrast(frozen.contrast, masked)
    rule = shown_rule(case.rule, masked)
    return environment().get_template("case.html").render(
        case=case,
        row=case.row,
        frozen_at=frozen.at.isoformat(),
        masked=sorted(masked),
        facts=facts(case, masked),
        marks=[(each, MASKED if each.what == "complaint" and masked else each.text) for each in case.happened.timeline] if case.happened else [],
        inputs=[(each, shown_value(each, masked)) for each in shown_inputs(case, masked)],
        contrast=contrast,
        against=AGAINST,
        waterfall=waterfall(contrast),
        rule=rule,
        trend=trend(rule),
        triage=[(SOURCES[each.source], each, hidden(each.because, case, rule, masked)) for each in case.triage or ()],
        counterfactuals=[
            (each, [(name, *((MASKED, MASKED) if name in masked else map(spoken, pair))) for name, pair in each.changes.items()])
            for each in case.counterfactuals or ()
        ],
        verdicts=[(each, WRONG.get(str(each.fields.get("wrong")), ""), SOURCES.get(str(each.fields["source"]), "")) for each in frozen.verdicts],
        actions=[(each, DO.get(str(each.fields.get("do")), "Action"), wanted(each, case, masked)) for each in frozen.actions],
        what_ifs=[(each, tried(each, masked)) for each in frozen.what_ifs],
        spoken=spoken,
        method=method,
        left_over=left_over,
        number=formatting.number,
        share=formatting.share,
        worded=worded,
    )  # fmt: skip


def table(frozen: Frozen) -> str:
    """The same as CSV: section, name, value, words."""
    import pandas as pd

    case, masked = frozen.case, frozen.masked
    exact = as_logged(case)
    rows: list[tuple[str, str, Any, str]] = [
        ("fact", name, exact.get(name, words), words if name in exact else "") for name, words in facts(case, masked)
    ]
    rows += [("timeline", each.what, each.at.isoformat(), MASKED if each.what == "complaint" and masked else each.text) for each in (case.happened.timeline if case.happened else ())]  # fmt: skip
    rows += [
        ("input", each.feature, "missing" if each.value is None else each.value, "; ".join([*each.flags, each.because]))
        for each in shown_inputs(case, masked)
    ]
    contrast = shown_contrast(frozen.contrast, masked)
    rows += [("attribution", each.feature, each.attribution, spoken(each.value)) for each in (contrast.bars if contrast else ())]
    rows += [
        ("neighbour", each.id, each.distance, f"label {worded(each.label)}, predicted {worded(each.prediction)}")
        for each in case.neighbours or ()
    ]
    rule = shown_rule(case.rule, masked)
    rows += [("rule", rule.text, rule.rate, rule.because)] if rule else []
    rows += [("triage", each.source, each.score, hidden(each.because, case, rule, masked)) for each in case.triage or ()]
    rows += [(each.kind, each.id, each.state, "; ".join(f"{name}: {value}" for name, value in shown_fields(each, case, masked).items())) for each in (*frozen.verdicts, *frozen.actions)]  # fmt: skip
    rows += [
        ("what_if", each.id, each.fields.get("score"), f"simulated; {tried(each, masked)}; {each.fields.get('note') or ''}")
        for each in frozen.what_ifs
    ]
    rows += [("missing", name, "", sentence) for name, sentence in case.why.items()]
    return inert_csv(pd.DataFrame(rows, columns=["section", "name", "value", "words"]).astype({"value": object}))


def markdown(frozen: Frozen, address: str = "") -> str:
    """The case in a few lines of Markdown, for a ticket or a chat; no text of a log is markup there. address: of the case's page."""
    from observability.export.review import chat

    case, masked = frozen.case, frozen.masked
    rule, row = shown_rule(case.rule, masked), case.row
    odd = [f"{each.feature} = {shown_value(each, masked)} ({', '.join(each.flags)})" for each in shown_inputs(case, masked) if each.flags]
    lines = [f"**Case {chat(row.id[:200])}** of {chat(row.model.name)} {chat(row.version.name)}, {formatting.minute(row.at)} UTC", ""]
    lines += [chat(case.happened.sentence if case.happened else case.why.get("happened", "")), ""]
    lines += [f"- Odd inputs: {chat('; '.join(odd[:6])) or 'none'}"]
    lines += [
        f"- Suspected: {SOURCES[each.source].lower()} ({formatting.number(each.score, 2)}): {chat(hidden(each.because, case, rule, masked)[:600])}"
        for each in (case.triage or ())[:2]
    ]
    lines += [f"- Like it: {chat(rule.because)}"] if rule else []
    lines += [
        f"- Simulated: {chat(tried(each, masked)[:600])} gives {formatting.number(each.fields.get('score'))}"
        for each in frozen.what_ifs[:3]
    ]
    lines += [f"- {WRONG.get(str(each.fields.get('wrong')), 'Not decided')}; {SOURCES.get(str(each.fields['source']), '').lower()}: {chat(str(each.fields.get('note') or '')[:600])} ({chat(each.last.author[:80])})" for each in frozen.verdicts if each.state == "standing"]  # fmt: skip
    lines += [
        f"- To do: {DO.get(str(each.fields.get('do')), 'Action')}, {each.state}: {chat(wanted(each, case, masked)[:600])}"
        for each in frozen.actions
    ]
    hides = f" Masked: {chat(', '.join(sorted(masked)))}." if masked else ""
    lines += ["", f"Frozen {formatting.minute(frozen.at)} UTC.{hides}{f' <{address}>' if address else ''}"]
    return "\n".join(lines) + "\n"


def tried(item: Item, masked: Collection[str]) -> str:
    """The values of a what-if in words, those of masked columns hidden."""
    changes = item.fields.get("changes") or {}
    return ", ".join(f"{name} is {MASKED if name in masked else spoken(value)}" for name, value in changes.items())


def wanted(item: Item, case: Case, masked: Collection[str]) -> str:
    """What an action asks for; where it watches a slice of a masked column, without the words that would give the value away."""
    return str(shown_fields(item, case, masked).get("text") or "")


def shown_fields(item: Item, case: Case, masked: Collection[str]) -> dict[str, Any]:
    """The fields of a verdict or an action, a slice of a masked column left out."""
    fields = dict(item.fields)
    part = Slice.parse(str(fields["slice"])) if fields.get("slice") else None
    if part is not None and any(name in masked for name, _ in part.conditions):
        fields |= {"text": "Watch a slice that speaks of a masked column.", "slice": MASKED}
    return fields


def facts(case: Case, masked: Collection[str]) -> list[tuple[str, str]]:
    """What was logged, as pairs of words."""
    row = case.row
    stored, label = row.stored, row.label
    cost = case.happened.cost if case.happened else None
    currency = (case.happened.currency or "") if case.happened else ""
    pairs: list[tuple[str, object]] = [
        ("Id", row.id), ("Model", row.model.name), ("Version", row.version.name), ("Time (UTC)", formatting.minute(row.at)),
        ("Environment", row.environment), ("Score", formatting.number(row.score, 4) if row.score is not None else None),
        ("Cut-off", formatting.number(row.threshold) if row.model.task == "binary" else None), ("Answer", worded(row.answer) if row.answer is not None else None),
        ("Label", worded(label.value) if label else "none yet"), ("Label from", formatting.minute(label.at) if label else None),
        ("Cost of the error", f"{formatting.number(cost)} {currency}".strip() if cost is not None else None), ("Status", row.status),
        ("Subject", MASKED if "subject" in masked and stored.get("subject") is not None else stored.get("subject")),
        ("Device", stored.get("device")), ("Replica", stored.get("replica")), ("Batch", stored.get("batch")),
        *((name, MASKED if name in masked else spoken(value)) for name, value in row.groups.items()),
    ]  # fmt: skip
    return [(name, str(value)) for name, value in pairs if value is not None]


def as_logged(case: Case) -> dict[str, Any]:
    """The facts that are numbers or labels, as a machine reads them."""
    row = case.row
    cost = case.happened.cost if case.happened else None
    pairs = {
        "Score": row.score,
        "Cut-off": row.threshold,
        "Answer": row.answer,
        "Label": row.label.value if row.label else None,
        "Cost of the error": cost,
    }
    return {name: value for name, value in pairs.items() if value is not None}


def shown_value(given: Input, masked: Collection[str]) -> str:
    """A value in words, masked where it has to be."""
    return MASKED if given.feature in masked else spoken(given.value)


def shown_inputs(case: Case, masked: Collection[str]) -> list[Input]:
    """The inputs; of a masked one nothing that depends on its value: a percentile, a share or a flag says what it is nearly as well."""
    return [
        replace(each, value=MASKED, percentile=None, share=None, flags=(), because=f"{MASKED}.") if each.feature in masked else each
        for each in case.inputs or ()
    ]


def spoken(value: Any) -> str:
    """A value for a person."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}".replace("-", formatting.MINUS) if isinstance(value, float) else str(value)


def shown_contrast(contrast: Contrast | None, masked: Collection[str]) -> Contrast | None:
    """The attributions with masked values, in the bars and in the words."""
    if contrast is None or not masked:
        return contrast
    bars = tuple(replace(each, value=MASKED) if each.feature in masked else each for each in contrast.bars)
    said = in_sentences(bars, contrast.base_value, contrast.output, contrast.link, AGAINST[contrast.against], contrast.class_name)
    return replace(contrast, bars=bars, words=said)


def shown_rule(rule: Rule | None, masked: Collection[str]) -> Rule | None:
    """The rule; where it speaks of a masked column, without its words, which would give the value away."""
    if rule is None or not any(each.reference.partition(".")[2] in masked for each in rule.conditions):
        return rule
    words = "a rule that speaks of a masked column"
    return replace(rule, text=words, slice=None, because=rule.because.replace(rule.text, words), conditions=(), groups=())


def hidden(sentence: str, case: Case, rule: Rule | None, masked: Collection[str]) -> str:
    """A sentence of the triage, with the rule's words as they are shown, and without the words about a masked input."""
    if case.rule is not None and rule is not None:
        sentence = sentence.replace(case.rule.text, rule.text)
    for each in case.inputs or ():
        if each.feature in masked and each.because:
            sentence = sentence.replace(f"{each.feature} ({', '.join(each.flags)}): {each.because}", f"A masked column: {MASKED}.")
            sentence = sentence.replace(each.because, f"{MASKED}.")
    before, told, names = sentence.partition("outside of the reference in ")
    listed, colon, after = names.partition(": ")
    return f"{before}{told}{', '.join('a masked column' if name in masked else name for name in listed.split(', '))}{colon}{after}"


def waterfall(contrast: Contrast | None) -> Markup:
    """The attributions as a static drawing; nothing where they do not add up."""
    if contrast is None or not contrast.adds_up:
        return Markup("")
    shown, rest = contrast.bars[:MOST_BARS], contrast.bars[MOST_BARS:]
    bars = [(f"{each.feature} = {spoken(each.value)}", each.attribution) for each in shown]
    bars += [(f"{len(rest)} others", sum(each.attribution for each in rest))] if rest else []
    return export_svg.waterfall(contrast.base_value, bars, contrast.output, label=" ".join(contrast.words))


def trend(rule: Rule | None) -> Markup:
    """The rule's rate over time as a static drawing."""
    if rule is None:
        return Markup("")
    points = [(each.name, each.rate, each.low, each.high) for each in rule.trend]
    return export_svg.line(
        points, label=f"Share of errors among predictions like this. {rule.because}", limit=rule.overall, words="share of errors"
    )
